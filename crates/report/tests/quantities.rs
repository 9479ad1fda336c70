//! Laws of the table of quantities: what it says of how each is drawn, pages do; and each has a tag in event
//! files.

use backflow_nn::{Activation, Init, Mlp};
use backflow_optim::Optimizer;
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{AttentionFlow, Drawn, FlowStep, LostFlow, Measured, Quantity, Read, Recorder, When};
use backflow_report::tensorboard::EventFile;
use backflow_report::{FlowPage, Header};
use backflow_tensor::{DType, Rng, Tensor};

/// A small training of which everything is measured.
fn record(activation: Activation) -> Vec<FlowStep> {
    let mut rng = Rng::seed_from_u64(3);
    let mut model = Mlp::new(&[5, 8, 6, 3], activation, Init::HeNormal, DType::F32, &mut rng);
    let x = Tensor::randn([12, 5], DType::F32, &mut rng);
    let labels = Tensor::from_vec((0..12).map(|i| i % 3).collect::<Vec<i64>>(), [12]);
    let mut optimizer = Optimizer::from_spec("sgd:momentum=0.9", Some(0.1)).unwrap();
    let always = When::Every(1);
    let recorder = Recorder::new(&model)
        .histograms(always)
        .units(always)
        .gradient_cosines(always)
        .noise_scale(always)
        .curvature(always)
        .jacobians(always);
    let by_themselves =
        QUANTITIES.iter().filter(|quantity| matches!(quantity.measured, Measured::Itself { .. }));
    let mut recorder = by_themselves.fold(recorder, |recorder, quantity| recorder.measure(quantity, always));
    recorder.begin_epoch();
    let loss = |model: &Mlp| model.forward(&x).cross_entropy(&labels);
    for _ in 0..4 {
        recorder.measure_curvature(&model, loss);
        recorder.measure_jacobians(&model, |x| model.forward(x), &x);
        recorder.step(|| optimizer.step_with(&mut model, loss));
    }
    let mut steps = recorder.take_records();
    // What a network without residual blocks, recurrent layers and attention has not.
    for layer in steps.iter_mut().map(|step| &mut step.layers[2]) {
        let heads = || vec![0.25, 0.75];
        layer.attention =
            Some(AttentionFlow { entropy: heads(), relative_entropy: heads(), largest_weight: heads() });
        let more = &mut layer.more;
        let is_of_others = |quantity: &&&Quantity| {
            matches!((quantity.read, quantity.measured), (Read::MoreOfLayer, Measured::Looks))
        };
        let others = QUANTITIES.iter().filter(is_of_others);
        more.extend(others.map(|quantity| (quantity.name.to_owned(), 0.5)));
    }
    // What a healthy training has not.
    for parameter in steps.iter_mut().flat_map(|step| &mut step.parameters) {
        parameter.changed_share = Some(0.25);
        parameter.lost_state = Some(LostFlow { rule: "adam".to_owned(), share: 0.125, since: 1 });
    }
    steps
}

/// Whether a page shows the quantity as its row says.
fn is_drawn(quantity: &Quantity, page: &str, files: &[String]) -> bool {
    let Quantity { name, title, .. } = quantity;
    let is_titled = |title: &str| page.contains(&format!("<figcaption>{title} <span>"));
    let is_shown =
        page.contains(&format!("data-of=\"{name}\"")) || page.contains(&format!("\"of\":\"{name}\""));
    let is_placed = matches!(
        quantity.read,
        Read::Layer(_) | Read::MoreOfLayer | Read::Parameter(_) | Read::MoreOfParameter
    );
    let is_column = page.contains(&format!("<th scope=\"col\">{title}"));
    let is_file = |id: &str| files.contains(&format!("{id}.svg"));
    match quantity.drawn {
        Drawn::EventFiles => !is_shown,
        Drawn::Table => is_shown && is_column,
        Drawn::BelowMap => is_titled(title),
        Drawn::Curves { chart, .. } => {
            is_titled(chart.title) && is_file(chart.id) && is_shown && (is_column || !is_placed)
        }
        Drawn::Curve { chart, name, .. } => {
            let is_over_run = matches!(quantity.read, Read::Step(_));
            is_titled(chart.title)
                && is_file(chart.id)
                // A chart of one curve over the run has no legend; of parameters, each kind has a curve.
                && (page.contains(&format!(">{name}</text>"))
                    || page.contains(&format!(">{name}, weight</text>"))
                    || is_over_run)
                && (is_shown || is_over_run)
                && (is_column || !is_placed)
        }
        Drawn::Limit { chart, .. } => is_titled(chart.title),
        Drawn::Caption { chart } => is_titled(chart.title) && is_shown,
        Drawn::Histograms { id } => is_titled(title) && is_file(id),
        Drawn::HeadMap { id } => is_titled(title) && is_file(id),
        Drawn::UnitMaps { id } => is_titled(&format!("{title}: layers.0")) && is_file(&format!("{id}-1")),
    }
}

#[test]
fn each_is_drawn_as_its_row_says() {
    let pages = [Activation::Relu, Activation::Tanh].map(|activation| {
        let steps = record(activation);
        let header = Header::default();
        let page = FlowPage::new(&steps, &header);
        (page.html(), page.svgs().into_iter().map(|(file, _)| file).collect::<Vec<_>>())
    });
    for quantity in QUANTITIES {
        assert!(
            pages.iter().any(|(page, files)| is_drawn(quantity, page, files)),
            "{}: {:?}",
            quantity.name,
            quantity.drawn
        );
    }
}

#[test]
fn each_has_a_tag_in_event_files() {
    let recordings = [Activation::Relu, Activation::Tanh].map(|activation| {
        let steps = record(activation);
        (EventFile::of(&steps, |flow| flow.step as f64).into_bytes(), steps)
    });
    for quantity in QUANTITIES {
        let is_tagged = recordings.iter().any(|(bytes, steps)| {
            let figures = quantity.figures(&steps[steps.len() - 1]);
            !figures.is_empty()
                && figures.iter().all(|(path, _)| {
                    let tag = match path {
                        Some(path) => format!("{}/{path}", quantity.name),
                        None => format!("run/{}", quantity.name),
                    };
                    // A text is preceded by its length: no tag is taken for the beginning of another.
                    let text = [&[tag.len() as u8], tag.as_bytes()].concat();
                    bytes.windows(text.len()).any(|window| window == text)
                })
        });
        assert!(is_tagged, "{}", quantity.name);
    }
}
