//! The theory of networks that are written as a model line, against closed forms, and what it says it does not know.

use backflow_nn::{Activation, Init, ModelLine, Plan};
use backflow_probe::{GradFlow, Inputs, LinePrediction, predict, predict_line};
use backflow_tensor::{DType, Rng, Tensor};
use std::f64::consts::PI;

fn plan(line: &str, sample: &[usize]) -> Plan {
    line.parse::<ModelLine>().unwrap().plan(sample, 10).unwrap()
}

fn theory(line: &str, init: &str, sample: &[usize]) -> LinePrediction {
    predict_line(&plan(line, sample), init.parse().unwrap(), &Inputs::of_mean_square(1.0)).unwrap()
}

/// E δ² of one path over that of another.
fn ratio(theory: &LinePrediction, paths: [&str; 2]) -> f64 {
    let [first, second] = paths.map(|path| theory.row(path).unwrap());
    assert_eq!(first.stretch, second.stretch, "{paths:?}");
    10_f64.powf(2.0 * (first.delta_decades - second.delta_decades))
}

fn square(theory: &LinePrediction, path: &str) -> f64 {
    theory.row(path).unwrap().rms.unwrap().powi(2)
}

fn is_near(found: f64, right: f64, tolerance: f64) {
    assert!((found / right - 1.0).abs() < tolerance, "{found} for {right}");
}

/// The theory of perceptrons is the same, written as a line or not.
#[test]
fn linear_layers() {
    for (activation, init) in
        [(Activation::Tanh, "he-normal:gain=1.3,bias_var=0.1"), (Activation::Gelu, "torch-linear")]
    {
        let line = format!("linear:32/{activation}/linear:64/{activation}/linear:16/{activation}/linear:10");
        let init: Init = init.parse().unwrap();
        let known = predict(activation, init, &[20, 32, 64, 16, 10], 1.0).unwrap();
        let found = theory(&line, &init.to_string(), &[20]);
        for (nth, path) in ["0", "2", "4", "6"].into_iter().enumerate() {
            is_near(found.row(path).unwrap().rms.unwrap(), known.preactivation_rms[nth], 1e-12);
            assert!((found.row(path).unwrap().delta_decades - known.delta_decades[nth]).abs() < 1e-12);
        }
        let of_word = theory(&format!("mlp:32,64,16,activation={activation}"), &init.to_string(), &[5, 4]);
        assert_eq!(of_word.row("layers.1").unwrap().delta_decades, found.row("2").unwrap().delta_decades);
    }
}

/// Where chance decides, it does so of networks that are written as a line.
#[test]
fn finite_width_decides() {
    let sizes = [&[32; 41][..], &[10]].concat();
    let known = predict(Activation::Silu, Init::XavierNormal, &sizes, 0.5).unwrap().finite_width;
    let plan = plan("[linear:32/silu]*40/linear:10", &[32]);
    let found = predict_line(&plan, Init::XavierNormal, &Inputs::of_mean_square(0.5)).unwrap();
    assert!(known.is_some());
    assert_eq!(found.notes(), [known.unwrap().to_string()]);
    assert_eq!(theory("[linear:64/relu]*20/linear:10", "he-normal", &[64]).finite_width, None);
}

/// Of kernels of more than one weight, too: slopes of networks on either side are on either side of that of wide ones,
/// which is their mean as long as ln E φ² and ln E φ′² are about straight: to a fifth of what lies between.
#[test]
fn finite_width_of_convolutions() {
    for (line, sample) in [
        ("[conv:32/silu]*8/flatten/linear:10", [32, 28, 28]),
        ("[conv:32,1/silu]*8/flatten/linear:10", [32, 4, 4]),
        ("[conv:32,padding=1/silu]*8/flatten/linear:10", [32, 9, 9]),
        ("conv:32,stride=2/silu/[conv:32,2/silu]*6/flatten/linear:10", [32, 17, 17]),
    ] {
        let plan = plan(line, &sample);
        let found = predict_line(&plan, Init::HeNormal, &Inputs::of_mean_square(0.36)).unwrap();
        let wide = found.rows.iter().zip(plan.rows()).filter(|(_, row)| row.parameters > 0);
        let wide: Vec<f64> = wide.map(|(row, _)| row.delta_decades).collect();
        let hidden = &wide[..wide.len() - 1];
        // Least squares, back.
        let middle = (hidden.len() - 1) as f64 / 2.0;
        let sums = hidden.iter().enumerate().fold([0.0; 2], |[xy, xx], (nth, decades)| {
            let x = middle - nth as f64;
            [xy + x * decades, xx + x * x]
        });
        let Some([low, high]) = found.finite_width.map(|found| found.slopes) else { panic!("{line}") };
        let slope = sums[0] / sums[1];
        assert!((slope - 0.5 * (low + high)).abs() < 0.2 * (high - low), "{line}: {low} {slope} {high}");
    }
    // Groups are by chance on their own.
    let grouped = plan("[conv:32,groups=4/silu]*8/flatten/linear:10", &[32, 28, 28]);
    let found = predict_line(&grouped, Init::HeNormal, &Inputs::of_mean_square(0.36)).unwrap();
    assert_eq!(found.finite_width, None);
}

