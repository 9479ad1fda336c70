//! The page of a comparison: what its figures of gradient flow are drawn from, and what they are left out for.

use backflow_report::ComparisonPage;
use backflow_train::comparison::{FlowPoint, LayerPoint, Outcome, Point, Run};
use backflow_train::{Metric, Metrics};

/// Terms, slope, and for each layer delta and update ratio.
type Look<'a> = (f64, Option<f64>, &'a [[f64; 2]]);

/// A run that was looked at.
fn run(optimizer: &str, seed: u64, accuracy: f64, looks: &[Look<'_>]) -> Run {
    let layer = |(n, &[delta, ratio]): (usize, &[f64; 2])| LayerPoint {
        path: format!("layers.{n}"),
        delta_rms: Some(delta),
        weight_gradient_rms: Some(1.0),
        update_ratio: Some(ratio),
    };
    let look = |(made, &(terms, slope, layers)): (u64, &Look<'_>)| FlowPoint {
        step: 1 + made,
        epoch: made as f64 / 2.0,
        terms,
        slope,
        layers: layers.iter().enumerate().map(layer).collect(),
    };
    Run {
        optimizer: optimizer.to_owned(),
        metric: Some(Metric::share("accuracy")),
        seed,
        learning_rate: 0.1,
        batch_size: 8,
        steps: looks.len() as u64,
        evaluations: looks.len() as u64,
        curve: vec![Point {
            step: looks.len() as u64,
            epoch: 1.0,
            train_loss: Some(0.5),
            test_loss: 0.5,
            metrics: Metrics::from_iter([("accuracy", accuracy)]),
        }],
        flow: (0..).zip(looks).map(look).collect(),
        seconds_per_step: None,
        outcome: if accuracy < 0.0 { Outcome::Diverged { step: 9 } } else { Outcome::Finished },
    }
}

fn page(runs: &[Run]) -> String {
    let page = ComparisonPage {
        subject: "digits".to_owned(),
        setup: Vec::new(),
        notes: &[],
        runs,
        tunings: &[],
        seeds: 2,
        epochs: 1,
        target: 0.9,
        json: None,
    };
    page.html()
}

/// The figure of this name, if the page has it.
fn figure<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("<figure data-name=\"{name}\">"))?;
    Some(rest.split_once("</figure>").unwrap().0)
}

/// Its numbers: curve, place, value and the ends of what is shaded.
fn numbers(page: &str, name: &str) -> Vec<(String, Vec<f64>)> {
    let figure = figure(page, name).unwrap_or_else(|| panic!("no {name}"));
    let (_, csv) = figure.split_once("<template class=\"csv\">").unwrap();
    let lines = csv.split_once("</template>").unwrap().0.lines().skip(1);
    let fields = |line: &str| {
        let mut fields = line.split(',');
        let name = fields.next().unwrap().to_owned();
        (name, fields.filter(|field| !field.is_empty()).map(|field| field.parse().unwrap()).collect())
    };
    lines.map(fields).collect()
}

fn assert_numbers(page: &str, name: &str, expected: &[(&str, &[f64])]) {
    let found = numbers(page, name);
    assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
    for ((curve, found), (of, expected)) in found.iter().zip(expected) {
        assert_eq!((curve.as_str(), found.len()), (*of, expected.len()), "{name}: {found:?}");
        for (found, expected) in found.iter().zip(*expected) {
            // To six digits.
            assert!((found - expected).abs() <= 5e-6 * expected.abs(), "{name}: {found}, {expected}");
        }
    }
}

