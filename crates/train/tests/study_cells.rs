//! Studies of recurrent cells: slopes over time are those of theory, and what learns is what gradients reach.

use backflow_nn::Init;
use backflow_probe::{TimeTheory, Verdict};
use backflow_tensor::Float;
use backflow_train::comparison::{Contender, Stopped};
use backflow_train::study::{Cell, CellConfiguration, CellFinding, CellStudy, CellTraining, Problem};
use std::ops::ControlFlow;

const ORTHOGONAL: Init = Init::Orthogonal;

fn network(cell: Cell, steps: usize, init: Init, gain: f64) -> CellConfiguration {
    CellConfiguration { cell, steps, init, gain }
}

fn examine(study: &CellStudy, configurations: &[CellConfiguration]) -> Vec<CellFinding> {
    let mut findings = Vec::new();
    let take = |finding| {
        findings.push(finding);
        Ok::<_, Stopped>(())
    };
    study.examine(configurations, &|_| ControlFlow::Continue(()), take).unwrap();
    findings
}

/// Of 64 units, each step of a network is √(2/64) = 18 % of a mean square off: 0.04 decades in a root. The slope of a
/// line through 30 sums of these is √(6/5 / 30) of that off, 0.008, and 0.005 in the mean over three networks.
#[test]
fn slopes_over_time_are_those_of_theory() {
    let xavier = Init::XavierUniform;
    let mut configurations = vec![network(Cell::Irnn, 30, ORTHOGONAL, 1.0)];
    for init in [ORTHOGONAL, xavier] {
        configurations.extend([0.7, 1.0, 1.3].map(|gain| network(Cell::Rnn, 30, init, gain)));
    }
    for finding in examine(&CellStudy::new(3), &configurations) {
        let line = finding.line.as_ref().unwrap();
        let predicted = finding.predicted_slope.unwrap();
        assert!((line.slope - predicted).abs() < 0.02, "{}: {line:?}, {predicted}", finding.configuration);
        assert!(line.slope < finding.bound_slope.unwrap() + 1e-6, "{finding:?}");
        let vanishes = finding.verdicts.iter().any(|of| matches!(of, Verdict::VanishingOverSteps { .. }));
        assert_eq!(vanishes, line.decades < -1.0, "{}: {:?}", finding.configuration, finding.verdicts);
        assert_eq!((finding.delta_rms.len(), finding.slope_by_seed.len(), finding.learns()), (30, 3, None));
    }
}

/// What theory does not know it does not say; of gated cells it says what gates keep.
#[test]
fn what_there_is_no_theory_of_has_a_bound() {
    let identity = Init::Identity;
    let all = [
        network(Cell::Rnn, 20, identity, 1.0),
        network(Cell::Irnn, 20, identity, 0.7),
        network(Cell::Lstm, 20, ORTHOGONAL, 1.0),
        network(Cell::Gru, 20, identity, 1.0),
    ];
    let findings = examine(&CellStudy::new(1), &all);
    for (finding, bound) in findings[..2].iter().zip([0.0, 0.7_f64.log10()]) {
        assert!(matches!(finding.theory, TimeTheory::Unknown(_)) && finding.predicted_slope.is_none());
        assert!((finding.bound_slope.unwrap() - bound).abs() < 1e-6, "{finding:?}");
    }
    for (finding, bias) in findings[2..].iter().zip([1.0_f64, 0.0]) {
        assert!(finding.theory == TimeTheory::Gates && finding.bound_slope.is_none());
        // Gates whose sums are their bias and little else, by whose curvature the mean logarithm is lower.
        let gate = (1.0 / (1.0 + Float::exp(-bias))).log10();
        assert!((finding.predicted_slope.unwrap() - gate).abs() < 0.03, "{finding:?}");
    }
}

#[test]
fn a_network_that_keeps_gradients_learns_to_add() {
    let contender = Contender::new("adam:lr=0.01").unwrap();
    let training = Some(CellTraining { contender, updates: 400, batch_size: 32 });
    let study = CellStudy { problem: Some(Problem::Adding), training, hidden: 32, ..CellStudy::new(2) };
    let [gru, forgets] =
        &examine(&study, &[network(Cell::Gru, 10, ORTHOGONAL, 1.0), network(Cell::Rnn, 40, ORTHOGONAL, 0.3)])
            [..]
    else {
        panic!("a finding for each")
    };
    assert_eq!((gru.learns(), forgets.learns()), (Some(true), Some(false)), "{gru:?} {forgets:?}");
    let after = gru.learned[0].after.unwrap();
    assert!(after % 20 == 0 && gru.learned[0].loss.unwrap() < 1.0 / 60.0, "{gru:?}");
    // A network without a memory of the first half knows no more than its mean and the second half.
    assert!(forgets.learned.iter().all(|network| network.loss.unwrap() > 1.0 / 12.0 * 0.5), "{forgets:?}");
}

#[test]
fn a_study_can_be_stopped() {
    let on = &|done: f64| if done > 1.5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let all = [network(Cell::Rnn, 5, ORTHOGONAL, 1.0), network(Cell::Gru, 5, ORTHOGONAL, 1.0)];
    let mut taken = 0;
    let stopped = CellStudy::new(2).examine(&all, on, |_| {
        taken += 1;
        Ok(())
    });
    assert_eq!((stopped, taken), (Err(Stopped::Interrupted), 1));
}
