//! Panels of histograms: what a bar stands for, and that every bar has a place, whichever range is shown.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod pages;
mod recordings;
mod tools;

use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Drawn, Exponents, Figure, FlowStep, LayerFlow, Quantity};
use backflow_report::{FlowPage, Header};
use pages::{SAVE, attributes, browse, numbers, put, rendered, saved};
use recordings::{BROKEN, HEALTHY, Subject, VANISHING};

/// Recordings so short that every step is drawn: of single precision, and one of double precision that reaches
/// beyond its ends.
fn recordings() -> Vec<Vec<FlowStep>> {
    let of = |subject: &Subject, steps| Subject { steps, ..*subject }.record();
    let mut double = of(&HEALTHY, 5);
    for (step, flow) in double.iter_mut().enumerate() {
        for (place, layer) in flow.layers.iter_mut().enumerate() {
            let wide =
                Exponents { first: -1074, counts: vec![1 + place as u64; 2098], ..Exponents::default() };
            let deep = Exponents { subnormal: 3, first: -200, counts: vec![2; 60], ..Exponents::default() };
            let high =
                Exponents { zeros: 1, first: 120, counts: vec![9, 0, 4, 1, 0, 0, 0, 0, 2], ..deep.clone() };
            layer.output_exponents = Some([&wide, &deep, &high][(step + place) % 3].clone());
        }
    }
    vec![of(&VANISHING, 6), of(&HEALTHY, 4), of(&BROKEN, 22), double]
}

/// Every quantity that panels show, and the panel's name.
fn panels() -> impl Iterator<Item = (&'static str, &'static Quantity)> {
    QUANTITIES.iter().filter_map(|&quantity| match quantity.drawn {
        Drawn::Histograms { id } => Some((id, quantity)),
        _ => None,
    })
}

/// A panel as it was drawn.
struct Panel<'a> {
    svg: &'a str,
    /// The ends of the axis.
    box_: [f64; 2],
}

/// Zero and unit of what `translate(…,0) scale(…,1)` or CSS's way to write it moves and stretches.
fn stretched(transform: &str) -> [f64; 2] {
    let numbers: Vec<f64> = transform
        .split(['(', ',', ')'])
        .filter_map(|part| part.trim_end_matches("px").parse().ok())
        .collect();
    assert_eq!((numbers.len(), numbers[1], numbers[3]), (4, 0.0, 1.0), "{transform}");
    [numbers[0], numbers[2]]
}

impl<'a> Panel<'a> {
    fn of(svg: &'a str) -> Self {
        let axis = svg.split("class=\"axis\"").nth(1).unwrap();
        let (numbers, _) = numbers(attributes(axis, "d")[0]);
        Self { svg, box_: [numbers[0], numbers[2]] }
    }

    fn of_page(page: &'a str, id: &str) -> Self {
        let figure = page.split(&format!("<figure id=\"{id}\"")).nth(1).unwrap();
        Self::of(figure.split("</figure>").next().unwrap())
    }

    /// The paths of the rows of a group, two a row.
    fn rows(&self, group: &str) -> Vec<[&'a str; 2]> {
        let group = self.svg.split(&format!("<g class=\"{group}\"")).nth(1).unwrap();
        let rows = group.split("\n</g>").next().unwrap().lines().skip(1);
        rows.map(|row| attributes(row, "d").try_into().unwrap()).collect()
    }

    /// Zero and unit of the range that is shown, and on a page of the whole one.
    fn views(&self) -> Vec<[f64; 2]> {
        let group = self.svg.split("<g class=\"numbers\"").nth(1).unwrap().lines().next().unwrap();
        let whole =
            attributes(group, "style").into_iter().map(|style| style.strip_prefix("--whole:").unwrap());
        attributes(group, "transform").into_iter().chain(whole).map(stretched).collect()
    }
}

/// The horizontal and the vertical places of a path of bars.
fn places(path: &str) -> [Vec<f64>; 2] {
    let (values, letters) = numbers(path);
    let (mut x, mut y, mut rest) = (Vec::new(), Vec::new(), values.into_iter());
    for letter in letters.chars().filter(|letter| *letter != ' ') {
        match letter {
            'M' => {
                x.extend(rest.next());
                y.extend(rest.next());
            }
            'H' => x.extend(rest.next()),
            'V' => y.extend(rest.next()),
            letter => assert_eq!(letter, 'z', "{path}"),
        }
    }
    assert_eq!(rest.next(), None);
    [x, y]
}

