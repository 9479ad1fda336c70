//! The page and its figures: what is in them, and what a browser makes of them.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod recordings;
mod tools;

use backflow_probe::report::{Header, Report};
use backflow_probe::{FlowStep, LayerFlow, ParameterFlow, Stats};
use recordings::{BROKEN, HEALTHY, Subject, VANISHING};
use std::io::Write;
use std::path::Path;

/// Every value of an attribute, in order.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    page.split(&begin).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The path with this class in the element with this id.
fn path<'a>(page: &'a str, id: &str, class: &str) -> &'a str {
    let element = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id}"));
    let element = element.split("</g>").next().unwrap();
    let path = element.split(&format!("class=\"{class}\"")).nth(1).unwrap_or_else(|| panic!("no {class}"));
    attributes(path, "d")[0]
}

#[test]
fn the_page_is_whole_in_itself_and_says_what_it_left_out() {
    for subject in [&VANISHING, &HEALTHY, &BROKEN] {
        let (steps, header) = (subject.record(), recordings::header(subject));
        let page = Report::new(&steps, &header).html();
        assert!(page.contains("&lt;deep&gt;") && !page.contains("<deep>"), "escaped");
        for outside in ["http:", "https:", "src=", "url(\"", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("</script").count(), 2);
        // Heat map, loss, four plots by layer, three histograms, two distributions.
        assert_eq!(page.matches("<figure").count(), 11);
        assert_eq!(page.matches("role=\"img\"").count(), 11);
        assert_eq!(page.contains(" of 240 recorded steps"), subject.steps == 240);
        for name in ["d", "x", "y", "width", "height", "transform"] {
            for value in attributes(&page, name) {
                assert!(!value.contains("NaN") && !value.contains("inf"), "{name}=\"{value}\"");
            }
        }
    }
}

#[test]
fn numbers_of_all_kinds_are_told_apart_in_the_heat_map() {
    let page = |subject: &Subject| {
        let (steps, header) = (subject.record(), recordings::header(subject));
        Report::new(&steps, &header).html()
    };
    assert!(page(&VANISHING).contains("<path class=\"zero\""));
    assert!(!page(&VANISHING).contains("<path class=\"nan\""));
    assert!(page(&BROKEN).contains("<path class=\"nan\""));
    let mut steps = HEALTHY.record();
    steps[7].layers[3].delta.as_mut().unwrap().rms = f64::INFINITY;
    let page = Report::new(&steps, &Header::default()).html();
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
        let report = Report::new(steps, &header);
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
        let page = Report::new(&steps, &Header::default()).html();
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
    step.parameters.iter_mut().for_each(|parameter| parameter.gradient_exponents = None);
    let steps: Vec<FlowStep> = (1..=10_000).map(|at| FlowStep { step: at, ..step.clone() }).collect();
    let page = Report::new(&steps, &Header::default()).html();
    assert!(page.contains("200 of 10000 recorded steps"));
    eprintln!("40 layers, 10,000 steps: {} kB", page.len() / 1000);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

/// A file of this name.
fn put(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

#[test]
fn every_figure_is_a_file_of_its_own() {
    let Some(mut python) = tools::tool("python3", &[&["python3", "-c", "import xml.dom.minidom"]]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let header = recordings::header(&BROKEN);
    let svgs = Report::new(&BROKEN.record(), &header).svgs();
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
        "exponents-outputs.svg",
        "exponents-deltas.svg",
        "exponents-gradients.svg",
    ];
    assert_eq!(names, expected);
    let check = "import sys, xml.dom.minidom\n\
                 for name in sys.argv[1:]:\n \
                 file = xml.dom.minidom.parse(name)\n \
                 assert len(file.getElementsByTagName('style')) == 1, name";
    python.args(["-c", check]);
    for (name, svg) in &svgs {
        python.arg(put(folder.path(), name, svg));
    }
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a browser makes of the page at this address; panics if a script complained.
fn browse(page: &Path, hash: &str, profile: &Path) -> Option<String> {
    let browsers: [&[&str]; 3] =
        [&["chromium", "--version"], &["chromium-browser", "--version"], &["google-chrome", "--version"]];
    let mut browser = tools::tool("Chromium", &browsers)?;
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
        "--dump-dom",
    ]);
    browser.arg(format!("--user-data-dir={}", profile.display()));
    let output = browser.arg(format!("file://{}{hash}", page.display())).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(output.status.success() && complaints.is_empty(), "{complaints:#?}\n{log}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Numbers and letters of a path apart.
fn numbers(path: &str) -> (Vec<f64>, String) {
    let number = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let numbers =
        path.split(|c| !number(c)).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
    (numbers.collect(), path.chars().filter(|c| !number(*c)).collect())
}

#[test]
fn a_browser_shows_the_step_that_the_slider_picks() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    for (name, subject, shown) in [("vanishing", &VANISHING, 240), ("broken", &BROKEN, 21)] {
        let (steps, header) = (subject.record(), recordings::header(subject));
        let html = Report::new(&steps, &header).html();
        let page = put(folder.path(), &format!("{name}.html"), &html);
        let Some(first) = browse(&page, "", &profile) else { return };
        assert_eq!(first.matches("<figure").count(), 11);
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
        let cell = format!("data-of=\"delta\" data-place=\"{place}\">");
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