/// Zeros around images of n × n: in each layer of 3 × 3, deep in a network, E x² and E δ² are multiplied by the largest
/// eigenvalue of the mean over three neighbours, (1 + 2 cos(π/(n + 1)))/3, of rows and of columns.
#[test]
fn borders() {
    let found = theory("[conv:8,padding=1/relu]*60/flatten/linear:10", "he-normal", &[8, 8, 8]);
    let eigenvalue = (1.0 + 2.0 * (PI / 9.0).cos()) / 3.0;
    is_near(ratio(&found, ["20", "22"]), eigenvalue.powi(2), 1e-6);
    is_near(square(&found, "110") / square(&found, "108"), eigenvalue.powi(2), 1e-6);
    // Weights in the middle of the kernel see no border.
    let found = theory("[conv:8,padding=1/relu]*5/flatten/linear:10", "delta-orthogonal", &[8, 8, 8]);
    is_near(ratio(&found, ["0", "8"]), 1.0, 1e-12);
    // Strides and groups: of a 1 × 1 kernel of stride 2, one pixel of four gets anything.
    let found = theory("conv:8,1/conv:16,1,stride=2,groups=2/flatten/linear:10", "normal:0:0.5", &[8, 8, 8]);
    is_near(ratio(&found, ["0", "1"]), 0.25 * 8.0 / 4.0, 1e-12);
    is_near(square(&found, "1") / square(&found, "0"), 0.25 * 4.0, 1e-12);
}

/// Yang et al. 2019: √(π/(π − 1)) per layer of relu, nothing of linear ones. ε = 1e-5 is what is off.
#[test]
fn batch_normalisation() {
    let found = theory("[linear:64/batchnorm/relu]*5/linear:10", "he-normal", &[64]);
    is_near(ratio(&found, ["3", "6"]), PI / (PI - 1.0), 1e-4);
    let found = theory("[conv:8,1/batchnorm/relu]*5/flatten/linear:10", "lecun-uniform", &[8, 6, 6]);
    is_near(ratio(&found, ["3", "6"]), PI / (PI - 1.0), 1e-4);
    let found = theory("[linear:64/batchnorm]*5/linear:10", "he-normal", &[64]);
    is_near(ratio(&found, ["2", "4"]), 1.0, 1e-4);
    // Of data of which the mean square is known only, nobody knows what samples have in common.
    assert_ne!(found.row("0").unwrap().stretch, found.row("1").unwrap().stretch);
    let batch = Tensor::randn([512, 64], DType::F64, &mut Rng::seed_from_u64(1)) + 1.0;
    let known =
        predict_line(&plan("linear:64/batchnorm/linear:10", &[64]), Init::LecunNormal, &Inputs::of(&batch))
            .unwrap();
    // E x² is 2 and E x x′ is 1, to √(2/512) of it at most.
    is_near(ratio(&known, ["0", "1"]), 1.0, 0.0625);
    is_near(square(&known, "0"), 2.0, 0.0625);
}

