//! A border around the last axes.
//!
//! ```text
//! y  = x with rows and columns around it: of one number, or of x again
//! dx = Σ dy over the places that show x          keeps nothing
//! ```

use crate::catalogue::Samples;
use crate::convolution::channels_last;
use crate::dtype::with_element;
use crate::error::misuse;
use crate::layout::AxisOrder;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::padding::{Border, pad};

pub(super) static OP: Op = Op::new("pad")
    .formula("y = x with a border")
    .gradient("dx = Σ dy over the places that show x")
    .zeros(Zeros::Cancellation)
    .why_zeros("the gradients of the places that show it cancel out")
    .sampled_by(samples);

/// What a border shows; of `a b c`, two places to either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PaddingMode {
    /// The same number everywhere, 0 say: `0 0 a b c 0 0`.
    Constant(f64),
    /// The image in a mirror at its last pixels, which do not appear twice: `c b a b c b a`.
    Reflect,
    /// The last pixels again and again: `a a a b c c c`.
    Replicate,
    /// The image from its other end: `b c a b c a b`.
    Circular,
}

impl PaddingMode {
    /// Which of `size` places shows up at one with `before` more in front of them.
    fn source(self, place: usize, before: usize, size: usize) -> Option<usize> {
        let inside = place.checked_sub(before);
        match self {
            Self::Constant(_) => inside.filter(|&place| place < size),
            Self::Reflect => Some(match inside {
                None => before - place,
                Some(place) if place < size => place,
                Some(place) => 2 * (size - 1) - place,
            }),
            Self::Replicate => Some(inside.unwrap_or(0).min(size - 1)),
            Self::Circular => Some((place + size - before) % size),
        }
    }

    /// How much there can be on a side.
    fn limit(self, size: usize) -> usize {
        match self {
            Self::Reflect => size.saturating_sub(1),
            Self::Circular => size,
            Self::Replicate if size == 0 => 0,
            Self::Constant(_) | Self::Replicate => usize::MAX,
        }
    }
}

impl Tensor {
    /// This tensor with a border along its last axes: `padding` is how much before and after the last axis, then
    /// before and after the one in front of it, and so on, `[left, right, top, bottom]` of images. PyTorch's
    /// `functional.pad`, for any number of axes in all modes.
    ///
    /// ```
    /// use backflow_tensor::{PaddingMode, Tensor};
    /// let x = Tensor::from([[1.0, 2.0, 3.0]]);
    /// assert_eq!(x.pad([2, 1], PaddingMode::Reflect).to_vec::<f64>(), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    /// assert_eq!(x.pad([0, 0, 1, 0], PaddingMode::Constant(7.0)).to_vec::<f64>(), [7.0, 7.0, 7.0, 1.0, 2.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If there are not two numbers per axis, or more than there are axes; of [`PaddingMode::Reflect`] more on a
    /// side than the axis is long less 1, of [`PaddingMode::Circular`] more than it is long, and of
    /// [`PaddingMode::Replicate`] any if it is empty.
    #[must_use]
    #[track_caller]
    pub fn pad(&self, padding: impl AsRef<[usize]>, mode: PaddingMode) -> Self {
        let padding = padding.as_ref();
        let shape = self.shape();
        let rows = || {
            let padding = format!("{padding:?}, {mode:?}");
            [("shape", shape.to_string()), ("padding", padding)]
        };
        if !padding.len().is_multiple_of(2) || padding.len() > 2 * shape.rank() {
            let hint = "[left, right, top, bottom] for the last two";
            misuse("pad", "needs two sizes for each axis, from the last one on", &rows(), hint);
        }
        for (sides, &size) in padding.chunks_exact(2).zip(shape.iter().rev()) {
            if sides.iter().any(|&side| side > mode.limit(size)) {
                let hint = format!("at most {} along an axis of {size}", mode.limit(size));
                misuse("pad", "the border is larger than what it shows", &rows(), &hint);
            }
        }
        let mut x = self.unchanged();
        // Two axes at a time.
        for (nth, sides) in padding.chunks(4).enumerate() {
            if sides.iter().any(|&side| side > 0) {
                let rows = [2, 3].map(|at| sides.get(at).copied().unwrap_or(0));
                x = x.bordered(2 * nth, rows, [sides[0], sides[1]], mode);
            }
        }
        x
    }

