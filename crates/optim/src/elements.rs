//! [`Elements`]: one parameter with its gradient and buffers, about to be updated, and the passes over memory
//! that do it.
//!
//! An elementwise rule makes one pass ([`Elements::each`]), and the figures of the step report are summed on
//! the way. Rules that must see the whole parameter before they can write any of it have [`Elements::whole`];
//! those that scale their step by what it comes to have [`Elements::scaled`].

use crate::norm::{Norm, dot, is_exact, sum_squares};
use crate::rule::Name;
use backflow_kernels::{map, reduce};
use backflow_tensor::{FloatElement, Shape, Tensor, misuse};
use std::marker::PhantomData;

/// Sums over the elements of one parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Σ g², before clipping.
    pub gradient: f64,
    /// Σ w², before the update.
    pub weight: f64,
    /// Σ u², where u is what was subtracted from w.
    pub update: f64,
    /// The cosine of the angle between the gradient and the momentum that was just made of it.
    pub cosine: Option<f64>,
}

/// What surrounds the rule in one step; the same for all elements of a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// What the gradient is multiplied by: clipping, and −1 where a loss is maximised.
    pub(crate) coefficient: f64,
    pub(crate) l2: f64,
    /// lr·λ of decoupled weight decay.
    pub(crate) decay: f64,
    /// What of the weight stays: 1, or 0 where only the update is wanted.
    pub(crate) keep: f64,
}

/// One parameter with its gradient and buffers, about to be updated.
#[derive(Debug)]
pub struct Elements<'a, T> {
    pub(crate) w: &'a mut Tensor,
    pub(crate) g: &'a Tensor,
    pub(crate) buffers: &'a mut [(Name, Tensor)],
    /// The numbers that the rule keeps, in the order of [`Rule::numbers`](crate::Rule::numbers).
    pub numbers: &'a mut [(Name, f64)],
    pub(crate) surroundings: Surroundings,
    pub(crate) element: PhantomData<T>,
}

/// What an elementwise rule is: from weight, gradient and buffers to what is subtracted, and the new buffers.
pub trait Equation<T, const B: usize>: Fn(T, T, [T; B]) -> (T, [T; B]) + Copy + Send + Sync {}
impl<T, const B: usize, F: Fn(T, T, [T; B]) -> (T, [T; B]) + Copy + Send + Sync> Equation<T, B> for F {}