#[test]
fn every_bar_has_a_place_in_both_ranges() {
    for steps in recordings() {
        let header = Header::default();
        for step in 1..=steps.len() as u64 {
            let report = FlowPage::new(&steps, &header).at(step);
            let (page, files) = (report.html(), report.svgs());
            for (id, quantity) in
                panels().filter(|(_, quantity)| steps.iter().any(|flow| quantity.is_in(flow)))
            {
                let panel = Panel::of_page(&page, id);
                let (_, file) = files.iter().find(|(name, _)| *name == format!("{id}.svg")).unwrap();
                let file = Panel::of(file);
                // A file shows what the page shows at first, and has nothing that needs a style sheet.
                assert_eq!(
                    (file.rows("numbers"), file.rows("sides")),
                    (panel.rows("numbers"), panel.rows("sides"))
                );
                assert_eq!(file.views(), panel.views()[..1]);
                assert!(!file.svg.contains("style=") && !file.svg.contains("grid whole"), "{id}");
                let [left, right] = panel.box_;
                // To the digits that are written.
                let slack = 0.1;
                for [zero, unit] in panel.views() {
                    for path in panel.rows("numbers").concat() {
                        let [x, y] = places(path);
                        let is_in = |x: &f64| (left - slack..=right + slack).contains(&(zero + unit * x));
                        assert!(x.iter().all(is_in), "{id} at {step}: {path} by {zero}, {unit}");
                        assert!(y.iter().all(|y| (0.0..=35.0).contains(y)), "{path}");
                    }
                }
                for path in panel.rows("sides").concat() {
                    let [x, _] = places(path);
                    assert!(x.iter().all(|&x| x > 0.0 && x < left || x > right && x < 480.0), "{id}: {path}");
                }
                assert_eq!(panel.rows("numbers").len(), quantity.figures(&steps[0]).len());
            }
        }
    }
}

/// The heights of all bars that single precision has a place for, by the definition: zeros, subnormal numbers,
/// exponents from -126, infinities, NaNs.
fn heights(exponents: &Exponents) -> Vec<u64> {
    let mut counts = vec![0; 258];
    let is_double = exponents.first < -126;
    counts[usize::from(!is_double)] = exponents.subnormal;
    counts[0] += exponents.zeros;
    (counts[256], counts[257]) = (exponents.infinite, exponents.nan);
    for (exponent, count) in (exponents.first..).zip(&exponents.counts) {
        let at = if exponent < -149 { 0 } else { (exponent + 128).clamp(1, 256) };
        counts[at as usize] += count;
    }
    let highest = counts.iter().copied().max().unwrap().max(1) as f64;
    counts.iter().map(|&count| (35.0 * (count as f64 / highest).sqrt()).ceil() as u64).collect()
}

#[test]
fn bars_have_the_heights_of_the_data() {
    for steps in recordings() {
        let header = Header::default();
        for flow in &steps {
            let files = FlowPage::new(&steps, &header).at(flow.step).svgs();
            for (id, quantity) in panels() {
                let (_, file) = files.iter().find(|(name, _)| *name == format!("{id}.svg")).unwrap();
                let panel = Panel::of(file);
                for (row, (path, figure)) in quantity.figures(flow).into_iter().enumerate() {
                    let Figure::Histogram(exponents) = figure else { panic!("{}", quantity.name) };
                    let mut drawn = vec![0; 258];
                    let [whole, subnormal] = panel.rows("numbers")[row];
                    let [x, y] = places(whole);
                    for (end, height) in x.iter().skip(1).zip(y.iter().skip(1)) {
                        drawn[(*end as i32 + 127) as usize] = *height as u64;
                    }
                    let [zeros, none] = panel.rows("sides")[row];
                    for (at, path) in [(0, zeros), (1, subnormal)] {
                        drawn[at] = places(path)[1].iter().fold(0.0, |a: f64, b| a.max(*b)) as u64;
                    }
                    for bar in none.split_inclusive('z') {
                        let [x, y] = places(bar);
                        let at = if x[0] < panel.box_[1] + 25.0 { 256 } else { 257 };
                        drawn[at] = y[1] as u64;
                    }
                    assert_eq!(drawn, heights(exponents), "{id}, {path:?} at {}", flow.step);
                }
            }
        }
    }
}

/// One recorded step, of very many, sets the range for all, whether it is drawn or not.
#[test]
fn ranges_are_those_of_all_recorded_steps() {
    let mut steps = Subject { steps: 500, depth: 3, ..HEALTHY }.record();
    let view = |steps: &[FlowStep]| {
        let page = FlowPage::new(steps, &Header::default()).html();
        let panel = Panel::of_page(&page, "exponents-outputs");
        let [zero, unit] = panel.views()[0];
        panel.box_.map(|x| ((x - zero) / unit).round() as i32)
    };
    let [first, end] = view(&steps);
    assert!(-20 < first && first + 10 <= end && end < 10, "{first}, {end}");
    // Somewhere between two steps that are drawn.
    for (exponent, expected) in
        [(first - 7, [first - 7, end]), (end + 5, [first, end + 6]), (-130, [-149, end])]
    {
        let before = steps[3].layers[1].output_exponents.clone();
        let one = Exponents { first: exponent, counts: vec![1], ..Exponents::default() };
        steps[3].layers[1].output_exponents = Some(one);
        assert_eq!(view(&steps), expected);
        steps[3].layers[1].output_exponents = before;
    }
}

