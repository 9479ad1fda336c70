//! The theory of networks that are written as a model line, against networks: deltas and signals of real layers of
//! real width, in training, at initialisation.
//!
//! A network differs from the theory by chance. Per layer, the mean square of n channels fluctuates by √(k/n) with k
//! up to 5, that of relu, and these steps add up as a random walk: after L layers, log₁₀ of a root mean square is off
//! by 0.217 √(k L / (n · seeds)), and lower by half the variance, 0.109 k L / n, as logarithms are. Samples and places
//! that have nothing in common are as many networks, for what chance does: where layers do not make them alike, it is
//! divided by their number. Three deviations are asked; seeds are fixed.
#![allow(clippy::print_stdout, reason = "the measured figures are worth seeing: --nocapture")]

use backflow_nn::{Init, ModelLine};
use backflow_probe::{FlowRow, GradFlow, Inputs, LinePrediction, LineRow, predict_line};
use backflow_tensor::{DType, Rng, Tensor, training};

const SEEDS: u64 = 3;

/// A network, and what chance does to it.
struct Case {
    line: &'static str,
    init: &'static str,
    sample: &'static [usize],
    batch: usize,
    /// The width, times how many samples and places have nothing in common.
    numbers: usize,
    layers: usize,
}

fn networks(line: &str, init: &str, sample: &[usize], batch: usize) -> (LinePrediction, Vec<GradFlow>) {
    let plan = line.parse::<ModelLine>().unwrap().plan(sample, 10).unwrap();
    let init: Init = init.parse().unwrap();
    let data = |rng: &mut Rng| Tensor::randn([&[batch], sample].concat(), DType::F64, rng);
    let flow = |seed| {
        let mut rng = Rng::seed_from_u64(seed);
        let model = plan.build(init, DType::F64, &mut rng);
        let (x, end) = (data(&mut rng), Tensor::randn([batch, 10], DType::F64, &mut rng));
        GradFlow::record(&*model, || training(&rng, || (model.forward(&x) * &end).sum(..)))
    };
    let theory = predict_line(&plan, init, &Inputs::of(&data(&mut Rng::seed_from_u64(99)))).unwrap();
    (theory, (0..SEEDS).map(flow).collect())
}

/// Of each row, the mean over the networks of log₁₀ of a figure.
fn logs(flows: &[GradFlow], figure: impl Fn(&FlowRow) -> f64) -> Vec<f64> {
    let of_row = |row: usize| flows.iter().map(|flow| figure(&flow.rows()[row]).log10()).sum::<f64>();
    (0..flows[0].rows().len()).map(|row| of_row(row) / flows.len() as f64).collect()
}

impl Case {
    fn tolerance(&self) -> f64 {
        let (layers, numbers) = (5.0 * self.layers as f64, self.numbers as f64);
        3.0 * 0.217 * (layers / (numbers * SEEDS as f64)).sqrt() + 0.109 * layers / numbers
    }

    fn check(&self) {
        let Self { line, init, sample, batch, .. } = *self;
        let (theory, flows) = networks(line, init, sample, batch);
        let (rows, tolerance) = (flows[0].rows(), self.tolerance());
        let (deltas, signals) =
            (logs(&flows, |row| row.delta_rms.unwrap()), logs(&flows, |row| row.activation_rms));
        let (mut far, mut compared) = (0.0_f64, 0);
        for (place, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_end) {
            let of = |row: &FlowRow| theory.row(&row.path).unwrap();
            let is_beside = |other: &&FlowRow| !other.is_end && of(other).stretch == of(row).stretch;
            let anchor = rows.iter().rposition(|other| is_beside(&other)).unwrap();
            let predicted = of(row).delta_decades - of(&rows[anchor]).delta_decades;
            let off = deltas[place] - deltas[anchor] - predicted;
            assert!(off.abs() < tolerance, "{line} {init}, delta of {}: {off:+.4}, {tolerance:.4}", row.path);
            let LineRow { rms, activation_rms, .. } = of(row);
            let signal = if row.activation.is_some() { activation_rms } else { rms };
            let off_forward = signal.map_or(0.0, |rms| signals[place] - rms.log10());
            assert!(
                off_forward.abs() < tolerance,
                "{line} {init}, signal of {}: {off_forward:+.4}",
                row.path
            );
            far = far.max(off.abs()).max(off_forward.abs());
            compared += usize::from(anchor > place);
        }
        assert!(compared >= 2, "{line}: hardly anything is predicted");
        let measured = flows.iter().map(|flow| flow.slope().unwrap().0).sum::<f64>() / flows.len() as f64;
        let predicted = theory.slope(rows);
        println!(
            "{line} {init}: within {far:.4} (of {tolerance:.4}), slope {measured:+.4} for {predicted:+.4?}"
        );
        if let Some(predicted) = predicted {
            assert!(
                (measured - predicted).abs() < 2.0 * tolerance / self.layers as f64,
                "{line}: {measured} for {predicted}"
            );
        }
    }
}