impl<T: FloatElement> Elements<'_, T> {
    /// The shape of the parameter.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.w.shape()
    }

    /// Runs the rule over all elements in one pass over memory.
    ///
    /// `rule(w, g, buffers)` answers what to subtract from `w`, and the new buffers, in the order of
    /// [`Rule::buffers`](crate::Rule::buffers). This is the pipeline's order:
    ///
    /// ```text
    /// g ← c·g + λ·w              clipped, then L2 weight decay
    /// u ← rule(w, g) + lr·λ'·w   the rule, then decoupled weight decay
    /// w ← w − u
    /// ```
    ///
    /// # Panics
    /// If the rule takes another number of buffers than it declares.
    #[track_caller]
    pub fn each<const B: usize>(self, rule: impl Equation<T, B>) -> Totals {
        self.pass(rule, |g, w, u, _| [g * g, w * w, u * u, raised(u)])
    }

    /// As [`each`](Self::each), for a rule whose first buffer is a momentum: a running mean or sum of
    /// gradients. The step report then has the angle between the two.
    #[track_caller]
    pub fn each_with_momentum<const B: usize>(self, rule: impl Equation<T, B>) -> Totals {
        self.pass(rule, |g, w, u, buffers| {
            [g * g, w * w, u * u, raised(u), g * buffers[0], buffers[0] * buffers[0]]
        })
    }

    #[track_caller]
    fn pass<const B: usize, const S: usize>(
        self,
        rule: impl Equation<T, B>,
        terms: impl Fn(T, T, T, [T; B]) -> [T; S] + Copy + Send + Sync,
    ) -> Totals {
        let copy;
        let g = match self.g.as_slice::<T>() {
            Some(g) => g,
            // Only gradients that are views of something else (a transpose, a broadcast) need it.
            None => {
                copy = self.g.to_vec::<T>();
                &copy
            }
        };
        let Surroundings { coefficient, l2, decay, keep } = self.surroundings;
        let sign = 1.0_f64.copysign(coefficient);
        let [coefficient, l2, decay, keep] = [coefficient, l2, decay, keep].map(T::from_f64);
        let mut buffers = slices::<T, B>(self.buffers);
        let borrowed = buffers.each_mut().map(|buffer| &mut **buffer);
        let w = self.w.as_mut_slice();
        let sums = map::update(w, g, borrowed, move |w, g, buffers| {
            let (u, buffers) = rule(w, coefficient * g + l2 * w, buffers);
            let u = u + decay * w;
            (keep * w - u, buffers, terms(g, w, u, buffers))
        });

        // Squares of vanishing and exploding f32 gradients leave the range of f32. They are then summed
        // again, in f64.
        let in_range = |sum: f64| in_range(sum, g.len());
        let gradient = if in_range(sums[0]) { sums[0] } else { reduce::sum_squares(g) };
        let cosine = (S == 6).then(|| {
            let (along, momentum) = if in_range(sums[0]) && in_range(sums[5]) {
                (sums[4], sums[5])
            } else {
                (reduce::dot(g, buffers[0]), reduce::sum_squares(buffers[0]))
            };
            cosine(sign * along, gradient, momentum)
        });
        let update = sum_of_changes::<T>(sums[2], sums[3], sums[1], w);
        Totals { gradient, weight: sums[1], update, cosine }
    }

    /// Runs a rule that needs the whole parameter at once: `rule(w, g, buffers)` answers what to subtract.
    /// Clipping and weight decay are the pipeline's, as in [`each`](Self::each).
    ///
    /// # Panics
    /// If the rule takes another number of buffers than it declares.
    #[track_caller]
    pub fn whole<const B: usize>(
        self,
        rule: impl FnOnce(&Tensor, &Tensor, [&mut Tensor; B]) -> Tensor,
    ) -> Totals {
        Totals { cosine: None, ..self.whole_with_momentum(rule) }
    }

    /// As [`whole`](Self::whole), for a rule whose first buffer is a momentum.
    #[track_caller]
    pub fn whole_with_momentum<const B: usize>(
        self,
        rule: impl FnOnce(&Tensor, &Tensor, [&mut Tensor; B]) -> Tensor,
    ) -> Totals {
        let Surroundings { coefficient, l2, .. } = self.surroundings;
        let u = {
            let (w, g) = (self.w.detach(), self.g.detach());
            let g = if coefficient == 1.0 { g } else { g * coefficient };
            let g = if l2 == 0.0 { g } else { g + &w * l2 };
            rule(&w, &g, declared::<B>(self.buffers).each_mut().map(|(_, buffer)| buffer))
        };
        let cosine = self.buffers.first().filter(|(_, buffer)| buffer.shape() == self.w.shape()).map(
            |(_, momentum)| {
                let sign = 1.0_f64.copysign(coefficient);
                cosine(sign * dot(self.g, momentum), sum_squares(self.g), sum_squares(momentum))
            },
        );
        let buffers = &mut [(Name::Borrowed("update"), u)];
        let totals = Elements::<T> { buffers, ..self }.each(|_, _, [u]| (u, [u]));
        Totals { cosine, ..totals }
    }

    /// Runs a rule whose step is scaled by what it comes to: `w ← w − scale(‖w‖, ‖u‖)·u`, with `u` as in
    /// [`each_with_momentum`](Self::each_with_momentum). The layerwise trust ratio of LAMB is such a scale.
    #[track_caller]
    pub fn scaled<const B: usize>(
        mut self,
        rule: impl Equation<T, B>,
        scale: impl FnOnce(f64, f64) -> f64,
    ) -> Totals {
        let (totals, minus_u) = self.propose(B, 0, |elements| elements.each_with_momentum(rule));
        // What the pass summed in f32 is summed again in f64 where it left the range.
        let sum =
            |passed: f64, x: &Tensor| if in_range(passed, x.elements()) { passed } else { sum_squares(x) };
        let totals =
            Totals { weight: sum(totals.weight, self.w), update: sum(totals.update, &minus_u), ..totals };
        let length = |square: f64, x: &Tensor| {
            if in_range(square, x.elements()) { square.sqrt() } else { Norm::of(x).length }
        };
        let factor = scale(length(totals.weight, self.w), length(totals.update, &minus_u));
        let [scale, keep] = [factor, self.surroundings.keep].map(T::from_f64);
        let minus_u = contiguous::<T>(&minus_u);
        let [] = map::update(self.w.as_mut_slice(), minus_u, [], move |w, minus_u: T, []| {
            (keep * w + scale * minus_u, [], [] as [T; 0])
        });
        Totals { update: totals.update * factor * factor, ..totals }
    }

    /// What `rule`, given the first `buffers` buffers and `numbers` numbers, would subtract: its totals, and
    /// the update negated. The weights stay as they are.
    pub(crate) fn propose(
        &mut self,
        buffers: usize,
        numbers: usize,
        rule: impl FnOnce(Elements<'_, T>) -> Totals,
    ) -> (Totals, Tensor) {
        let mut scratch = self.w.detach();
        let totals = rule(Elements {
            w: &mut scratch,
            g: self.g,
            buffers: &mut self.buffers[..buffers],
            numbers: &mut self.numbers[..numbers],
            surroundings: Surroundings { keep: 0.0, ..self.surroundings },
            element: PhantomData,
        });
        (totals, scratch)
    }

    /// `w, buffers ← rule(w, x, buffers)` over all elements, for the last `B` buffers and an array of the
    /// parameter's shape. Answers Σ (change of w)².
    pub(crate) fn replace<const B: usize>(self, x: &Tensor, rule: impl Equation<T, B>) -> f64 {
        let rest = self.buffers.len() - B;
        let buffers = slices::<T, B>(&mut self.buffers[rest..]);
        let [change, raised, before] =
            map::update(self.w.as_mut_slice(), contiguous::<T>(x), buffers, move |w, x, buffers| {
                let (new, buffers) = rule(w, x, buffers);
                (new, buffers, [(w - new) * (w - new), raised(w - new), w * w])
            });
        sum_of_changes::<T>(change, raised, before, self.w.as_mut_slice())
    }

    /// ‖w‖ and ‖c·g + λ·w‖: the weights and their gradient, clipped and decayed.
    pub(crate) fn norms(&self) -> (f64, f64) {
        let Surroundings { coefficient: c, l2, .. } = self.surroundings;
        let (w, g) = (Norm::of(self.w), Norm::of(self.g).times(c));
        if l2 == 0.0 {
            return (w.length, g.length);
        }
        let square = g.square + 2.0 * c * l2 * dot(self.w, self.g) + l2 * l2 * w.square;
        if is_exact(square) {
            return (w.length, square.sqrt());
        }
        (w.length, Norm::of(&(self.g.detach() * c + self.w.detach() * l2)).length)
    }
}