/// He's weights double E x² per block, and E δ². Normalised branches: E δ² of block l grows as their sum, q(l) = 1 + l,
/// does where the branch is linear; with batch normalisation and relu by 1 + 1/v(l), v(l + 1) = v(l) + 1 − 1/π.
#[test]
fn residual_blocks() {
    let found = theory("linear:8/[residual(relu/linear:8)]*4/linear:10", "he-normal", &[8]);
    is_near(square(&found, "4") / square(&found, "2"), 4.0, 1e-12);
    is_near(ratio(&found, ["1", "3"]), 4.0, 1e-12);
    let found = theory("linear:8/[residual(layernorm/linear:8)]*9/linear:10", "lecun-normal", &[8]);
    is_near(square(&found, "9"), 10.0, 1e-4);
    is_near(ratio(&found, ["0", "9"]), 10.0, 1e-4);
    is_near(ratio(&found, ["3", "9"]), 10.0 / 4.0, 1e-4);
    // E x² is 2 in front of a normalisation of the sum, as E δ² is of what comes back through two ways.
    let found = theory("linear:8/[residual(linear:8)/layernorm]*9/linear:10", "lecun-normal", &[8]);
    is_near(ratio(&found, ["4", "10"]), 1.0, 1e-4);
    is_near(square(&found, "9"), 2.0, 1e-4);
    let line = "linear:8/batchnorm/[residual(batchnorm/relu/linear:8)]*6/linear:10";
    let found = theory(line, "he-normal", &[8]);
    let variances = (1..=5).map(|block| 1.0 + f64::from(block) * (1.0 - 1.0 / PI));
    is_near(ratio(&found, ["2", "7"]), variances.map(|v| 1.0 + 1.0 / v).product(), 1e-4);
    // A factor, and the mean of a branch: E (x + f b)² = E x² + f² E b² + 2 f E x E b.
    let found = theory("linear:8/relu/residual:0.5(linear:8/relu)/linear:10", "he-normal", &[8]);
    let (x, b) = (square(&found, "1"), square(&found, "2.1"));
    is_near(square(&found, "2"), x + 0.25 * b + 2.0 * 0.5 * 2.0 * (x * b).sqrt() / (2.0 * PI), 1e-12);
    // Its deltas add up along that mean, which is not followed.
    assert!(found.row("2").unwrap().not_predicted.is_some());
}

/// A branch is independent of what goes past it where every way through it crosses random weights: of x + (x + Wx) both
/// E y² and E δ² are 5 times as large, not 3.
#[test]
fn residual_blocks_in_residual_blocks() {
    for (inner, is_known) in [
        ("residual(linear:8)", false),
        ("layernorm/residual(linear:8)", false),
        ("dropout:0.1/residual(linear:8)", false),
        ("residual(linear:8)/linear:8", true),
        ("linear:8/residual(layernorm)", true),
    ] {
        let line = format!("linear:8/residual({inner})/linear:10");
        let found = theory(&line, "lecun-normal", &[8]);
        let is_compared = found.row("0").unwrap().stretch == found.row("1").unwrap().stretch;
        let is_told = found.row("1").unwrap().rms.is_some();
        // A sum whose branch holds an unknown one is not known either.
        assert_eq!(
            (is_compared, is_told),
            if inner.ends_with("(layernorm)") { (false, false) } else { (is_known, is_known) },
            "{line}"
        );
    }
    let found = theory("linear:8/residual(residual(linear:8)/linear:8)/linear:10", "lecun-normal", &[8]);
    is_near(square(&found, "1") / square(&found, "0"), 3.0, 1e-12);
    is_near(ratio(&found, ["0", "1"]), 3.0, 1e-12);
}

/// What a branch is multiplied by, it is on the way back too, whatever becomes of the sum.
#[test]
fn factor_of_a_branch_without_weights() {
    let found = theory("linear:8/residual:0.1(layernorm)/linear:10", "he-normal", &[8]);
    is_near(ratio(&found, ["1.0", "1"]), 0.01, 1e-12);
}

/// What is normalised, has a mean square of 1 in all; which place has how much of it is another matter.
#[test]
fn places_of_what_is_normalised() {
    for norm in ["batchnorm", "layernorm"] {
        let found = theory(
            &format!("maxpool:2/{norm}/conv:8,padding=1/relu/flatten/linear:10"),
            "he-normal",
            &[4, 8, 8],
        );
        assert_eq!((found.row("2").unwrap().rms, found.row("3").unwrap().rms), (None, None), "{norm}");
        // Of one place, and of places that are alike, it is known.
        let found = theory(&format!("{norm}/conv:8/flatten/linear:10"), "he-normal", &[1, 8, 8]);
        is_near(square(&found, "1"), 1.0, 1e-4);
        let found = theory(&format!("{norm}/linear:8/relu/linear:10"), "he-normal", &[16]);
        is_near(square(&found, "1"), 2.0, 1e-4);
    }
    // Units of data, each normalised by its own mean and variance.
    let batch = Tensor::randn([16, 1, 8, 8], DType::F64, &mut Rng::seed_from_u64(1));
    let plan = plan("batchnorm/conv:8,padding=1/relu/flatten/linear:10", &[1, 8, 8]);
    let found = predict_line(&plan, Init::HeNormal, &Inputs::of(&batch)).unwrap();
    assert_eq!(found.row("1").unwrap().rms, None);
}

