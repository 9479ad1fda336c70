//! The page and its figures: what is in them, and what a browser makes of them.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod pages;
mod recordings;
mod tools;

use backflow_probe::{
    CurvatureFlow, FlowStep, GradFlow, GradientNoise, JacobianFlow, LayerFlow, ParameterFlow, SampleFlow,
    Spectrum, Stats,
};
use backflow_report::{FlowPage, Header};
use pages::{SAVE, attributes, browse, numbers, path, put, rendered, saved};
use recordings::{BROKEN, HEALTHY, SELDOM, Subject, VANISHING, seldom};

#[test]
fn the_page_is_whole_in_itself_and_says_what_it_left_out() {
    for subject in [&VANISHING, &HEALTHY, &BROKEN] {
        let (steps, header) = (subject.record(), recordings::header(subject));
        let page = FlowPage::new(&steps, &header).html();
        assert!(page.contains("&lt;deep&gt;") && !page.contains("<deep>"), "escaped");
        for outside in ["http:", "https:", "src=", "url(\"", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("</script").count(), 3);
        // Heat map, loss, four plots by layer, six over the run, three of directions, four histograms, two
        // distributions.
        assert_eq!(page.matches("<figure").count(), 21);
        assert_eq!(page.matches("role=\"img\"").count(), 21);
        assert_eq!(page.contains(" of 240 recorded steps"), subject.steps == 240);
        for name in ["d", "x", "y", "width", "height", "transform"] {
            for value in attributes(&page, name) {
                assert!(!value.contains("NaN") && !value.contains("inf"), "{name}=\"{value}\"");
            }
        }
    }
}

#[test]
fn layers_that_are_never_called_are_named() {
    let steps = HEALTHY.record();
    let flow = GradFlow::of(&steps[steps.len() - 1..]);
    let page = FlowPage::new(&steps, &Header::of(&flow)).html();
    assert!(page.contains("spare &lt;layer&gt;"), "in the verdicts");
}

#[test]
fn numbers_of_all_kinds_are_told_apart_in_the_heat_map() {
    let page = |subject: &Subject| {
        let (steps, header) = (subject.record(), recordings::header(subject));
        FlowPage::new(&steps, &header).html()
    };
    assert!(page(&VANISHING).contains("<path class=\"zero\""));
    assert!(!page(&VANISHING).contains("<path class=\"nan\""));
    assert!(page(&BROKEN).contains("<path class=\"nan\""));
    let mut steps = HEALTHY.record();
    steps[7].layers[3].delta.as_mut().unwrap().rms = f64::INFINITY;
    let page = FlowPage::new(&steps, &Header::default()).html();
    assert!(page.contains("<path class=\"infinite\""));
    assert!(!page.contains("<path class=\"zero\"") && !page.contains("<path class=\"nan\""));
}

#[test]
fn recordings_without_some_or_all_of_the_figures_have_a_page_too() {
    let bare = FlowStep {
        layers: vec![LayerFlow { path: "a".to_owned(), ..LayerFlow::default() }],
        parameters: vec![ParameterFlow { path: "w".to_owned(), ..ParameterFlow::default() }],
        ..FlowStep::default()
    };
    let growing = [FlowStep::default(), bare.clone(), HEALTHY.record().remove(0)];
    let recordings = [&[][..], &[FlowStep::default()], std::slice::from_ref(&bare), &growing];
    for steps in recordings {
        let header = Header::default();
        let report = FlowPage::new(steps, &header);
        let page = report.html();
        assert!(page.ends_with("</html>\n"));
        assert_eq!(page.contains("type=\"range\""), steps.len() > 1);
        assert_eq!(page.contains("Nothing was recorded"), steps.is_empty());
        for value in attributes(&page, "d") {
            assert!(!value.contains("NaN") && !value.contains("inf"), "{value}");
        }
        assert_eq!(report.svgs().is_empty(), page.matches("<figure").count() == 0);
    }
}

