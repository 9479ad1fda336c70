//! The page of a study: whatever configurations there are, each is drawn, and no figure has too many curves.

use backflow_data::{Augment, Mnist};
use backflow_nn::{Activation, Init};
use backflow_report::StudyPage;
use backflow_train::comparison::{Contender, Spread, Stopped};
use backflow_train::study::{Configuration, Finding, Study, TrainableDepths, Training};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Two networks of each.
fn findings(configurations: &[Configuration], steps: u64) -> Vec<Finding> {
    let digits = Mnist::embedded();
    let training = (steps > 0).then(|| Training {
        contender: Contender::new("sgd:lr=0.1").unwrap(),
        steps,
        batch_size: 8,
        accumulate: 1,
        augment: Augment::none(),
    });
    let study = Study { training, examples: 16, ..Study::new(2) };
    let small = digits.test.subset(&(0..50).collect::<Vec<_>>());
    let mut findings = Vec::new();
    let on = |_| ControlFlow::Continue(());
    let taken = study.examine(configurations, &digits.train, &small, &on, |finding| {
        findings.push(finding);
        Ok::<_, Stopped>(())
    });
    taken.unwrap();
    findings
}

/// Every combination, in the order of the program.
fn grid(
    activations: &[Activation],
    inits: &[Init],
    widths: &[usize],
    depths: &[usize],
) -> Vec<Configuration> {
    let mut configurations = Vec::new();
    for &activation in activations {
        for &init in inits {
            for &width in widths {
                let of = |&depth| Configuration::perceptron(activation, init, depth, width);
                configurations.extend(depths.iter().map(of));
            }
        }
    }
    configurations
}

fn sigmas(count: usize) -> Vec<Init> {
    (0..count)
        .map(|idx| Init::LecunNormal.with_gain(0.5 + 0.3 * idx as f64).with_bias_variance(0.05))
        .collect()
}

fn page(findings: &[Finding], depths: &[TrainableDepths]) -> String {
    let (subject, setup) = ("digits".to_owned(), Vec::new());
    StudyPage { subject, setup, notes: &[], findings, depths, json: None }.html()
}

/// Name and text of each figure.
fn figures(page: &str) -> Vec<(&str, &str)> {
    let each = page.split("<figure data-name=\"").skip(1);
    each.map(|rest| {
        let text = rest.split("</figure>").next().unwrap();
        (text.split('"').next().unwrap(), text)
    })
    .collect()
}

/// The fields of the lines below the head of a figure's CSV.
fn csv(figure: &str) -> Vec<Vec<&str>> {
    let text = figure.split("<template class=\"csv\">").nth(1).unwrap().split("</template>").next().unwrap();
    text.trim().lines().skip(1).map(|line| line.split(',').collect()).collect()
}

#[test]
fn no_figure_has_too_many_curves_and_every_configuration_is_drawn() {
    let (sigmoid, relu) = (Activation::Sigmoid, Activation::Relu);
    let named =
        ["xavier-normal", "he-normal", "lecun-uniform", "orthogonal"].map(|name| name.parse().unwrap());
    for (activations, inits, widths, depths) in [
        (&[sigmoid][..], &sigmas(12)[..], &[8][..], &(2..14).collect::<Vec<_>>()[..]),
        (&[sigmoid, relu], &named, &[4, 6, 8], &[2, 3, 5, 8]),
        (&[sigmoid], &named[..1], &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13], &[2]),
        (&[sigmoid], &named[..1], &(4..14).collect::<Vec<_>>(), &[2, 3, 4]),
        (&[relu], &named[..1], &[4], &[1]),
        (&[sigmoid, relu], &named[..1], &[6], &[20]),
    ] {
        let findings = findings(&grid(activations, inits, widths, depths), 0);
        let page = page(&findings, &[]);
        let figures = figures(&page);
        let mut names = BTreeSet::new();
        let (mut in_depth, mut in_width) = (0, 0);
        for (name, figure) in &figures {
            assert!(names.insert(*name), "{name} twice");
            let curves = figure.matches("<g class=\"curve s").count();
            let theory = figure.split("<g class=\"curve s").skip(1);
            let theory = theory.filter(|curve| curve.split('"').next().unwrap().ends_with("theory")).count();
            assert!(curves - theory <= 8, "{name}: {curves}");
            // A curve without a rule for its colour is not seen on the page.
            for curve in figure.split("<g class=\"curve ").skip(1) {
                let class = curve.split([' ', '"']).next().unwrap();
                assert!(page.contains(&format!("\n.{class}{{--on-light")), "{name}: {class}");
            }
            for value in figure.split(" d=\"").skip(1) {
                let value = value.split('"').next().unwrap();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{name}: {value}");
            }
            // `"relu, theory",2,…`
            let measured =
                || csv(figure).iter().filter(|fields| !fields[1].ends_with("theory&quot;")).count();
            in_depth += if name.starts_with("slope-depth") { measured() } else { 0 };
            in_width += if name.starts_with("slope-width") { measured() } else { 0 };
        }
        // Along an axis with one value there is nothing to see, nor of a network whose units are all dead.
        let judged = findings.iter().filter(|finding| finding.initial.unlimited().1.is_some()).count();
        assert!(judged > findings.len() / 2 || depths == [1]);
        let all = |values: &[usize]| if values.len() > 1 { judged } else { 0 };
        assert_eq!([in_depth, in_width], [all(depths), all(widths)]);
        assert_eq!(page.matches("<tr class=\"r").count(), findings.len());
        assert!(names.iter().any(|name| name.starts_with("delta-1")) && !page.contains("accuracy-"));
    }
}