/// What theory does not know ends a stretch, and says why; what stands on either side is predicted.
#[test]
fn what_has_no_theory() {
    for (line, place) in [
        ("conv:8/relu/maxpool:2/conv:8,1/relu/flatten/linear:10", "2"),
        ("conv:8/relu/groupnorm:2/conv:8,1/relu/flatten/linear:10", "2"),
        // The function of a sum that is not normal, of data, and of what is both kept and dropped.
        ("linear:8/relu/residual(linear:8)/relu/linear:10", "3"),
        ("flatten/relu/linear:8/relu/linear:10", "1"),
        ("linear:8/dropout:0.5/relu/linear:10", "2"),
        // Units differ in how they vary over the samples.
        ("linear:8/relu/batchnorm/linear:10", "2"),
        ("linear:8/residual(linear:8/relu)/linear:10", "1"),
        ("linear:8/residual(relu)/linear:10", "1"),
    ] {
        let sample: &[usize] = if line.contains("flatten") { &[4, 8, 8] } else { &[16] };
        let found = theory(line, "he-normal", sample);
        let front =
            found.rows.iter().take_while(|row| row.path != place).filter(|row| !row.path.contains('.'));
        let front = front.last().unwrap().stretch;
        let place = found.rows.iter().position(|row| row.path == place).unwrap();
        let ends: Vec<usize> =
            (0..found.rows.len()).filter(|&row| found.rows[row].not_predicted.is_some()).collect();
        assert!(ends.contains(&place), "{line}: {ends:?}");
        assert_ne!(found.rows[place].stretch, front, "{line}");
        assert!(!found.notes().is_empty());
        assert!(found.rows.iter().all(|row| row.delta_decades.is_finite()), "{line}");
    }
    let mean = |init| predict_line(&plan("linear:10", &[8]), init, &Inputs::of_mean_square(1.0));
    assert_eq!((mean(Init::Constant(0.1)), mean(Init::Normal { mean: 0.1, std: 1.0 })), (None, None));
    let nothing = theory("linear:8/tanh/residual(linear:8)/linear:10", "zeros", &[8]);
    assert_eq!(nothing.row("0").unwrap().delta_decades, f64::NEG_INFINITY);
    // Each reason once, however many places there are.
    let notes = theory("resnet:20", "he-normal", &[3, 32, 32]).notes();
    assert!(
        notes.len() == 2 && notes.iter().any(|note| note.contains(" more are not compared")),
        "{notes:#?}"
    );
}

/// It stands beside rows as those of perceptrons do; deltas are those of the last layer that is no output.
#[test]
fn beside_the_measurement() {
    let plan = plan("[linear:32/layernorm/tanh]*4/linear:10", &[16]);
    let mut rng = Rng::seed_from_u64(3);
    let model = plan.build(Init::LecunNormal, DType::F64, &mut rng);
    let x = Tensor::randn([16, 16], DType::F64, &mut rng);
    let theory = predict_line(&plan, Init::LecunNormal, &Inputs::of(&x)).unwrap();
    let flow = GradFlow::record(&*model, || model.forward(&x).square().sum(..)).with_theory(theory);
    let (rows, deltas) = (flow.rows(), flow.predicted_deltas());
    assert_eq!((rows[7].path.as_str(), rows[8].path.as_str(), rows.len()), ("10", "12", 9));
    assert_eq!((deltas[7], deltas[8]), (rows[7].delta_rms, None));
    assert!(
        deltas[..7]
            .iter()
            .zip(rows)
            .all(|(delta, row)| { (delta.unwrap() / row.delta_rms.unwrap()).log10().abs() < 0.2 })
    );
    assert!(flow.predicted_activations()[..8].iter().all(Option::is_some));
    assert!((flow.predicted_slope().unwrap() - flow.slope().unwrap().0).abs() < 0.05);
    assert!(flow.to_string().contains("in theory."), "{flow}");
}

/// A stretch of which one row is measured says nothing: it would repeat the measurement.
#[test]
fn rows_on_their_own() {
    let plan = plan("conv:8/relu/maxpool:2/flatten/linear:10", &[4, 8, 8]);
    let mut rng = Rng::seed_from_u64(3);
    let model = plan.build(Init::HeNormal, DType::F64, &mut rng);
    let x = Tensor::randn([4, 4, 8, 8], DType::F64, &mut rng);
    let theory = predict_line(&plan, Init::HeNormal, &Inputs::of(&x)).unwrap();
    let flow = GradFlow::record(&*model, || model.forward(&x).square().sum(..)).with_theory(theory);
    assert!(flow.predicted_deltas().iter().all(Option::is_none), "{:?}", flow.predicted_deltas());
}

#[test]
#[should_panic(expected = "samples have another shape")]
fn samples_of_another_shape() {
    let batch = Tensor::zeros([4, 9], DType::F64);
    let _ = predict_line(&plan("linear:10", &[8]), Init::HeNormal, &Inputs::of(&batch));
}