#[test]
fn numbers_of_any_size_have_a_place() {
    for size in [f64::MAX, 1e-45, 5e-324, 0.0, -f64::MAX] {
        let mut steps = HEALTHY.record();
        steps.truncate(4);
        steps[1].loss = size;
        steps[2].loss = -size;
        let stats = Stats { mean: size, std: size, rms: size, max: size, zero_share: 1.0 };
        steps[2].layers[3].output = stats;
        steps[2].layers[3].delta = Some(stats);
        steps[2].parameters[2].gradient_rms = size;
        steps[2].parameters[2].update_ratio = size;
        steps[2].parameters[2].momentum_cosine = Some(size);
        steps[2].learning_rate = size;
        steps[2].gradient_norm = size;
        steps[2].curvature = Some(CurvatureFlow {
            sharpness: size,
            smallest: -size,
            bound: size,
            trace: -size,
            trace_error: size,
        });
        let whole = Spectrum { largest: size, median: size, smallest: size, mean_square: size, spread: size };
        steps[2].jacobians = Some(JacobianFlow { layers: vec![("output".to_owned(), whole)], whole });
        let noise = GradientNoise { variance: size, signal: size, noise_scale: size, relative_error: size };
        steps[2].samples = Some(SampleFlow { samples: 1, norms: stats, noise, signal_to_noise: size });
        let page = FlowPage::new(&steps, &Header::default()).html();
        for name in ["d", "x", "y", "width", "height", "transform"] {
            for value in attributes(&page, name) {
                assert!(!value.contains("NaN") && !value.contains("inf"), "{size}: {name}=\"{value}\"");
            }
        }
    }
}

