//! What happens to gradients before a rule sees them: they are looked at, and clipped, as far as the settings
//! ask for it.

use crate::clip;
use crate::norm::Norm;
use crate::optimizer::Optimizer;
use crate::survey::Surveyed;
use backflow_tensor::{Module, Tensor};
use std::borrow::Cow;

/// The gradients of a step, ready for the rules.
pub(crate) struct Prepared<'g> {
    pub(crate) gradients: Vec<Ready<'g>>,
    /// The norm of all gradients before clipping, if it was measured.
    pub(crate) norm: Option<f64>,
    /// The same after clipping.
    pub(crate) clipped_norm: f64,
    /// What clipping by norm multiplied all of them by.
    pub(crate) coefficient: f64,
    /// Whether all of them are finite, as far as it was asked.
    pub(crate) finite: bool,
}

/// One gradient, ready for its rule, which does not see its graph.
pub(crate) struct Ready<'g> {
    pub(crate) g: Cow<'g, Tensor>,
    /// What it is still to be multiplied by.
    pub(crate) coefficient: f64,
    /// Its norm before it was changed, if it was.
    pub(crate) raw: Option<Norm>,
}

impl<'g> Ready<'g> {
    /// As it was found.
    pub(crate) fn new(g: Cow<'g, Tensor>) -> Self {
        Self { g, coefficient: 1.0, raw: None }
    }
}

/// Below this, 2⁻⁸⁰, a factor is applied in several: `f32` holds none below 1e-38 without loss. A power of two
/// rounds nothing.
const SMALLEST_FACTOR: f64 = 1.0 / (1_u128 << 80) as f64;

/// Which gradients a step is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    All,
    /// Those without NaN and infinity.
    Finite,
    /// Those that are without when they have been clipped by value.
    Clippable,
}

impl Optimizer {
    /// Whether a step may be made of this gradient.
    pub(crate) fn accepts(&self, g: &Tensor) -> bool {
        let clips = self.clipping.value.is_some() && self.accepted == Accepted::Clippable;
        let is_number = |x: f64| if clips { !x.is_nan() } else { x.is_finite() };
        self.accepted == Accepted::All || g.is_all_finite() || g.to_f64_vec().into_iter().all(is_number)
    }

    /// Clips the gradients, and looks at them as far as the settings ask for it.
    pub(crate) fn prepare<'g, M: Module + ?Sized>(
        &self,
        model: &M,
        found: Surveyed<'g>,
        norm_needed: bool,
    ) -> Prepared<'g> {
        let clipping = self.clipping;
        let reshapes = clipping.reshapes();
        let looks = reshapes || clipping.each.is_some() || clipping.norm.is_some() || norm_needed;
        let Surveyed { gradients, unreached } = found;
        let (clipped_norm, coefficient, finite) = (f64::NAN, 1.0, true);
        let mut prepared = Prepared { gradients, norm: None, clipped_norm, coefficient, finite };
        prepared.finite = prepared.gradients.iter().all(|ready| self.accepts(&ready.g));
        if !prepared.finite {
            prepared.norm =
                Some(prepared.gradients.iter().map(|ready| Norm::of(&ready.g)).sum::<Norm>().length);
        }
        if !looks || !prepared.finite {
            return prepared;
        }
        let mut weights = Vec::new();
        if clipping.adaptive.is_some() {
            weights = model.parameters();
            unreached.iter().rev().for_each(|&place| _ = weights.remove(place));
        }
        let (mut raw_total, mut total) = (Norm::default(), Norm::default());
        for (index, ready) in prepared.gradients.iter_mut().enumerate() {
            let g = &mut ready.g;
            let raw = Norm::of(g);
            raw_total = raw_total + raw;
            let (mut coefficient, mut norm) = (1.0, raw);
            if let Some(limit) = clipping.value {
                *g = Cow::Owned(g.detach().clamp(-limit, limit));
                norm = Norm::of(g);
            }
            if let Some(max_norm) = clipping.each {
                coefficient = clip::coefficient(max_norm, norm.length);
                norm = norm.times(coefficient);
            }
            if let Some(share) = clipping.adaptive {
                let scaled = if coefficient == 1.0 { g.detach() } else { g.detach() * coefficient };
                *g = Cow::Owned(clip::adaptive(&weights[index].1, &scaled, share));
                coefficient = 1.0;
                norm = Norm::of(g);
            }
            total = total + norm;
            (ready.coefficient, ready.raw) = (coefficient, reshapes.then_some(raw));
        }
        let norm = total.length;
        let coefficient = clipping.norm.map_or(1.0, |max_norm| clip::coefficient(max_norm, norm));
        for ready in &mut prepared.gradients {
            ready.coefficient *= coefficient;
            while ready.coefficient < SMALLEST_FACTOR && ready.coefficient > 0.0 {
                ready.raw = ready.raw.or_else(|| Some(Norm::of(&ready.g)));
                ready.g = Cow::Owned(ready.g.detach() * SMALLEST_FACTOR);
                ready.coefficient /= SMALLEST_FACTOR;
            }
        }
        prepared.norm = Some(raw_total.length);
        (prepared.clipped_norm, prepared.coefficient) = (norm * coefficient, coefficient);
        prepared
    }
}