fn images(line: &'static str, init: &'static str, layers: usize) -> Case {
    // Deltas of samples have nothing in common, and those of places that are a kernel apart.
    Case { line, init, sample: &[16, 8, 8], batch: 16, numbers: 64 * 16, layers }
}

/// Xiao et al. 2018, with the zeros around images: the first layer takes 0.92 of RMS, and deep ones tend to 0.96.
#[test]
fn convolutions() {
    for (line, init, layers) in [
        ("[conv:64,padding=1/relu]*6/flatten/linear:10", "he-normal", 6),
        ("[conv:64,padding=1/tanh]*6/flatten/linear:10", "lecun-normal:gain=0.8,bias_var=0.05", 6),
        ("[conv:64,padding=1/tanh]*6/flatten/linear:10", "lecun-normal:gain=1.8", 6),
        ("[conv:64,padding=1/relu]*4/flatten/linear:10", "delta-orthogonal", 4),
        (
            "conv:64,stride=2,padding=1/relu/conv:64,padding=same,groups=4/relu/conv:64,2x3/relu/flatten/linear:10",
            "he-uniform",
            4,
        ),
        (
            "conv:64,3,padding=2,dilation=2/relu/conv:64,1/relu/avgpool:2/conv:64/relu/adaptiveavgpool/flatten/linear:10",
            "he-normal",
            4,
        ),
    ] {
        images(line, init, layers).check();
    }
}

/// Yang et al. 2019: back through batch normalisation deltas grow, by √(π/(π − 1)) = 1.211 per layer of relu. A batch
/// of B makes it some 0.3/B decades more per layer: what goes through its mean and variance.
#[test]
fn batch_normalisation() {
    images("[conv:64,padding=1,bias=false/batchnorm/relu]*6/flatten/linear:10", "he-normal", 6).check();
    images("[conv:64,padding=1/batchnorm/tanh]*4/flatten/linear:10", "xavier-normal", 4).check();
    let of_rows = |line, init| Case { line, init, sample: &[64], batch: 256, numbers: 256 * 4, layers: 8 };
    of_rows("[linear:256/batchnorm/relu]*8/linear:10", "he-normal").check();
    of_rows("[linear:256/batchnorm/tanh]*8/linear:10", "lecun-normal").check();
}

/// With He's weights E x² doubles per block, and E δ² on the way back; scaled down, it need not. With normalised
/// branches both grow as the number of blocks does (Yang and Schoenholz 2017; De and Smith 2020).
#[test]
fn residual_blocks() {
    for (line, layers) in [
        ("conv:64,padding=1/[residual(relu/conv:64,padding=1)]*5/flatten/linear:10", 6),
        (
            "conv:64,padding=1/[residual:0.5(relu/conv:64,padding=1/relu/conv:64,padding=1)]*3/flatten/linear:10",
            7,
        ),
        (
            "conv:64/[residual(batchnorm/relu/conv:64,padding=1/batchnorm/relu/conv:64,padding=1)]*3/batchnorm/relu/adaptiveavgpool/flatten/linear:10",
            7,
        ),
        (
            "conv:32/residual(conv:64,stride=2,padding=1/relu/conv:64,padding=1)/relu/conv:64/relu/flatten/linear:10",
            5,
        ),
    ] {
        images(line, "he-normal", layers).check();
    }
    // Branches whose mean is not 0, and which end in what is not normal.
    for (line, init) in [
        ("linear:256/[residual(linear:256/tanh)]*6/linear:10", "lecun-normal"),
        ("linear:256/relu/[residual(linear:256/sigmoid)]*6/linear:10", "xavier-normal"),
    ] {
        Case { line, init, sample: &[64], batch: 32, numbers: 256 * 4, layers: 7 }.check();
    }
}