/// Where the mean of `f32` squares is to be trusted: what is lost of smaller squares (below 1e-38) does not
/// count beside it, and no partial sum came near 3e38.
const SAFE_MEAN_SQUARE: std::ops::Range<f64> = 1e-30..1e30;

/// Whether a sum of squares over `n` elements is to be trusted.
fn in_range(sum: f64, n: usize) -> bool {
    SAFE_MEAN_SQUARE.contains(&(sum / n as f64))
}

/// What changes of `f32` weights are multiplied by before they are squared a second time: squares of what is
/// below 1e-15 lose digits, and those of 1e-23 are 0. The numbers themselves are gone when the sum is known.
/// It is 2¹⁰⁰.
const RAISE: f64 = f64::from_bits((1023 + 100) << 52);

/// The square of a change, raised.
#[inline(always)]
fn raised<T: FloatElement>(u: T) -> T {
    let u = if T::EXPONENTS == 256 { u * T::from_f64(RAISE) } else { u };
    u * u
}

/// Σ u² of what was subtracted from weights, from its plain and its raised sum, Σ w² before and the weights
/// after. Infinite where a sum of `f32` squares is, unless the weights before do not count beside it.
fn sum_of_changes<T: FloatElement>(plain: f64, raised: f64, before: f64, after: &[T]) -> f64 {
    if T::EXPONENTS != 256 || in_range(plain, after.len()) {
        return plain;
    }
    if plain < 1.0 {
        return raised / (RAISE * RAISE);
    }
    // u = w − w', and w' is all that is left of it.
    let rest = reduce::sum_squares(after);
    if before <= 1e-14 * rest && rest.is_finite() { rest } else { plain }
}

/// The cosine from a dot product and two sums of squares; 0 where one of the vectors is.
fn cosine(along: f64, first: f64, second: f64) -> f64 {
    if first == 0.0 || second == 0.0 { 0.0 } else { along / (first.sqrt() * second.sqrt()) }
}

#[track_caller]
fn declared<const B: usize>(buffers: &mut [(Name, Tensor)]) -> &mut [(Name, Tensor); B] {
    let declared = buffers.len();
    let Ok(buffers) = <&mut [_; B]>::try_from(buffers) else {
        let rows = [("declared", format!("{declared} buffers")), ("taken", format!("{B} buffers"))];
        misuse("rule", "an update takes other buffers than its rule declares", &rows, "");
    };
    buffers
}

#[track_caller]
fn slices<T: FloatElement, const B: usize>(buffers: &mut [(Name, Tensor)]) -> [&mut [T]; B] {
    declared::<B>(buffers).each_mut().map(|(_, buffer)| buffer.as_mut_slice())
}

/// The elements of a tensor that was made here, and so lies in one piece.
fn contiguous<T: FloatElement>(x: &Tensor) -> &[T] {
    x.as_slice().expect("buffers and scratch arrays are contiguous")
}