    /// With a border along two axes, the last of which has so many behind it.
    #[track_caller]
    fn bordered(&self, behind: usize, rows: [usize; 2], columns: [usize; 2], mode: PaddingMode) -> Self {
        let shape = self.shape();
        let last = shape.rank() - 1 - behind;
        let height = if last > 0 { shape[last - 1] } else { 1 };
        let image = [height, shape[last]];
        let with =
            |[before, after]: [usize; 2], size: usize| before.saturating_add(size).saturating_add(after);
        let padded = shape.with_size(last, with(columns, shape[last]));
        let padded = if last > 0 { padded.with_size(last - 1, with(rows, height)) } else { padded };
        padded.require_room();
        let sources = [(rows, height), (columns, shape[last])].map(|(sides, size)| {
            (0..with(sides, size)).map(|place| mode.source(place, sides[0], size)).collect::<Vec<_>>()
        });
        // Images whose channels are innermost stay so.
        let is_image = behind == 0 && shape.rank() == 4 && self.layout.order() == Some(channels_last());
        let (order, outer, inner) = if is_image {
            (channels_last(), shape[0], shape[1])
        } else {
            let outer = shape[..last.saturating_sub(1)].iter().product();
            (AxisOrder::ROW_MAJOR, outer, shape[last + 1..].iter().product())
        };
        let border = Border { outer, inner, image, sources };
        let fill = if let PaddingMode::Constant(fill) = mode { fill } else { 0.0 };
        let fill = Self::full([], fill, self.dtype());
        let y = with_element!(self.dtype(), T => Self::build_in_order::<T>(padded, order, |y| {
            let x = self.in_order(order);
            pad(&border, x.dense_slice().expect("dense"), fill.storage_slice::<T>()[0], y);
        }));
        let axes = [(last, image[1]), (last.wrapping_sub(1), image[0])].into_iter().take(last + 1);
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| {
                let sides = axes.clone().zip([columns, rows]).zip(border.sources.iter().rev());
                if let PaddingMode::Constant(_) = mode {
                    return sides.fold(g.dy().clone(), |dy, (((axis, size), [before, _]), _)| {
                        dy.slice(axis as isize, before..before + size)
                    });
                }
                // Whole pixels are added, where they lie side by side.
                let turned = |x: &Self, axes| if is_image { x.permute::<usize>(axes) } else { x.clone() };
                let dx = sides.fold(turned(g.dy(), [0, 2, 3, 1]), |dy, (((axis, size), _), sources)| {
                    let axis = axis - usize::from(is_image);
                    let places = sources.iter().flatten().map(|&source| source as i64).collect();
                    let zeros = Self::zeros(dy.shape().with_size(axis, size), dy.dtype());
                    zeros.index_add(axis as isize, &Self::from_vec(places, [sources.len()]), &dy)
                });
                turned(&dx, [0, 3, 1, 2])
            });
        })
    }
}

fn samples(s: &mut Samples) {
    use PaddingMode::{Circular, Constant, Reflect, Replicate};
    let modes = [
        (Constant(0.0), "\"constant\""),
        (Constant(-1.5), "\"constant\", -1.5"),
        (Reflect, "\"reflect\""),
        (Replicate, "\"replicate\""),
        (Circular, "\"circular\""),
    ];
    for (mode, torch) in modes {
        let cases: [(&[usize], &[usize]); 5] = [
            (&[2, 3, 4, 5], &[1, 2, 3, 0]),
            (&[1, 3, 3, 3], &[2, 2, 2, 2]),
            (&[2, 3, 4], &[1, 3]),
            (&[0, 2, 3, 3], &[1, 1, 1, 1]),
            (&[1, 2, 17, 33], &[3, 2, 1, 4]),
        ];
        for (shape, padding) in cases {
            let x = s.draw(shape, -2.0..2.0);
            let torch = format!("F.pad(a, {padding:?}, {torch})");
            s.case(&format!("{shape:?} {mode:?}"), &[x], &torch, move |x| x[0].pad(padding, mode));
        }
        let x = s.draw(&[2, 4, 5, 3], -2.0..2.0).slice(1, 1..).permute([0, 3, 1, 2]);
        let torch = format!("F.pad(a, (1, 2, 0, 1), {torch})");
        s.case(&format!("channels last {mode:?}"), &[x], &torch, move |x| x[0].pad([1, 2, 0, 1], mode));
    }
    let x = s.draw(&[2, 3, 2, 1], -2.0..2.0);
    s.case("four axes", &[x], "F.pad(a, (0, 1, 2, 0, 1, 1, 0, 2))", |x| {
        x[0].pad([0, 1, 2, 0, 1, 1, 0, 2], Constant(0.0))
    });
    let x = s.draw(&[3], -2.0..2.0);
    s.case("a vector", &[x], "F.pad(a, (2, 1))", |x| x[0].pad([2, 1], Constant(0.0)));
    let x = s.draw(&[2, 3], -2.0..2.0);
    s.case("nothing", &[x], "a", |x| x[0].pad([0, 0, 0, 0], Reflect));
}