#[test]
fn a_map_has_every_configuration_in_its_place_with_the_end_of_what_trains() {
    let grid = grid(&[Activation::Sigmoid], &sigmas(12), &[8], &(2..14).collect::<Vec<_>>());
    let findings = findings(&grid, 3);
    assert_eq!(findings.len(), 144);
    let page = page(&findings, &TrainableDepths::of(&grid));
    let figures = figures(&page);
    let figure = |wanted: &str| figures.iter().find(|(name, _)| *name == wanted).unwrap().1;
    for (name, value) in [
        ("map-slope-1", (|of| of.initial.unlimited().1) as fn(&Finding) -> Option<f64>),
        ("map-accuracy-1", |of| Some(of.learned.as_ref()?.test_accuracy?.mean)),
    ] {
        let map = figure(name);
        let rows = csv(map);
        assert_eq!((rows.len(), map.matches("<title>depth ").count()), (144, 144));
        for (fields, finding) in rows.iter().zip(&findings) {
            let [depth, variance, shown] = [0, 1, 2].map(|idx| fields[idx].parse::<f64>().unwrap());
            let (of, value) = (&finding.configuration, value(finding).unwrap());
            assert!((variance / of.variances().unwrap()[0] - 1.0).abs() < 1e-3);
            assert_eq!(of.axes().depth, Some(depth as usize));
            assert!((shown - value).abs() <= 1e-3 * value.abs(), "{shown} {value}");
        }
        // Cells of one variance lie above each other, and deeper networks higher.
        let cells = map.split("<rect x=\"").skip(1).filter(|cell| cell.contains("<title>depth"));
        let number = |cell: &str, key: &str| -> f64 {
            cell.split(&format!("{key}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let corners: Vec<(f64, f64)> = cells
            .map(|cell| (cell.split('"').next().unwrap().parse().unwrap(), number(cell, " y")))
            .collect();
        for column in corners.chunks(12) {
            assert!(column.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[1].1 < pair[0].1));
        }
        assert!(corners.windows(13).step_by(12).all(|pair| pair[12].0 > pair[0].0));
        assert!(map.contains("class=\"curve s6 theory\"") && map.contains("stroke-dasharray"), "6 ξ_c");
    }
    // Error bars are standard deviations over seeds.
    let rows = csv(figure("slope-depth-1"));
    let first = &findings[0];
    let spread = Spread::of(first.initial.slope_by_seed.iter().copied().flatten()).unwrap();
    let row = rows.iter().find(|row| row[0] == "σ_w 0.5" && row[1] == "2").unwrap();
    let number = |idx: usize| row[idx].parse::<f64>().unwrap();
    assert!(((number(4) - number(3)) / 2.0 - spread.std.unwrap()).abs() < 1e-4);
    assert!(figure("slope-depth-1").contains("class=\"bar\""));
    for wanted in ["accuracy-depth-1", "accuracy-weight-variance-1", "agreement", "delta-trained-1", "loss-1"]
    {
        assert!(!csv(figure(wanted)).is_empty(), "{wanted}");
    }
}

#[test]
fn learning_curves_are_means_of_the_batches() {
    let of = Configuration::perceptron(Activation::Relu, Init::HeNormal, 2, 8);
    let findings = findings(&[of], 90);
    let curve = &findings[0].learned.as_ref().unwrap().curve;
    let steps: Vec<u64> = curve.iter().map(|point| point.step).collect();
    assert_eq!(steps, (1..=30).map(|point| 3 * point).collect::<Vec<_>>());
    assert!(curve.iter().all(|point| point.loss.count == 2 && point.loss.std.is_some()));
    assert!(curve[29].loss.mean < curve[0].loss.mean);
    let page = page(&findings, &[]);
    let figures = figures(&page);
    let (_, losses) = figures.iter().find(|(name, _)| *name == "loss-1").unwrap();
    assert_eq!(csv(losses).len(), 30);
}
