//! Normalisation of images whose channels lie innermost: `[images, pixels, channels]`, by groups of neighbouring
//! channels of an image.
//!
//! Batch normalisation is that of one image that has all pixels, with a group per channel; instance
//! normalisation has a group per channel, too. Both ways are a sum per channel and then a pass with numbers per
//! channel: `y = a (x − m) + b` and `dx = a dy + b (x − m) + c`.

use super::columns::{self, LANES, added, in_pieces, whole_registers};
use super::{Moments, Standard, careful_moments};
use crate::Float;
use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN, Rows};
use std::ops::Range;

/// The sizes of images, and into how many groups their channels are cut.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How many images.
    pub images: usize,
    /// The pixels of one.
    pub pixels: usize,
    /// The channels of a pixel.
    pub channels: usize,
    /// The groups, of which the number of channels is a multiple.
    pub groups: usize,
}

impl Sizes {
    fn image(&self) -> usize {
        self.pixels * self.channels
    }

    fn in_group(&self) -> usize {
        self.channels / self.groups
    }

    #[track_caller]
    fn check(&self, name: &str, images: &[usize], moments: usize, of_channels: &[usize]) {
        let fits = images.iter().all(|&len| len == self.images * self.image())
            && moments == self.images * self.groups
            && of_channels.iter().all(|&len| len == self.channels)
            && self.channels.is_multiple_of(self.groups);
        assert!(
            fits,
            "{name}: {self:?}, slices of {images:?}, {moments} moments and {of_channels:?} elements"
        );
    }
}

/// Sums of two numbers, or of one, by whose channel each is treated: `a dy + b (x − m) + c`.
struct PerPixel<'a, T, const K: usize> {
    /// dy and x, or x alone.
    of: [&'a [T]; K],
    /// m, a, b and c of as many channels as fill a few registers.
    constants: &'a [Vec<T>; 4],
    out: &'a mut [T],
}

impl<T: Float, const K: usize> PerPixel<'_, T, K> {
    /// `N` elements, from `at` on, of channels from `first` on.
    #[inline(always)]
    fn lanes<const N: usize>(&mut self, at: usize, first: usize) {
        let load = |of: &[T], at: usize| -> [T; N] { *of[at..].first_chunk().expect("elements are there") };
        let of = self.of.map(|of| load(of, at));
        let [m, a, b, c] = self.constants.each_ref().map(|constants| load(constants, first));
        let out: &mut [T; N] = self.out[at..].first_chunk_mut().expect("as long as what is read");
        for l in 0..N {
            let term = b[l] * (of[K - 1][l] - m[l]) + c[l];
            out[l] = if K == 1 { term } else { a[l] * of[0][l] + term };
        }
    }
}

impl<T: Float, const K: usize> Work for PerPixel<'_, T, K> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let width = self.constants[0].len();
        for start in (0..self.out.len()).step_by(width) {
            let end = self.out.len().min(start + width);
            let whole = start + (end - start) / LANES * LANES;
            for at in (start..whole).step_by(LANES) {
                self.lanes::<LANES>(at, at - start);
            }
            for at in whole..end {
                self.lanes::<1>(at, at - start);
            }
        }
    }
}

/// Computes the pixels of an image, all with these constants.
fn per_pixel<T: Float, const K: usize>(of: [&[T]; K], constants: [Vec<T>; 4], out: &mut [T]) {
    let is_narrow = constants[0].len() < 8 * LANES;
    let constants =
        if is_narrow { constants.map(|constants| whole_registers(&constants)) } else { constants };
    let width = constants[0].len();
    parallel::for_pieces(out, (GRAIN / width).max(1) * width, &|range, out| {
        dispatch(PerPixel { of: of.map(|of| &of[range.clone()]), constants: &constants, out });
    });
}

/// `y = factor · (x − mean) + bias` of pixels, with numbers per channel.
///
/// # Panics
/// If slices are not of the same length, or pixels not whole.
#[track_caller]
pub fn affine<T: Float>(x: &[T], mean: &[T], factor: &[T], bias: &[T], y: &mut [T]) {
    let sizes = Sizes { images: 1, pixels: x.len() / mean.len().max(1), channels: mean.len(), groups: 1 };
    sizes.check("channels::affine", &[x.len(), y.len()], 1, &[factor.len(), bias.len()]);
    if !y.is_empty() {
        per_pixel([x], [mean, factor, factor, bias].map(<[T]>::to_vec), y);
    }
}

/// How many pixels there are, and the means and the summed squares of the distances from them, per channel.
type Spread = (f64, Vec<f64>, Vec<f64>);

/// Of two sets of pixels together: Chan and others 1979.
fn together(left: Spread, right: Spread) -> Spread {
    let ((n, mut means, mut squares), (m, right_means, right_squares)) = (left, right);
    for c in 0..means.len() {
        let distance = right_means[c] - means[c];
        means[c] += distance * m / (n + m);
        squares[c] += right_squares[c] + distance * distance * n * m / (n + m);
    }
    (n + m, means, squares)
}

/// Of the pixels of `x`, in two passes.
fn spread<T: Float>(x: &[T], channels: usize) -> Spread {
    let count = (x.len() / channels) as f64;
    let zeros = vec![T::ZERO; channels];
    let mut means = columns::sums([x, x], &zeros, |x, _, _| [x]);
    means.iter_mut().for_each(|mean| *mean /= count);
    let rounded: Vec<T> = means.iter().map(|&mean| T::from_f64(mean)).collect();
    let distances = columns::sums([x, x], &rounded, |x, _, mean| {
        let distance = x - mean;
        [distance, distance * distance]
    });
    let (rests, squares) = distances.split_at(channels);
    let mut squares = squares.to_vec();
    for c in 0..channels {
        if squares[c].is_finite() {
            means[c] = rounded[c].to_f64() + rests[c] / count;
            squares[c] = (squares[c] - rests[c] * rests[c] / count).max(0.0);
        } else {
            let [mean, variance] = careful_moments(x[c..].iter().step_by(channels).copied(), count as usize);
            (means[c], squares[c]) = (mean, variance * count);
        }
    }
    (count, means, squares)
}

