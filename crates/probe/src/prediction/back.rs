//! What a wide random network does to δ² on the way back, place by place.

use super::field::mean;
use super::taps::Taps;
use crate::theory::log10;
use backflow_kernels::Float;

/// What a layer does to E δ² on the way back.
#[derive(Clone, Debug)]
pub(super) enum Pull {
    /// It multiplies that of each place.
    By(Vec<f64>),
    /// Each of so many places gets as much, times a factor, from the mean of all.
    Spread { places: usize, factor: f64 },
    /// Pixels get what windows over them have, times a factor for each tap.
    Taps { taps: Taps, factor: f64 },
    /// Pixels of windows side by side get their share of the mean.
    Mean { image: [usize; 2], result: [usize; 2] },
    /// Theory does not know: places of the input, and why.
    Unknown { places: usize, reason: &'static str },
}

/// E δ² of each place, known up to a factor that all places of a stretch have in common.
#[derive(Clone, Debug)]
pub(super) struct Delta {
    /// With a mean of 1, or 0.
    places: Vec<f64>,
    /// log₁₀ of what they are multiplied with.
    scale: f64,
    pub(super) stretch: usize,
}

impl Delta {
    /// The end of a stretch.
    pub(super) fn end(places: usize, stretch: usize) -> Self {
        Self { places: vec![1.0; places], scale: 0.0, stretch }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// log₁₀ of its root mean square.
    pub(super) fn decades(&self) -> f64 {
        0.5 * self.scale
    }

    fn of(self, mut places: Vec<f64>) -> Self {
        let size = mean(&places);
        if size > 0.0 {
            places.iter_mut().for_each(|place| *place /= size);
        }
        Self { places, scale: self.scale + log10(size), stretch: self.stretch }
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self { scale: self.scale + log10(factor), ..self }
    }

    /// Of two independent ones of a stretch.
    pub(super) fn plus(self, other: &Self) -> Self {
        let top = self.scale.max(other.scale);
        if top == f64::NEG_INFINITY {
            return self;
        }
        let [own, others] = [self.scale, other.scale].map(|scale| Float::powf(10.0, scale - top));
        let sums = self.places.iter().zip(&other.places).map(|(a, b)| own * a + others * b).collect();
        Self { scale: top, ..self }.of(sums)
    }

    /// That of the input, or how many places that has and why it is not known.
    pub(super) fn through(self, pull: &Pull) -> Result<Self, (usize, &'static str)> {
        let places = match pull {
            Pull::By(factors) => {
                self.places.iter().zip(factors).map(|(place, factor)| place * factor).collect()
            }
            &Pull::Spread { places, factor } => vec![factor * mean(&self.places); places],
            Pull::Taps { taps, factor } => {
                let mut pixels = vec![0.0; taps.places()[0]];
                taps.each(|_, place, pixel| pixels[pixel] += factor * self.places[place]);
                pixels
            }
            Pull::Mean { image, result } => {
                let window = [image[0] / result[0], image[1] / result[1]];
                let share = 1.0 / (window[0] * window[1]) as f64;
                let of_pixel = |pixel: usize| {
                    let (row, column) = (pixel / image[1] / window[0], pixel % image[1] / window[1]);
                    share * share * self.places[row * result[1] + column]
                };
                (0..image[0] * image[1]).map(of_pixel).collect()
            }
            &Pull::Unknown { places, reason } => return Err((places, reason)),
        };
        Ok(self.of(places))
    }
}
