//! [`Averaging`]: averages of the weights over the steps, kept beside them and evaluated in their place.
//!
//! ```text
//! ema    a ← a + (1 − decay)·(w − a)
//! mean   a ← a + (w − a)/n                 over the n steps from `start` on
//! ```
//!
//! Both begin with the weights after the first step that they count, as `torch.optim.swa_utils.AveragedModel` does. Polyak and
//! Juditsky 1992; Izmailov et al., "Averaging weights leads to wider optima", 2018.

use backflow_kernels::map;
use backflow_tensor::{DType, FloatElement, Tensor};

/// An average of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Averaging {
    /// An exponential moving average that keeps this share of itself at each step, in [0, 1).
    Ema(f64),
    /// The mean of the weights after all steps but the first `start`.
    Mean {
        /// Steps that are left out.
        start: u64,
    },
}

impl Averaging {
    /// Takes the weights after step `t` into the average.
    pub(crate) fn update(self, average: &mut Option<Tensor>, w: &Tensor, t: u64) {
        let share = match self {
            Self::Ema(decay) => 1.0 - decay,
            Self::Mean { start } if t > start => 1.0 / (t - start) as f64,
            // Until then the average is the weights themselves.
            Self::Mean { .. } => 1.0,
        };
        match average {
            Some(average) if share != 1.0 => match w.dtype() {
                DType::F64 => lerp::<f64>(average, w, share),
                _ => lerp::<f32>(average, w, share),
            },
            average => *average = Some(crate::state::copy(w)),
        }
    }
}

fn lerp<T: FloatElement>(average: &mut Tensor, w: &Tensor, share: f64) {
    let share = T::from_f64(share);
    let w = w.as_slice::<T>().expect("a parameter that was just updated is contiguous");
    map::zip_inplace(average.as_mut_slice(), w, move |a: T, w: T| a + share * (w - a));
}