/// The moments of each group, from those of its channels.
fn of_groups((pixels, means, squares): Spread, in_group: usize, moments: &mut [Moments]) {
    let groups = means.chunks_exact(in_group).zip(squares.chunks_exact(in_group));
    for ((means, squares), moments) in groups.zip(moments) {
        let mean = means.iter().sum::<f64>() / in_group as f64;
        let between: f64 = means.iter().map(|of_channel| (of_channel - mean) * (of_channel - mean)).sum();
        *moments = [mean, (squares.iter().sum::<f64>() / pixels + between) / in_group as f64];
    }
}

/// `y = x̂ w + b`, and the moments of each group of each image.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn forward<T: Float>(
    x: &[T],
    sizes: &Sizes,
    [weight, bias]: [&[T]; 2],
    eps: f64,
    y: &mut [T],
    moments: &mut [Moments],
) {
    sizes.check("channels::forward", &[x.len(), y.len()], moments.len(), &[weight.len(), bias.len()]);
    if y.is_empty() {
        return moments.fill([f64::NAN; 2]);
    }
    let (image, channels, in_group) = (sizes.image(), sizes.channels, sizes.in_group());
    let work = (Rows::new(y, image), Rows::new(moments, sizes.groups));
    parallel::for_each(work, (GRAIN / image).max(1), |(y, moments)| {
        let images = x[y.first * image..].chunks_exact(image).zip(y.data.chunks_exact_mut(image));
        for ((x, y), moments) in images.zip(moments.data.chunks_exact_mut(sizes.groups)) {
            let piece =
                |pixels: Range<usize>| spread(&x[pixels.start * channels..pixels.end * channels], channels);
            of_groups(in_pieces(sizes.pixels, channels, piece, together), in_group, moments);
            let mut constants = [(); 4].map(|()| vec![T::ZERO; channels]);
            for c in 0..channels {
                let Standard { mean, scale, rest } = Standard::<T>::new(moments[c / in_group], eps);
                let (w, b) = (weight[c].to_f64(), bias[c].to_f64());
                constants[0][c] = mean;
                constants[2][c] = T::from_f64(scale * w);
                constants[3][c] = T::from_f64(rest * w + b);
            }
            per_pixel([x], constants, y);
        }
    });
}

/// `dx`, and `[Σ dy x̂, Σ dy]` of each channel, for the moments that [`forward`] gave.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn backward<T: Float>(
    [dy, x]: [&[T]; 2],
    sizes: &Sizes,
    weight: &[T],
    eps: f64,
    moments: &[Moments],
    dx: &mut [T],
) -> [Vec<f64>; 2] {
    sizes.check("channels::backward", &[dy.len(), x.len(), dx.len()], moments.len(), &[weight.len()]);
    if dx.is_empty() {
        return [(); 2].map(|()| vec![0.0; sizes.channels]);
    }
    let (image, channels, in_group) = (sizes.image(), sizes.channels, sizes.in_group());
    let of_image = |dx: &mut [T], number: usize| {
        let [dy, x] = [dy, x].map(|of| &of[number * image..][..image]);
        let moments = &moments[number * sizes.groups..][..sizes.groups];
        let standards: Vec<Standard<T>> =
            moments.iter().map(|&moments| Standard::new(moments, eps)).collect();
        let means: Vec<T> = (0..channels).map(|c| standards[c / in_group].mean).collect();
        let piece = |pixels: Range<usize>| {
            let of = [dy, x].map(|of| &of[pixels.start * channels..pixels.end * channels]);
            columns::sums(of, &means, |dy, x, mean| [dy, dy * (x - mean)])
        };
        let mut sums = in_pieces(sizes.pixels, channels, piece, added);
        let (of_dy, products) = sums.split_at_mut(channels);
        let mut constants = [(); 4].map(|()| vec![T::ZERO; channels]);
        for (group, &Standard { mean, scale, rest }) in standards.iter().enumerate() {
            let count = (sizes.pixels * in_group) as f64;
            let (mut mean_g, mut mean_product) = (0.0, 0.0);
            for c in group * in_group..(group + 1) * in_group {
                products[c] = products[c] * scale + rest * of_dy[c];
                mean_g += weight[c].to_f64() * of_dy[c] / count;
                mean_product += weight[c].to_f64() * products[c] / count;
            }
            for c in group * in_group..(group + 1) * in_group {
                constants[0][c] = mean;
                constants[1][c] = T::from_f64(scale * weight[c].to_f64());
                constants[2][c] = T::from_f64(-scale * scale * mean_product);
                constants[3][c] = T::from_f64(-scale * (mean_g + rest * mean_product));
            }
        }
        per_pixel([dy, x], constants, dx);
        sums
    };
    let sums = parallel::fork(
        Rows::new(dx, image),
        (GRAIN / image).max(1),
        |dx| {
            let images = dx.data.chunks_exact_mut(image).enumerate();
            let sums = images.map(|(number, data)| of_image(data, dx.first + number));
            sums.reduce(added).expect("pieces are not empty")
        },
        added,
    );
    let (of_dy, products) = sums.split_at(channels);
    [products.to_vec(), of_dy.to_vec()]
}
