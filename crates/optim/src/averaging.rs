//! [`Averaging`]: averages of the weights over the steps, kept beside them and evaluated in their place.
//!
//! ```text
//! ema    a ← a + (1 − decay)·(w − a)
//! mean   a ← a + (w − a)/n                 over the n steps from `start` on
//! ```
//!
//! Both begin with the weights after the first step that they count, as `torch.optim.swa_utils.AveragedModel`
//! does. Polyak and Juditsky 1992; Izmailov et al., "Averaging weights leads to wider optima", 2018.

use crate::optimizer::Optimizer;
use crate::report::StepReport;
use crate::step::method_of;
use crate::survey::each_updated;
use backflow_kernels::map;
use backflow_tensor::{FloatElement, Module, Tensor, with_float};

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
            Some(average) if share != 1.0 => {
                with_float!("average", w.dtype(), T => lerp::<T>(average, w, share));
            }
            average => *average = Some(w.detach().copied()),
        }
    }
}

fn lerp<T: FloatElement>(average: &mut Tensor, w: &Tensor, share: f64) {
    let share = T::from_f64(share);
    let w = w.as_slice::<T>().expect("a parameter that was just updated is contiguous");
    map::zip_inplace(average.as_mut_slice(), w, move |a: T, w: T| a + share * (w - a));
}

impl Optimizer {
    /// Runs `f` on the model with the weights that are to be evaluated in place of those that are trained:
    /// the average that Schedule-Free, ASGD or [`average`](Self::average) keeps. Without one, these are the
    /// same. Running statistics stay those of the trained weights;
    /// [`evaluating_recalibrated`](Self::evaluating_recalibrated) measures them anew.
    ///
    /// ```
    /// # use backflow_optim::{Averaging, Optimizer, Sgd};
    /// # use backflow_tensor::Tensor;
    /// let mut w = Tensor::from(8.0).requires_grad();
    /// let mut optimizer = Optimizer::new(Sgd::new(0.25)).average(Averaging::Mean { start: 0 });
    /// for _ in 0..3 {
    ///     optimizer.step_with(&mut w, |w| w * w);
    /// }
    /// assert_eq!((w.item(), optimizer.evaluating(&mut w, Tensor::item)), (1.0, (4.0 + 2.0 + 1.0) / 3.0));
    /// ```
    pub fn evaluating<M: Module + ?Sized, R>(&mut self, model: &mut M, f: impl FnOnce(&M) -> R) -> R {
        self.in_place_of_weights(model, |model| f(model))
    }

    /// Runs `f` on the model with its averages in place of its weights.
    pub(crate) fn in_place_of_weights<M: Module + ?Sized, R>(
        &mut self,
        model: &mut M,
        f: impl FnOnce(&mut M) -> R,
    ) -> R {
        /// Puts the weights back, also when `f` panics.
        struct Swapped<'a, M: Module + ?Sized>(&'a mut Optimizer, &'a mut M);
        impl<M: Module + ?Sized> Drop for Swapped<'_, M> {
            fn drop(&mut self) {
                self.0.swap_averages(self.1);
            }
        }
        self.swap_averages(model);
        let swapped = Swapped(self, model);
        f(swapped.1)
    }

    /// Whether weights are averaged at all, by this optimizer or by a rule of it.
    pub(crate) fn has_averages(&self) -> bool {
        let mut methods = self.groups.iter().map(|group| &group.method).chain([&self.method]);
        self.averaging.is_some() || methods.any(|method| method.rule.average().is_some())
    }

    fn swap_averages<M: Module + ?Sized>(&mut self, model: &mut M) {
        let Self { method: default, groups, state, .. } = self;
        model.each_tensor_mut(&mut |path, w| {
            let name = method_of(default, groups, path.as_str()).rule.average();
            let Some(state) = state.parameters.get_mut(path.as_str()) else { return };
            let own = name.and_then(|name| state.buffers.iter_mut().find(|(own, _)| own == name));
            let average = own.map(|(_, buffer)| buffer).or(state.average.as_mut());
            average.into_iter().for_each(|average| swap(w, average));
        });
    }

    /// Takes the weights after a step into their averages.
    pub(crate) fn take_averages<M: Module + ?Sized>(&mut self, model: &mut M, report: &StepReport) {
        let Self { averaging: Some(averaging), state, .. } = self else { return };
        if report.skipped.is_some() {
            return;
        }
        each_updated(model, report, &mut |path, w| {
            let state = state.parameters.get_mut(path).expect("made by the step");
            averaging.update(&mut state.average, w, state.steps);
        });
    }
}

/// Exchanges the elements of a parameter and of its average; the parameter stays the same leaf.
fn swap(w: &mut Tensor, average: &mut Tensor) {
    with_float!("evaluating", w.dtype(), T => {
        w.as_mut_slice::<T>().swap_with_slice(average.as_mut_slice());
    });
}