#[test]
fn a_long_recording_stays_small() {
    // 40 layers over 10,000 steps; what a step holds besides is of no interest here.
    let mut step = Subject { depth: 40, steps: 1, ..HEALTHY }.record().remove(0);
    for layer in &mut step.layers {
        (layer.output_exponents, layer.delta_exponents) = (None, None);
    }
    for parameter in &mut step.parameters {
        (parameter.gradient_exponents, parameter.weight_exponents) = (None, None);
    }
    let steps: Vec<FlowStep> = (1..=10_000).map(|at| FlowStep { step: at, ..step.clone() }).collect();
    let page = FlowPage::new(&steps, &Header::default()).html();
    assert!(page.contains("200 of 10000 recorded steps"));
    eprintln!("40 layers, 10,000 steps: {} kB", page.len() / 1000);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

#[test]
fn every_figure_is_a_file_of_its_own() {
    let header = recordings::header(&BROKEN);
    let svgs = FlowPage::new(&BROKEN.record(), &header).svgs();
    let names: Vec<&str> = svgs.iter().map(|(name, _)| &**name).collect();
    let expected = [
        "delta-heat-map.svg",
        "loss.svg",
        "activations.svg",
        "deltas.svg",
        "gradients.svg",
        "updates.svg",
        "distributions.svg",
        "shares.svg",
        "jacobians.svg",
        "momentum-cosines.svg",
        "gradient-cosines.svg",
        "gradient-norms.svg",
        "noise-scale.svg",
        "signal.svg",
        "sharpness.svg",
        "trace.svg",
        "learning-rate.svg",
        "exponents-outputs.svg",
        "exponents-deltas.svg",
        "exponents-gradients.svg",
        "exponents-weights.svg",
    ];
    assert_eq!(names, expected);
    for (name, svg) in &svgs {
        let colours = rendered(svg);
        let pixels = |colour: [u8; 3]| colours.get(&colour).copied().unwrap_or(0);
        let (axis, grid, white) = ([0x5b, 0x64, 0x72], [0xdf, 0xe3, 0xe8], [0xff; 3]);
        assert!(pixels(white) > 50_000, "{name}: a ground to print on");
        assert!(pixels(axis) > 200, "{name}: axes");
        // Curves, bars or cells: the first series is blue, and so is what is neither small nor large.
        let is_map = name == "delta-heat-map.svg";
        assert!(is_map || pixels(grid) > 500, "{name}: a grid");
        assert!(pixels([0x00, 0x72, 0xb2]) > 100 || is_map && colours.len() > 40, "{name}: what it shows");
        assert!(!svg.contains("<style") && !svg.contains("var("), "{name}");
    }
    let colours = |name: &str| rendered(&svgs.iter().find(|(file, _)| file == name).unwrap().1);
    assert!(colours("delta-heat-map.svg").contains_key(&[0xd3, 0x14, 0x5a]), "what is NaN is hatched");
    assert!(colours("sharpness.svg").contains_key(&[0xd5, 0x5e, 0x00]), "a second curve");
    assert!(
        colours("exponents-outputs.svg").contains_key(&[0xb3, 0x26, 0x1e]),
        "what single precision lacks"
    );
}

#[test]
fn a_browser_shows_the_step_that_the_slider_picks() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    for (name, subject, shown) in [("vanishing", &VANISHING, 240), ("broken", &BROKEN, 21)] {
        let (steps, header) = (subject.record(), recordings::header(subject));
        let html = FlowPage::new(&steps, &header).html();
        let page = put(folder.path(), &format!("{name}.html"), &html);
        let Some(first) = browse(&page, "", &profile) else { return };
        assert_eq!(first.matches("<figure").count(), 21);
        assert!(!first.contains("<form class=\"picker\" hidden"), "the slider is shown where scripts run");
        assert!(first.contains(&format!("<span data-at=\"step\">{shown}</span>")), "{name}");

        // The script draws what the page already shows without it, to the rounding of the last digit.
        let (written, drawn) = (attributes(&html, "d"), attributes(&first, "d"));
        assert_eq!(written.len(), drawn.len());
        for (written, drawn) in written.iter().zip(drawn) {
            let ((written, letters), (drawn, drawn_letters)) = (numbers(written), numbers(drawn));
            assert_eq!(letters, drawn_letters);
            for (written, drawn) in written.iter().zip(drawn) {
                assert!((written - drawn).abs() < 0.11, "{written} {drawn}");
            }
        }

        // Another step by its address, and the same by the slider.
        let at = 11;
        let by_address = browse(&page, &format!("#step={at}"), &profile).unwrap();
        let slide = "<script>{ const slider = document.getElementById('step'); slider.value = 10; \
                     slider.dispatchEvent(new Event('input')); }</script></body>";
        let slid = html.replace("</body>", slide);
        let slid = browse(&put(folder.path(), &format!("{name}-slid.html"), &slid), "", &profile).unwrap();
        let slid_to: u64 =
            slid.split("data-at=\"step\">").nth(1).unwrap().split('<').next().unwrap().parse().unwrap();
        let by_same = browse(&page, &format!("#step={slid_to}"), &profile).unwrap();
        assert_eq!(attributes(&slid, "d"), attributes(&by_same, "d"));
        assert!(slid_to == 11 || slid_to == 13, "{slid_to}");

        assert!(by_address.contains(&format!("<span data-at=\"step\">{at}</span>")));
        let delta = steps[at - 1].layers[20.min(steps[0].layers.len() - 1)].delta.unwrap().rms;
        let place = 20.min(steps[0].layers.len() - 1);
        let cell = format!("data-of=\"delta_rms\" data-place=\"{place}\">");
        let cell = by_address.split(&cell).nth(1).unwrap().split('<').next().unwrap();
        assert!((cell.parse::<f64>().unwrap() / delta - 1.0).abs() < 0.006, "{cell} for {delta}");
        for (id, class) in [("deltas-s0", "line"), ("activations-s0", "dots"), ("distributions-s0", "band")] {
            assert_ne!(path(&first, id, class), path(&by_address, id, class), "{id}");
        }
        assert_ne!(
            first.split("class=\"now\"").nth(1).map(|rest| attributes(rest, "transform")[0]),
            by_address.split("class=\"now\"").nth(1).map(|rest| attributes(rest, "transform")[0])
        );
        let bars = |page: &str| {
            page.split("id=\"exponents-deltas\"").nth(1).map(|rest| attributes(rest, "d").concat())
        };
        assert_ne!(bars(&first), bars(&by_address));
    }
}

