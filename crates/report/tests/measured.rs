//! The page of a flow that was measured: verdicts, theory, files.

use backflow_nn::{Activation, Init, Mlp};
use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{GradFlow, Recorder, predict};
use backflow_report::{FlowPage, Header};
use backflow_tensor::{DType, Rng, Role, Tensor};

#[test]
fn a_flow_has_a_page_with_theory_and_verdicts() {
    let mut rng = Rng::seed_from_u64(1);
    let sizes = [[32; 9].as_slice(), &[10]].concat();
    let model = Mlp::new(&sizes, Activation::Sigmoid, Init::XavierNormal, DType::F32, &mut rng);
    let (x, y) = (Tensor::randn([64, 32], DType::F32, &mut rng), Tensor::from_vec(vec![3_i64; 64], [64]));
    let flow = GradFlow::record(&model, || model.forward(&x).cross_entropy(&y));
    assert_eq!(Header::of(&flow).theory, None);
    let flow = flow
        .with_theory(predict(Activation::Sigmoid, Init::XavierNormal, &sizes, 1.0).unwrap())
        .with_eps(1.0);

    let header = Header::of(&flow);
    assert!(
        header.verdicts[0].starts_with("VANISHING: deltas") && header.verdicts[0].contains(". What helps: ")
    );
    // Every gradient is below an ε of 1.
    let page = FlowPage::of(&flow).html();
    let says = "<strong class=\"bad\">EPS-FLOORED</strong>: gradient ";
    let cells = page.split("<td class=\"words\" data-judged=").skip(1);
    let cells: Vec<&str> =
        cells.map(|cell| cell.split_once('>').unwrap().1.split("</td>").next().unwrap()).collect();
    let layers = cells.iter().step_by(2);
    assert!(cells.len() == 17 && layers.clone().all(|cell| cell.starts_with(says)), "{cells:?}");
    assert!(cells[16].ends_with(", eps 1e0") && cells[1].is_empty());
    // Curves stand where the layers are: deltas at linear layers, activations at functions.
    let theory = header.theory.unwrap();
    let layers = &flow.step().layers;
    assert_eq!([theory.delta_rms.len(), theory.activation_rms.len()], [layers.len(); 2]);
    for (layer, (delta, activation)) in
        layers.iter().zip(theory.delta_rms.iter().zip(&theory.activation_rms)).take(16)
    {
        let (measured, predicted) = if layer.kind.role == Role::WeightedMap {
            assert!(activation.is_nan());
            (layer.delta.unwrap().rms, delta)
        } else {
            assert!(delta.is_nan());
            (layer.output.rms, activation)
        };
        // 8 layers of width 32 scatter by √8/√32 of themselves.
        assert!((0.5..2.0).contains(&(measured / predicted)), "{}: {measured}, {predicted}", layer.path);
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.html");
    FlowPage::of(&flow).save(&path).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert_eq!(page, FlowPage::of(&flow).html());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(header.theory_notes.len(), 1);
    let depth = "Theory, of the network before it is trained: 8 hidden layers are 23 depth scales";
    for part in ["VANISHING", "EPS-FLOORED", "theory", depth, "<h1>Gradient flow</h1>"] {
        assert!(page.contains(part), "{part}");
    }
    let nowhere = folder.path().join("nowhere").join("flow.html");
    let error = FlowPage::of(&flow).save(&nowhere).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot be written: ", nowhere.display())), "{error}");
}

/// Of several steps the page has all, and theory beside the first only.
#[test]
fn the_page_of_a_recording_has_its_steps() {
    let mut rng = Rng::seed_from_u64(0);
    let mut model = Mlp::new(&[4, 8, 8, 2], Activation::Tanh, Init::LecunNormal, DType::F32, &mut rng);
    let x = Tensor::randn([16, 4], DType::F32, &mut rng);
    let theory = predict(Activation::Tanh, Init::LecunNormal, &[4, 8, 8, 2], 1.0).unwrap();
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let mut recorder = Recorder::new(&model);
    for _ in 0..3 {
        recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..)));
    }
    let flow = GradFlow::of(recorder.records()).with_theory(theory);
    let page = FlowPage::of(&flow).html();
    assert!(page.contains("\"steps\":[1,2,3]") && page.contains("theory"), "three steps, with a slider");
}