/// What lost digits is seen: shaded, between the limits of single precision.
#[test]
fn subnormal_numbers_are_in_sight() {
    let layer = |subnormal| LayerFlow {
        path: "a".to_owned(),
        output_exponents: Some(Exponents {
            subnormal,
            first: -10,
            counts: vec![5; 8],
            ..Exponents::default()
        }),
        ..LayerFlow::default()
    };
    for (subnormal, limits) in [(0, 0), (1, 2)] {
        let steps = [FlowStep { layers: vec![layer(subnormal)], ..FlowStep::default() }];
        let svgs = FlowPage::new(&steps, &Header::default()).svgs();
        let (_, svg) = svgs.iter().find(|(name, _)| name == "exponents-outputs.svg").unwrap();
        assert_eq!(svg.matches("class=\"limit\"").count(), limits);
        let colours = rendered(svg);
        let orange = colours.get(&[0xc7, 0x77, 0x00]).copied().unwrap_or(0);
        assert_eq!(
            (svg.matches("class=\"lossy\"").count(), orange > 20),
            (limits / 2, limits > 0),
            "{orange}"
        );
    }
}

/// How many bars are in the box of their panel, how many are not, and of which range marks are seen.
const LOOK: &str = "<script>{ const look = () => { let inside = 0, outside = 0; \
                    for (const svg of document.querySelectorAll('svg.exponents')) { \
                    const box = svg.querySelector('.axis').getBoundingClientRect(); \
                    for (const path of svg.querySelectorAll('.numbers path')) { \
                    const { left, right, width } = path.getBoundingClientRect(); \
                    if (width > 0) (left > box.left - 1 && right < box.right + 1) ? inside += 1 : outside += 1; } } \
                    const seen = ['reached', 'whole'].filter((name) => getComputedStyle(document.querySelector('.exponents .' + name)).display !== 'none'); \
                    return `${seen}: ${inside > 20} ${outside}`; }; \
                    const box = document.getElementById('whole-range'), said = [look()]; \
                    box.click(); said.push(look()); \
                    const slider = document.getElementById('step'); \
                    slider.value = 0; slider.dispatchEvent(new Event('input')); said.push(look()); \
                    box.click(); said.push(look()); \
                    document.body.append(said.join('; ')); }</script></body>";

#[test]
fn a_browser_switches_between_the_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    let steps = VANISHING.record();
    let html = FlowPage::new(&steps, &recordings::header(&VANISHING)).html();
    let page = put(folder.path(), "look.html", &html.replace("</body>", LOOK));
    let Some(looked) = browse(&page, "", &profile) else { return };
    let right = "reached: true 0; whole: true 0; whole: true 0; reached: true 0";
    assert!(looked.contains(right), "{}", looked.rsplit("</script>").next().unwrap());

    // What is shown is saved.
    let checked = html.replace("id=\"whole-range\"", "id=\"whole-range\" checked");
    let [reached, whole] = [("reached", &html), ("whole", &checked)].map(|(name, html)| {
        let page = put(folder.path(), &format!("{name}.html"), &html.replace("</body>", SAVE));
        let svg = saved(&browse(&page, "#step=1", &profile).unwrap(), "exponents-outputs.svg");
        assert!(svg.contains(&format!("class=\"grid {name}\"")) && svg.matches("class=\"grid ").count() == 1);
        assert!(!svg.contains("--whole") && rendered(&svg)[&[0x00, 0x72, 0xb2]] > 100, "{name}");
        let group = svg.split("<g class=\"numbers\"").nth(1).unwrap().lines().next().unwrap().to_owned();
        let transform = attributes(&group, "transform")[0].to_owned();
        // A matrix, of which these are not 0 or 1.
        let numbers: Vec<f64> =
            transform.split(['(', ',', ')']).filter_map(|part| part.trim().parse().ok()).collect();
        assert_eq!(numbers.len(), 6, "{transform}");
        [numbers[4], numbers[0]]
    });
    let panel = Panel::of_page(&html, "exponents-outputs");
    for (saved, view) in [reached, whole].iter().zip(panel.views()) {
        assert!(
            saved.iter().zip(view).all(|(saved, view)| (saved / view - 1.0).abs() < 1e-3),
            "{saved:?} {view:?}"
        );
    }
    assert!(reached[1] > 2.0 * whole[1], "outputs take a part of what there is");
}
