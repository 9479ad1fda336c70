//! What a record says of samples, against a pass back for each of them on its own.

use backflow_optim::{Optimizer, Sgd};
use backflow_probe::{FlowStep, Recorder, When};
use backflow_tensor::{Module, Tensor};
use std::ops::Range;

/// One step of a model that is looked at.
pub(crate) fn record<M: Module>(model: &mut M, loss: impl Fn(&M) -> Tensor) -> FlowStep {
    let mut recorder = Recorder::new(model).noise_scale(When::Every(1));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    recorder.step(|| optimizer.step_with(model, |model| loss(model)));
    recorder.take_records().remove(0)
}

/// The record of `n` samples, whose loss is the mean of those of each, over the parameters that count. In f64, sums of
/// some thousand products are good to 1e-13; where norms are differences of sums, as the variance is, to as much more as is
/// lost in it.
pub(crate) fn holds<M: Module>(
    name: &str,
    model: &mut M,
    n: usize,
    loss: impl Fn(&M, Range<usize>) -> Tensor,
    counts: impl Fn(&str) -> bool,
) -> FlowStep {
    let gradient = |loss: Tensor, model: &M| -> Vec<f64> {
        let found = loss.backward();
        let parameters = model.parameters().into_iter().filter(|(path, _)| counts(path));
        parameters.flat_map(|(_, w)| found.of(&w).to_vec::<f64>()).collect()
    };
    let alone: Vec<Vec<f64>> = (0..n).map(|i| gradient(loss(model, i..i + 1), model)).collect();
    let of_batch = gradient(loss(model, 0..n), model);
    let record = record(model, |model| loss(model, 0..n));
    let found = record.samples.unwrap_or_else(|| panic!("{name}: {:?}", record.not_measured));
    let n = n as f64;
    let square = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>();
    let norms: Vec<f64> = alone.iter().map(|g| square(g).sqrt()).collect();
    let mean_square = norms.iter().map(|x| x * x).sum::<f64>() / n;
    let deviation = |i: usize| alone.iter().map(|g| (g[i] - of_batch[i]).powi(2)).sum::<f64>() / (n - 1.0);
    let variances: Vec<f64> = (0..of_batch.len()).map(deviation).collect();
    let variance = variances.iter().sum::<f64>();
    let mut ratios: Vec<f64> = of_batch.iter().zip(&variances).map(|(g, var)| g * g / var).collect();
    // A weight that no sample reaches has no say.
    ratios.retain(|ratio| !ratio.is_nan());
    ratios.sort_by(f64::total_cmp);
    let lost = (mean_square / variance).max(1.0);
    for (what, found, exact, tolerance) in [
        ("mean norm", found.norms.mean, norms.iter().sum::<f64>() / n, 1e-12),
        ("largest norm", found.norms.max, norms.iter().copied().fold(0.0, f64::max), 1e-12),
        ("rms of norms", found.norms.rms, mean_square.sqrt(), 1e-12),
        ("variance", found.noise.variance, variance, 1e-12 * lost),
        ("signal", found.noise.signal, square(&of_batch) - variance / n, 1e-10),
        ("signal to noise", found.signal_to_noise, ratios[ratios.len() / 2], 1e-9),
    ] {
        assert!((found / exact - 1.0).abs() < tolerance, "{name}: {what} {found} for {exact}");
    }
    record
}