#[test]
fn figures_are_saved_from_the_page_as_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let steps = VANISHING.record();
    let html = FlowPage::new(&steps, &recordings::header(&VANISHING)).html();
    let page = put(folder.path(), "page.html", &html.replace("</body>", SAVE));
    let Some(shown) = browse(&page, "#step=1", &folder.path().join("profile")) else { return };
    assert_eq!(
        [">SVG</button>", ">PNG</button>", ">CSV</button>"].map(|text| shown.matches(text).count()),
        [21; 3]
    );
    let file = |name: &str| saved(&shown, name);
    for name in ["delta-heat-map", "loss", "deltas", "exponents-outputs", "sharpness"] {
        let colours = rendered(&file(&format!("{name}.svg")));
        assert!(colours[&[0xff; 3]] > 50_000 && colours[&[0x5b, 0x64, 0x72]] > 200, "{name}");
    }
    let svg = file("deltas.svg");
    assert!(svg.contains("stroke-dasharray") && !svg.contains("class=\"now\""), "theory is shown at step 1");
    // Numbers are those of the step.
    let deltas = file("deltas.csv");
    assert!(deltas.starts_with("curve,number,name,value,spread\n"), "{deltas}");
    let fields = deltas.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    for fields in fields.filter(|fields| !fields[3].is_empty()) {
        let layer = &steps[0].layers[fields[1].parse::<usize>().unwrap() - 1];
        let (saved, rms) = (fields[3].parse::<f64>().unwrap(), layer.delta.unwrap().rms);
        assert!(fields[2] == layer.path && (saved - rms).abs() <= 1e-3 * rms, "{fields:?}, {rms}");
    }
    let loss = file("loss.csv");
    assert!(loss.starts_with("curve,step,loss,low,high\nloss,1,"), "{loss}");
    let map = file("delta-heat-map.csv");
    assert_eq!(map.lines().next().unwrap().split(',').count(), 1 + steps[0].layers.len());
    assert!(file("exponents-deltas.csv").starts_with("name,exponent of 2,root of share (highest 35)\n"));
}

/// The text of the first element with this attribute.
fn labelled<'a>(page: &'a str, attribute: &str) -> &'a str {
    let rest = page.split(attribute).nth(1).unwrap_or_else(|| panic!("no {attribute}"));
    rest.split('>').nth(1).unwrap().split('<').next().unwrap()
}

#[test]
fn what_is_measured_seldom_is_shown_until_it_is_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    let header = recordings::header(&HEALTHY);
    let steps = HEALTHY.record();
    let page = put(folder.path(), "page.html", &FlowPage::new(&steps, &header).html());
    let looked = |step: u64| browse(&page, &format!("#step={step}"), &profile);
    // The step of a measurement, the last before the next one, and the next.
    let (measured, next) = (2 * SELDOM + 1, 3 * SELDOM + 1);
    let Some(at) = looked(measured) else { return };
    let [before, after] = [next - 1, next].map(|step| looked(step).unwrap());
    for name in ["jacobians", "gradient_cosine"] {
        let attribute = format!("data-at=\"{name}\"");
        let shown = [&at, &before, &after].map(|page| labelled(page, &attribute).parse::<u64>().unwrap());
        assert_eq!(shown, [measured, measured, next], "{name}");
    }
    let ids = ["jacobians-s0", "jacobians-s3", "gradient-cosines-s0", "gradient-cosines-s1"];
    for id in ids {
        assert_eq!(path(&at, id, "line"), path(&before, id, "line"), "{id}");
        assert_ne!(path(&before, id, "line"), path(&after, id, "line"), "{id}");
    }
    // What is measured always goes on changing.
    assert_ne!(path(&at, "momentum-cosines-s0", "line"), path(&before, "momentum-cosines-s0", "line"));

    for (page, step) in [(&at, measured), (&before, next - 1), (&after, next)] {
        let flow = &steps[seldom(step) as usize - 1];
        let whole = flow.jacobians.as_ref().unwrap().whole;
        for (quantity, value) in [("largest", whole.largest), ("rms", whole.mean_square.sqrt())] {
            let shown =
                labelled(page, &format!("data-of=\"network_jacobian_{quantity}\"")).parse::<f64>().unwrap();
            assert!((shown / value - 1.0).abs() < 0.006, "{quantity}: {shown} for {value}");
        }
        let cosine = labelled(page, "data-of=\"gradient_cosine\" data-place=\"3\"").parse::<f64>().unwrap();
        assert!((cosine - flow.parameters[3].gradient_cosine.unwrap()).abs() < 1e-3, "{cosine}");
    }
}

