//! What a user of the library may rely on when the parts work together.

use approx::assert_relative_eq;
use backflow::prelude::*;
use backflow::probe::FlowRow;
use backflow::store::{StoreError, atomic, weights};

fn digits(count: usize) -> Dataset {
    Mnist::embedded().train.subset(&(0..count).collect::<Vec<_>>())
}

fn network(dtype: DType) -> Mlp {
    Mlp::new(&[784, 24, 16, 10], Activation::Tanh, Init::XavierUniform, dtype, &mut Rng::seed_from_u64(3))
}

fn bits(model: &Mlp) -> Vec<u32> {
    let state = model.state().into_iter();
    state.flat_map(|(_, tensor)| tensor.to_vec::<f32>()).map(f32::to_bits).collect()
}

#[test]
fn the_trainer_computes_what_a_written_out_loop_computes_to_the_bit() {
    let data = digits(600);
    let loader = Loader::new(&data, 32).shuffle(5);
    let rule = || Optimizer::new(Adam::new(3e-3)).clip_norm(0.5).schedule(Cosine::new(57));

    let (mut by_trainer, mut optimizer) = (network(DType::F32), rule());
    let before = bits(&by_trainer);
    Trainer::new(&mut by_trainer, &mut optimizer).fit(&loader, &loader, 3, &mut ()).unwrap();

    let (mut by_hand, mut optimizer) = (network(DType::F32), rule());
    for epoch in 0..3 {
        for batch in loader.epoch(epoch) {
            let loss = by_hand.forward(&batch.inputs).cross_entropy(&batch.targets);
            let grads = loss.backward();
            let _ = optimizer.step(&mut by_hand, &grads);
        }
    }
    // The trainer watches its last epoch and evaluates after each: neither may change a bit.
    assert_eq!(bits(&by_trainer), bits(&by_hand));
    assert_ne!(bits(&by_trainer), before);
}

#[test]
fn the_table_of_layers_shows_the_gradients_of_the_layers_outputs() {
    let data = digits(40);
    let batch = Loader::new(&data, 40).dtype(DType::F64).batch(0, 0);
    let mut model = network(DType::F64);
    let weights: Vec<Tensor> = model.layers.iter().map(|layer| layer.weight.clone()).collect();
    let grads = model.forward(&batch.inputs).cross_entropy(&batch.targets).backward();
    let (mut recorder, mut optimizer) = (Recorder::new(&model), Optimizer::new(Sgd::new(0.1)));
    recorder.step(|| {
        optimizer.step_with(&mut model, |model| model.forward(&batch.inputs).cross_entropy(&batch.targets))
    });
    let rows = FlowRow::of(&recorder.records()[0]);

    // The same by asking for the gradients of intermediate results.
    let fresh = network(DType::F64);
    let z0 = fresh.layers[0].forward(&batch.inputs);
    let a0 = z0.tanh();
    let z1 = fresh.layers[1].forward(&a0);
    let a1 = z1.tanh();
    let z2 = fresh.layers[2].forward(&a1);
    let deltas = z2.cross_entropy(&batch.targets).differentiate().wrt(&[&z0, &z1, &z2]).run();
    let rms = |x: &Tensor| x.square().mean(..).item().sqrt();
    for (idx, (row, (z, a))) in rows.iter().zip([(&z0, &a0), (&z1, &a1), (&z2, &z2)]).enumerate() {
        assert_eq!(row.path, format!("layers.{idx}"));
        assert_relative_eq!(row.delta_rms.unwrap(), rms(deltas.of(z)), max_relative = 1e-12);
        assert_relative_eq!(row.activation_mean, a.mean(..).item(), max_relative = 1e-12);
        assert_relative_eq!(row.activation_std, a.std(.., 0).item(), max_relative = 1e-12);
        let gradient = grads.of(&weights[idx]);
        assert_relative_eq!(row.weight_gradient_rms.unwrap(), rms(gradient), max_relative = 1e-12);
        let ratio = 0.1 * rms(gradient) / rms(&weights[idx]);
        // The optimizer measures what it subtracted, after rounding.
        assert_relative_eq!(row.update_ratio.unwrap(), ratio, max_relative = 1e-6);
    }
}

#[test]
fn weights_survive_a_file_and_files_of_other_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let model = network(DType::F32);
    weights::save(&model, &path).unwrap();

    let mut other =
        Mlp::new(&[784, 24, 16, 10], Activation::Relu, Init::Zeros, DType::F32, &mut Rng::seed_from_u64(0));
    weights::load(&mut other, &path).unwrap();
    assert_eq!(bits(&other), bits(&model));
    assert_eq!(other.parameters().len(), 6, "parameters stay trainable");

    let mut wider =
        Mlp::new(&[784, 25, 16, 10], Activation::Relu, Init::Zeros, DType::F32, &mut Rng::seed_from_u64(0));
    let before = bits(&wider);
    let error = weights::load(&mut wider, &path).unwrap_err();
    assert!(matches!(error, StoreError::OtherModel { .. }), "{error}");
    assert!(error.to_string().contains("layers.0.weight is [24, 784]"), "{error}");
    assert_eq!(bits(&wider), before, "the model is unchanged");

    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 4, 8, 40, bytes.len() - 1] {
        let cut = folder.path().join("cut");
        atomic::write(&cut, &bytes[..length]).unwrap();
        let error = weights::load(&mut other, &cut).unwrap_err();
        assert!(matches!(error, StoreError::Weights { .. }), "{length} bytes: {error}");
    }
    assert_eq!(bits(&other), bits(&model));
}

#[test]
fn curvature_along_a_direction_is_the_slope_of_the_gradient() {
    let data = digits(20);
    let batch = Loader::new(&data, 20).dtype(DType::F64).batch(0, 0);
    let mut rng = Rng::seed_from_u64(1);
    let (w, v) = (
        0.05 * Tensor::randn([10, 784], DType::F64, &mut rng),
        Tensor::randn([10, 784], DType::F64, &mut rng),
    );
    let loss = |w: &Tensor| batch.inputs.matmul(&w.t()).tanh().cross_entropy(&batch.targets);
    let gradient = |w: Tensor| {
        let w = w.requires_grad();
        loss(&w).backward().take(&w).unwrap()
    };
    // Central difference of gradients: truncation h² and rounding ε/h are both about 1e-11 at h = 5e-6.
    let h = 5e-6;
    let slope = (gradient(&w + h * &v) - gradient(&w - h * &v)) / (2.0 * h);
    let exact = hvp(loss, &w, &v);
    let scale = exact.square().mean(..).item().sqrt();
    assert_relative_eq!((slope - exact).square().mean(..).item().sqrt() / scale, 0.0, epsilon = 1e-8);
}