/// After the sum deltas shrink in each block (Xiong et al. 2020); before it, in the branch, they fall off as 1/l.
/// Layers of relu make samples alike.
#[test]
fn layer_normalisation() {
    let of_rows =
        |line, layers| Case { line, init: "he-normal", sample: &[64], batch: 32, numbers: 256, layers };
    of_rows("linear:256/[residual(layernorm/linear:256/relu/linear:256)]*6/layernorm/linear:10", 6).check();
    of_rows("linear:256/[residual(linear:256/relu/linear:256)/layernorm]*6/linear:10", 6).check();
    of_rows("[linear:256/relu/layernorm]*6/linear:10", 6).check();
    of_rows("[linear:256/rmsnorm/relu/dropout:0.3]*6/linear:10", 6).check();
    images("[conv:64,padding=1/layernorm/relu]*5/flatten/linear:10", "he-normal", 5).check();
}

/// Of a background of zeros, weights without biases make zeros, at which the slope of relu is 0, and not ½ on average.
/// Layer normalisation puts all channels of it on one side, by chance on which.
#[test]
fn backgrounds() {
    let sample = [1, 16, 16];
    let mut x = Tensor::randn([16, 1, 16, 16], DType::F64, &mut Rng::seed_from_u64(4)).to_f64_vec();
    x.iter_mut().enumerate().filter(|(number, _)| number / 16 % 16 >= 8).for_each(|(_, x)| *x = 0.0);
    let x = Tensor::from_vec(x, [16, 1, 16, 16]);
    let check = |line: &str| {
        let plan = line.parse::<ModelLine>().unwrap().plan(&sample, 10).unwrap();
        let theory = predict_line(&plan, Init::HeNormal, &Inputs::of(&x)).unwrap();
        let flow = |seed| {
            let mut rng = Rng::seed_from_u64(seed);
            let model = plan.build(Init::HeNormal, DType::F64, &mut rng);
            let end = Tensor::randn([16, 10], DType::F64, &mut rng);
            GradFlow::record(&*model, || (model.forward(&x) * &end).sum(..))
        };
        (theory, (0..SEEDS).map(flow).collect::<Vec<_>>())
    };
    let (theory, flows) = check("[conv:64,padding=1/relu]*4/flatten/linear:10");
    let deltas = logs(&flows, |row| row.delta_rms.unwrap());
    let predicted = |path| theory.row(path).unwrap().delta_decades - theory.row("6").unwrap().delta_decades;
    // If they were ½ everywhere, the first would be off by 0.08.
    for (row, path) in ["0", "2", "4"].into_iter().enumerate() {
        let off = deltas[row] - deltas[3] - predicted(path);
        println!("{path}: {off:+.4}");
        assert!(off.abs() < 0.03, "{path}: {off}");
    }
    assert!(predicted("0") < predicted("2") - 0.01, "windows see more the deeper a layer is");
    let (theory, _) = check("[conv:64,padding=1/layernorm/relu]*2/flatten/linear:10");
    assert!(theory.row("2").unwrap().not_predicted.is_some());
}

/// Where there is no theory, stretches end: what is behind the pool is not compared with what is in front of it.
#[test]
fn whole_networks() {
    let images = |line, sample, batch, layers| Case {
        line,
        init: "he-normal",
        sample,
        batch,
        numbers: 32 * batch,
        layers,
    };
    images("cnn", &[1, 28, 28], 4, 4).check();
    let (theory, flows) = networks("cnn", "he-normal", &[1, 28, 28], 4);
    assert_eq!(theory.slope(flows[0].rows()), None, "a line of which some is not known");
    images("conv:32,padding=1/batchnorm/relu/residual(conv:64,stride=2,padding=1/batchnorm/relu/conv:64,padding=1/batchnorm)/relu/adaptiveavgpool/flatten/linear:10", &[3, 16, 16], 8, 4).check();
}