#[test]
fn theory_is_drawn_at_the_first_step_alone() {
    let header = recordings::header(&VANISHING);
    let steps = VANISHING.record();
    let whole = FlowPage::new(&steps, &header);
    let at_first = FlowPage::new(&steps[..1], &header);
    assert!(whole.html().contains("<main class=\"later\">") && at_first.html().contains("<main>"));
    let theory = |report: &FlowPage<'_>| {
        let svgs = report.svgs();
        let (_, deltas) = svgs.iter().find(|(name, _)| name == "deltas.svg").unwrap();
        deltas.contains("id=\"deltas-t0\"")
    };
    assert_eq!([theory(&whole), theory(&at_first)], [false, true]);

    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    // Whether a person sees it, which the style decides.
    let ask = "<script>for (const of of ['.curves .theory', '.way']) document.body.append(`${of}: ` + \
               getComputedStyle(document.querySelector(of)).display + ';');</script></body>";
    let page = put(folder.path(), "page.html", &whole.html().replace("</body>", ask));
    let Some(last) = browse(&page, "", &profile) else { return };
    let first = browse(&page, "#step=1", &profile).unwrap();
    assert!(last.contains(".curves .theory: none;.way: inline;"), "hidden at the last step");
    assert!(first.contains(".curves .theory: inline;.way: none;"), "shown at the first");
    assert!(first.contains("theory at initialisation"));
}

#[test]
fn curves_over_the_run_are_those_of_the_records() {
    // So long that most measurements fall between two columns.
    let (seldom, long) = (97, Subject { steps: 2000, depth: 3, ..HEALTHY });
    let curvature =
        CurvatureFlow { sharpness: 90.0, smallest: -3.0, bound: 1.0, trace: 500.0, trace_error: 20.0 };
    let mut steps = long.record();
    for flow in &mut steps {
        let measured = (flow.step - 1).is_multiple_of(seldom);
        flow.curvature = measured.then_some(curvature);
        flow.learning_rate = 1e-4;
    }
    let count = |steps: &[FlowStep]| {
        let page = FlowPage::new(steps, &Header::default()).html();
        let dots = path(&page, "sharpness-s0", "dots").matches('M').count();
        (dots, page.contains("id=\"sharpness-t3\""), page.contains("far above"))
    };
    // A dot for each, wherever the thinned columns are; 2/lr is 20,000, far above.
    assert_eq!(count(&steps), (2000_usize.div_ceil(seldom as usize), false, true));
    steps.iter_mut().for_each(|flow| flow.learning_rate = 0.1);
    assert_eq!(count(&steps), (21, true, false));
    // What was not measured has no figure.
    steps.iter_mut().for_each(|flow| (flow.curvature, flow.samples, flow.jacobians) = (None, None, None));
    let page = FlowPage::new(&steps, &Header::default()).html();
    for id in ["sharpness", "trace", "noise-scale", "signal", "jacobians"] {
        assert!(!page.contains(&format!("id=\"{id}-")), "{id}");
    }
    assert!(page.contains("id=\"gradient-norms-s0\"") && !page.contains("id=\"gradient-norms-s1\""));
}
