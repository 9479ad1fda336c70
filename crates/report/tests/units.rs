//! Maps of units by steps: what was measured, in its place, and as much as a page has room for.

use backflow_probe::{FlowStep, LayerFlow, NotMeasured};
use backflow_report::{FlowPage, Header};

/// So many steps of layers of so many units, whose figures say where they are; every third step has them.
fn steps(steps: u64, layers: usize, units: usize) -> Vec<FlowStep> {
    let layer = |step: u64, layer: usize| {
        let of = |factor: f64| (0..units).map(|unit| factor * (100 * step + unit as u64) as f64).collect();
        let (unit_rms, unit_delta_rms) =
            if step % 3 == 1 { (of(1.0), of(0.5)) } else { (Vec::new(), Vec::new()) };
        LayerFlow { path: format!("{layer}"), unit_rms, unit_delta_rms, ..LayerFlow::default() }
    };
    let step = |step| FlowStep {
        step,
        loss: 1.0,
        layers: (0..layers).map(|of| layer(step, of)).collect(),
        ..FlowStep::default()
    };
    (1..=steps).map(step).collect()
}

fn page(steps: &[FlowStep]) -> String {
    FlowPage::new(steps, &Header::default()).html()
}

#[test]
fn each_layer_has_a_map_of_outputs_and_one_of_deltas() {
    let mut steps = steps(7, 2, 3);
    steps[6].layers[1].unit_delta_rms = vec![0.0, f64::NAN, f64::INFINITY];
    let html = page(&steps);
    for (place, layer) in [(1, "0"), (2, "1")] {
        for (id, title) in [("unit-outputs", "Outputs by unit"), ("unit-deltas", "Deltas by unit")] {
            assert!(html.contains(&format!("<figure data-name=\"{id}-{place}\">")), "{id}-{place}");
            assert!(html.contains(&format!("<figcaption>{title}: {layer} <span>")), "{title}, {layer}");
        }
    }
    // The numbers, a line a measurement.
    assert!(html.contains("step,0,1,2\n1,100,101,102\n4,400,401,402\n7,700,701,702</template>"));
    assert!(html.contains("step,0,1,2\n1,50,50.5,51\n4,200,200.5,201\n7,0,,inf</template>"));
    let map = html.split("id=\"unit-deltas-2\"").nth(1).unwrap().split("</svg>").next().unwrap();
    assert!(map.contains("<desc id=\"unit-deltas-2-description\">Units in their order, the first above;"));
    // Of three rows at three measurements, two columns are under either of the first two, and one under the last,
    // whose three are no sizes.
    for special in ["zero", "nan", "infinite"] {
        assert_eq!(map.matches(&format!("<path class=\"{special}\" d=\"")).count(), 1, "{special}");
    }
    // At every step as it was last measured: nothing changes for three.
    assert!(map.contains("M0 0h3") && map.contains("M3 0h3"), "{map}");
}

#[test]
fn a_page_has_room_for_some_layers_and_says_how_many() {
    let all = page(&steps(2, 4, 512));
    assert!(all.contains("data-name=\"unit-deltas-4\"") && !all.contains("For lack of room"));
    let some = page(&steps(2, 6, 512));
    assert!(some.contains("For lack of room, 4 of 6 layers are drawn."));
    assert!(!some.contains("data-name=\"unit-outputs-5\""));
    assert!(!page(&steps(0, 1, 1)).contains("Channels and units"));
}

#[test]
fn what_was_not_measured_is_said_once_with_its_reason() {
    let mut steps = steps(3, 1, 1);
    let missing = |reason: &str| NotMeasured { quantity: "a < b".to_owned(), reason: reason.to_owned() };
    steps[0].not_measured.push(missing("too wide"));
    steps[1].not_measured.push(missing("too deep"));
    let html = page(&steps);
    assert!(html.contains("<p class=\"note\">Step 2, a &lt; b not measured: too deep</p>"));
    assert_eq!(html.matches("not measured").count(), 1);
}
