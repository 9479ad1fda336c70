//! [`time_map`]: what comes back from the loss of each step in time to each state before it.

use crate::record::Stats;
use backflow_tensor::observe::unobserved;
use backflow_tensor::{Tensor, misuse};

/// RMS of ∂Lₜ/∂hₖ for the loss Lₜ of each step, and the states hₖ of this step and of those before: a row for each
/// loss, of t + 1 figures; NaN where the loss does not depend on the state. It goes back through the graph once for each
/// loss, and the graph stays for other passes.
///
/// How gradients vanish and explode through time is seen in a row from its right end, where k = t, to its left: each
/// is a sum over ways of products of Jacobians ∂hⱼ/∂hⱼ₋₁ (Pascanu et al. 2013, "On the difficulty of training recurrent
/// neural networks", equation 5). For layers whose steps are one op, [`Recorder::time_maps`](crate::Recorder::time_maps)
/// has the same.
///
/// # Panics
/// If there are not as many states as losses, a loss is not of one element, or a loss or state is not tracked.
///
/// ```
/// use backflow_probe::time_map;
/// use backflow_tensor::Tensor;
///
/// let mut h = Tensor::from([1.0_f64]).requires_grad();
/// let states: Vec<Tensor> = (0..4).map(|_| { h = &h * 0.5; h.clone() }).collect();
/// let losses: Vec<Tensor> = states.iter().map(|h| h.sum(..)).collect();
/// assert_eq!(time_map(&losses, &states)[3], [0.125, 0.25, 0.5, 1.0]);
/// ```
#[must_use]
#[track_caller]
pub fn time_map(losses: &[Tensor], states: &[Tensor]) -> Vec<Vec<f64>> {
    if losses.len() != states.len() {
        let rows = [("losses", losses.len().to_string()), ("states", states.len().to_string())];
        misuse(
            "time_map",
            "there are not as many states as losses",
            &rows,
            "give the state of each step, and its loss",
        );
    }
    let mut map = Vec::with_capacity(losses.len());
    for (step, loss) in losses.iter().enumerate() {
        let states: Vec<&Tensor> = states[..=step].iter().collect();
        let pass = loss.differentiate().wrt(&states).retain_graph();
        let gradients = unobserved(|| pass.run());
        let rms = |h: &&Tensor| gradients.get(h).map_or(f64::NAN, |dh| Stats::of(dh).rms);
        map.push(states.iter().map(rms).collect());
    }
    map
}