#[test]
fn the_figures_are_means_over_runs_of_one_example() {
    // Deltas of single examples at the end: 0.1 and 0.4 in the first layer, 1 in the second.
    let runs = [
        run(
            "adam",
            0,
            0.9,
            &[(8.0, Some(-0.2), &[[1.0, 0.1], [1.0, 0.4]]), (10.0, Some(-0.3), &[[0.01, 0.01], [0.1, 1e-4]])],
        ),
        run(
            "adam",
            1,
            0.9,
            &[(8.0, Some(-0.4), &[[1.0, 0.1], [1.0, 0.4]]), (4.0, Some(-0.1), &[[0.1, 0.01], [0.25, 1e-4]])],
        ),
        run("gd", 0, 0.8, &[(100.0, Some(0.5), &[[0.01, 2.0], [0.02, 2.0]])]),
    ];
    let page = page(&runs);
    assert!(page.contains("<h2>Gradient flow</h2>"));
    // Logarithms 2 apart: the standard deviation of two values is √½ of their distance.
    let factor = 4_f64.powf(0.5_f64.sqrt());
    let deltas: [(&str, &[f64]); 4] = [
        ("adam", &[1.0, 0.2, 0.2 / factor, 0.2 * factor]),
        ("adam", &[2.0, 1.0]),
        ("gd", &[1.0, 1.0]),
        ("gd", &[2.0, 2.0]),
    ];
    assert_numbers(&page, "delta-layers", &deltas);
    let spread = 0.2 * 0.5_f64.sqrt();
    let slopes: [(&str, &[f64]); 3] = [
        ("adam", &[0.0, -0.3, -0.3 - spread, -0.3 + spread]),
        ("adam", &[0.5, -0.2, -0.2 - spread, -0.2 + spread]),
        ("gd", &[0.0, 0.5]),
    ];
    assert_numbers(&page, "delta-slope", &slopes);
    let ratios: [(&str, &[f64]); 3] = [("adam", &[0.0, 0.2]), ("adam", &[0.5, 1e-3]), ("gd", &[0.0, 2.0])];
    assert_numbers(&page, "update-ratio", &ratios);
    assert!(figure(&page, "delta-first").is_none(), "there is a slope");
    // Both axes have titles, the curves names, and colours those of the ranking.
    for (name, axes) in [
        ("delta-layers", ["layer, from input to output", "RMS of delta"]),
        ("delta-slope", ["passes over the training set", "decades per layer back"]),
        ("update-ratio", ["passes over the training set", "RMS of update / RMS of weight"]),
    ] {
        let figure = figure(&page, name).unwrap();
        for axis in axes {
            assert!(figure.contains(&format!(">{axis}</text>")), "{name}: {axis}");
        }
        for (n, optimizer) in ["adam", "gd"].iter().enumerate() {
            assert!(
                figure.contains(&format!("<g class=\"curve s{n}\" id=\"{name}-s{n}\"><title>{optimizer}<"))
            );
            assert!(figure.contains(&format!("<g class=\"key s{n}\">")), "{name}");
        }
    }
}

#[test]
fn where_there_is_no_slope_the_deltas_of_the_first_layer_are_shown() {
    let runs = [run("sgd", 0, 0.9, &[(8.0, None, &[[0.5, 0.1]]), (8.0, None, &[[0.25, 0.1]])])];
    let page = page(&runs);
    assert!(figure(&page, "delta-slope").is_none());
    assert_numbers(&page, "delta-first", &[("sgd", &[0.0, 4.0]), ("sgd", &[0.5, 2.0])]);
    assert_numbers(&page, "delta-layers", &[("sgd", &[1.0, 2.0])]);
}

#[test]
fn what_has_no_number_is_not_drawn_and_what_was_not_looked_at_not_mentioned() {
    assert!(!page(&[run("sgd", 0, 0.9, &[])]).contains("Gradient flow"));
    let none = |figure: &str, page: &str| self::figure(page, figure).is_none();
    // A run that diverged has no end.
    let wild = run("sgd", 0, -1.0, &[(8.0, Some(0.1), &[[0.5, 3.0], [0.5, 3.0]])]);
    let diverged = page(&[wild]);
    assert!(none("delta-layers", &diverged));
    assert!(figure(&diverged, "update-ratio").unwrap().contains("class=\"end\""));
    // Weights that were all zero moved infinitely far, and dead layers have no logarithm.
    let dead = [(8.0, None, &[[0.0, f64::INFINITY], [0.0, 0.0]][..])];
    let page = page(&[run("sgd", 0, 0.9, &dead), run("sgd", 1, 0.9, &dead)]);
    assert!(
        ["delta-layers", "delta-first", "delta-slope", "update-ratio"].iter().all(|name| none(name, &page))
    );
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}
