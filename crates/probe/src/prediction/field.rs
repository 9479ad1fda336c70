//! [`Field`]: moments of what a wide random network computes at one place of it, and what layers make of them.

use super::taps::Taps;
use crate::correlation::pair_mean;
use crate::quadrature;
use crate::theory::{average, mean_square_slope, values};
use backflow_nn::Activation;
use backflow_tensor::Tensor;
use std::collections::BTreeMap;

/// What batch and layer normalisation of a model line add to a variance.
const EPS: f64 = 1e-5;

/// Up to this correlation, the average over two inputs is taken as a series.
const SERIES: f64 = 0.5;

/// Terms of that series: what is left out is less than `SERIES` to this power.
const TERMS: usize = 40;

/// Moments over the units (channels) of a layer, for each place of an image; of what is no image, there is one. NaN
/// where theory does not know.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// E x².
    pub(super) squares: Vec<f64>,
    /// E x x′ of two different samples.
    products: Vec<f64>,
    /// The mean of E x x′ over the places of x′.
    pooled: Vec<f64>,
    /// E x.
    means: Vec<f64>,
    /// Whether the units are normal.
    pub(super) is_normal: bool,
    /// For each place, whether all units are exactly 0 there, sample by sample: the background of an image, of which
    /// weights without biases make 0 again. Empty if there is none, or nothing is known of single samples.
    zeros: Vec<Vec<bool>>,
}

/// Up to this share of places that are 0, they are left out of account: 0.002 decades.
const FEW: f64 = 0.01;

pub(super) fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

impl Field {
    /// That of a batch `[N, …]`, of which the second axis is units and the others places, for so many places.
    pub(super) fn of_batch(x: &Tensor, places: usize) -> Self {
        let samples = x.size(0);
        let (x, numbers) = (x.to_f64_vec(), x.elements() / samples.max(1));
        let pairs = (samples * samples.saturating_sub(1)) as f64;
        let mut field = Self::uniform(0.0, 0.0, places);
        let units = (numbers / places) as f64;
        let is_zero = |sample: usize, place: usize| {
            (place..numbers).step_by(places).all(|number| x[sample * numbers + number] == 0.0)
        };
        field.zeros =
            (0..places).map(|place| (0..samples).map(|sample| is_zero(sample, place)).collect()).collect();
        for unit in (0..numbers).step_by(places) {
            let mut sums = vec![0.0; places];
            // Σ xᵢ(p)² and Σ xᵢ(p) x̄ᵢ, of the same sample: what the square of the sum has too much.
            let (mut own, mut own_pooled) = (vec![0.0; places], vec![0.0; places]);
            for sample in 0..samples {
                let x = &x[sample * numbers + unit..][..places];
                let over_places = mean(x);
                for (place, x) in x.iter().enumerate() {
                    sums[place] += x;
                    own[place] += x * x;
                    own_pooled[place] += x * over_places;
                }
            }
            let over_places = mean(&sums);
            for place in 0..places {
                let sum = sums[place];
                field.squares[place] += own[place] / (samples as f64 * units);
                field.products[place] += (sum * sum - own[place]) / (pairs * units);
                field.pooled[place] += (sum * over_places - own_pooled[place]) / (pairs * units);
                field.means[place] += sum / (samples as f64 * units);
            }
        }
        field
    }

    /// The same mean square everywhere, and the same of all else.
    pub(super) fn uniform(mean_square: f64, rest: f64, places: usize) -> Self {
        let [squares, other] = [mean_square, rest].map(|x| vec![x; places]);
        let [products, pooled, means] = [other.clone(), other.clone(), other];
        Self { squares, products, pooled, means, is_normal: false, zeros: Vec::new() }
    }

    pub(super) fn unknown(places: usize) -> Self {
        Self::uniform(f64::NAN, f64::NAN, places)
    }

    fn places(&self) -> usize {
        self.squares.len()
    }

    /// The share of samples that are 0 at a place.
    fn zero_share(&self, place: usize) -> f64 {
        let samples = self.zeros.get(place).map_or(&[][..], Vec::as_slice);
        samples.iter().filter(|is_zero| **is_zero).count() as f64 / samples.len().max(1) as f64
    }

    pub(super) fn rms(&self) -> Option<f64> {
        Some(mean(&self.squares).sqrt()).filter(|rms| !rms.is_nan())
    }

    /// All places as units.
    pub(super) fn flat(&self) -> Self {
        let [squares, products, means] = [&self.squares, &self.products, &self.means].map(|x| vec![mean(x)]);
        let is_normal = self.is_normal && self.places() == 1;
        // No sample is 0 in all places.
        Self { squares, pooled: products.clone(), products, means, is_normal, zeros: Vec::new() }
    }

    /// Weighted sums, with `σ_w²` and `σ_b²`.
    pub(super) fn linear(&self, weights: f64, biases: f64) -> Self {
        let mut field = self.flat();
        for moment in [&mut field.squares, &mut field.products, &mut field.pooled] {
            moment[0] = weights * moment[0] + biases;
        }
        Self { means: vec![0.0], is_normal: true, ..field }
    }

    /// Weighted sums over windows: `σ_w²` is that of one tap. Beyond the image there is nothing to add.
    pub(super) fn convolved(&self, taps: &Taps, weights: f64, biases: f64) -> Self {
        let [_, places] = taps.places();
        let mut field = Self { is_normal: true, ..Self::uniform(biases, biases, places) };
        field.means = vec![0.0; places];
        // Of each tap, what it sees over all places. E x(p) x′(p′) is taken as the product of what p and p′ have
        // in common with all, as far as the average tells.
        let mut seen = vec![0.0; taps.kernel.iter().product()];
        taps.each(|tap, _, pixel| seen[tap] += self.pooled[pixel] / places as f64);
        let common = mean(&self.pooled);
        let scale = if common == 0.0 { 0.0 } else { weights / common };
        taps.each(|tap, place, pixel| {
            field.squares[place] += weights * self.squares[pixel];
            field.products[place] += weights * self.products[pixel];
            field.pooled[place] += scale * self.pooled[pixel] * seen[tap];
        });
        if biases == 0.0 && !self.zeros.is_empty() {
            field.zeros = vec![vec![true; self.zeros[0].len()]; places];
            taps.each(|_, place, pixel| {
                field.zeros[place].iter_mut().zip(&self.zeros[pixel]).for_each(|(all, zero)| *all &= zero);
            });
        }
        field
    }

    /// A function of normal units; and E φ′² of each place.
    pub(super) fn activated(&self, activation: Activation, has_pairs: bool) -> (Self, Vec<f64>) {
        if activation == Activation::Identity {
            return (self.clone(), vec![1.0; self.places()]);
        }
        let mut field = Self::unknown(self.places());
        if !self.is_normal {
            return (field, vec![f64::NAN; self.places()]);
        }
        let is_homogeneous = matches!(activation, Activation::Relu | Activation::LeakyRelu(_));
        let (mut slopes, mut mixed) = (Vec::new(), 0.0);
        // Places are alike but for the borders.
        let mut known: BTreeMap<[u64; 2], [f64; 4]> = BTreeMap::new();
        for place in 0..self.places() {
            let (q, product) = (self.squares[place], self.products[place]);
            let correlation = if has_pairs && q > 0.0 { (product / q).clamp(-1.0, 1.0) } else { f64::NAN };
            let key = [q, correlation].map(f64::to_bits);
            let [square, product, mean, slope] = *known.entry(key).or_insert_with(|| {
                // Of these the slope is the same at every q.
                let slope_at = if q.is_nan() && is_homogeneous { 1.0 } else { q };
                let [square, product, mean] = averages(activation, q, correlation);
                [square, product, mean, mean_square_slope(activation, slope_at)]
            });
            field.squares[place] = square;
            field.products[place] = product;
            field.means[place] = mean;
            // Where z is exactly 0, so is the slope of relu there.
            let share = if is_homogeneous { self.zero_share(place) } else { 0.0 };
            mixed += share * (1.0 - share) / self.places() as f64;
            let slope_at_zero = if let Activation::LeakyRelu(slope) = activation { slope } else { 0.0 };
            slopes.push((1.0 - share) * slope + share * slope_at_zero * slope_at_zero);
        }
        if mixed > FEW {
            // Samples have different backgrounds. A window over what is not 0 is not 0 either: layers have their zeros in
            // common, and by how much is not followed.
            slopes.fill(f64::NAN);
        }
        if values(activation, vec![0.0]) == [0.0] {
            field.zeros.clone_from(&self.zeros);
        }
        // What two places of two samples have in common apart from the mean, they have in the share they had.
        let common = mean(&field.means);
        for place in 0..self.places() {
            let (mean, product) = (field.means[place], self.products[place]);
            let share = if product == 0.0 { 0.0 } else { self.pooled[place] / product };
            field.pooled[place] = mean * common + (field.products[place] - mean * mean) * share;
        }
        (field, slopes)
    }

    /// Each unit normalised over a large batch of different samples and over all places; and by what δ² is
    /// multiplied on the way back. What is common to all samples is taken away: variances are `E x² − E x x′`.
    pub(super) fn batch_normalised(&self) -> (Self, f64) {
        let common = mean(&self.pooled);
        let variance = mean(&self.squares) - common;
        let factor = 1.0 / (variance + EPS);
        // Of what is not normal, the mean over the samples decides how a unit varies: they are not alike.
        if !self.is_normal || factor.is_nan() {
            return (self.normalised_unknown(), f64::NAN);
        }
        let centred = |moments: &[f64]| {
            let of_place = |(moment, pooled): (&f64, &f64)| factor * (moment - 2.0 * pooled + common);
            moments.iter().zip(&self.pooled).map(of_place).collect()
        };
        let field = Self {
            squares: centred(&self.squares),
            products: centred(&self.products),
            is_normal: self.is_normal,
            ..Self::uniform(0.0, 0.0, self.places())
        };
        (field, factor)
    }

    /// What is normalised, whatever it was, where places are alike: the mean square is 1 and the mean 0. How it is spread
    /// over other places, nobody knows.
    fn normalised_unknown(&self) -> Self {
        let places = self.places();
        let is_alike = places == 1 || self.squares.iter().all(|square| *square == self.squares[0]);
        let field = if is_alike { Self::uniform(1.0, 0.0, places) } else { Self::unknown(places) };
        Self { is_normal: self.is_normal, ..field }
    }

    /// Each sample normalised over all units and places; and by what δ² is multiplied on the way back.
    pub(super) fn layer_normalised(&self, is_centred: bool) -> (Self, f64) {
        let over_all = if is_centred { mean(&self.means) } else { 0.0 };
        let zeros =
            (0..self.places()).map(|place| self.zero_share(place)).sum::<f64>() / self.places() as f64;
        let eps = if is_centred { EPS } else { 0.0 };
        let factor = 1.0 / (mean(&self.squares) - over_all * over_all + eps);
        let centred = |moments: &[f64], once: bool| -> Vec<f64> {
            let of_place = |(moment, mean): (&f64, &f64)| {
                let rest = if once { mean * over_all } else { 2.0 * mean * over_all - over_all * over_all };
                factor * (moment - rest)
            };
            moments.iter().zip(&self.means).map(of_place).collect()
        };
        if factor.is_nan() {
            // Samples are normalised each by itself: what they have in common is not known either.
            let unknown = vec![f64::NAN; self.places()];
            let [products, pooled, means] = [unknown.clone(), unknown.clone(), unknown];
            return (Self { products, pooled, means, ..self.normalised_unknown() }, f64::NAN);
        }
        let field = Self {
            squares: centred(&self.squares, false),
            products: centred(&self.products, false),
            pooled: centred(&self.pooled, true),
            means: self.means.iter().map(|mean| factor.sqrt() * (mean - over_all)).collect(),
            // Of what was 0 everywhere, all units are on the same side of 0 now, by chance on which.
            is_normal: self.is_normal && !(is_centred && zeros > FEW),
            zeros: if is_centred { Vec::new() } else { self.zeros.clone() },
        };
        (field, factor)
    }

    /// Units of which a share is kept by chance, and made larger for it; and by what δ² is multiplied.
    pub(super) fn dropped(&self, p: f64) -> (Self, f64) {
        let factor = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
        let squares = self.squares.iter().map(|square| factor * square).collect();
        (Self { squares, is_normal: self.is_normal && p == 0.0, ..self.clone() }, factor)
    }

    /// The sum with a branch, whose random weights make it independent, times a factor.
    pub(super) fn plus(&self, branch: &Self, factor: f64) -> Self {
        let (common, branch_common) = (mean(&self.means), mean(&branch.means));
        let sum = |a: &[f64], b: &[f64], crossed: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let of_place = |place: usize| a[place] + factor * factor * b[place] + factor * crossed(place);
            (0..a.len()).map(of_place).collect()
        };
        // Where the mean of the one is 0, that of the other need not be known.
        let times = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let means = |place: usize| (self.means[place], branch.means[place]);
        let crossed = |place: usize| 2.0 * times(means(place).0, means(place).1);
        let both = |a: &Vec<bool>, b: &Vec<bool>| a.iter().zip(b).map(|(a, b)| a & b).collect();
        let pooled = |place: usize| times(means(place).0, branch_common) + times(means(place).1, common);
        Self {
            squares: sum(&self.squares, &branch.squares, &crossed),
            products: sum(&self.products, &branch.products, &crossed),
            pooled: sum(&self.pooled, &branch.pooled, &pooled),
            means: (0..self.places()).map(|place| means(place).0 + factor * means(place).1).collect(),
            is_normal: self.is_normal && branch.is_normal,
            zeros: self.zeros.iter().zip(&branch.zeros).map(|(a, b)| both(a, b)).collect(),
        }
    }
}

/// E φ(u)², E φ(u) φ(v) and E φ(u), u and v of variance q and this correlation. Of the second, the series is
/// `Σ aₖ² cᵏ`, aₖ the coefficients of φ in normalised Hermite polynomials.
fn averages(activation: Activation, q: f64, correlation: f64) -> [f64; 3] {
    if q.is_nan() {
        return [f64::NAN; 3];
    }
    let q = q.clamp(1e-300, 1e300);
    let (points, weights) = quadrature::normal(q);
    let y = values(activation, points.clone());
    let square = average(&y.iter().map(|y| y * y).collect::<Vec<_>>(), &weights);
    let mean = average(&y, &weights);
    let product = if correlation == 0.0 {
        mean * mean
    } else if correlation.abs() <= SERIES {
        series(&points.iter().map(|x| x / q.sqrt()).collect::<Vec<_>>(), &y, &weights, correlation)
    } else if correlation.is_nan() {
        f64::NAN
    } else {
        pair_mean(activation, q.clamp(1e-24, 1e100), correlation, values)
    };
    [square, product, mean]
}

fn series(z: &[f64], y: &[f64], weights: &[f64], correlation: f64) -> f64 {
    let mut polynomials = vec![[0.0, 1.0]; z.len()];
    let (mut sum, mut power) = (0.0, 1.0);
    for k in 0..TERMS {
        let coefficient: f64 =
            (0..z.len()).map(|point| weights[point] * y[point] * polynomials[point][1]).sum();
        sum += coefficient * coefficient * power;
        power *= correlation;
        for (z, [before, last]) in z.iter().zip(&mut polynomials) {
            let next = (z * *last - (k as f64).sqrt() * *before) / ((k + 1) as f64).sqrt();
            (*before, *last) = (*last, next);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{averages, pair_mean, values};
    use backflow_nn::Activation;

    /// The series is the average over two inputs, and what is left out of it nothing.
    #[test]
    fn the_series_of_two_inputs() {
        for activation in [Activation::Relu, Activation::Tanh, Activation::Gelu, Activation::Softplus] {
            for (q, correlation) in [(0.3, 0.5), (1.0, -0.4), (5.0, 0.1)] {
                let [square, product, _] = averages(activation, q, correlation);
                let exact = pair_mean(activation, q, correlation, values);
                assert!(
                    (product - exact).abs() < 1e-11 * square,
                    "{activation} {q} {correlation}: {product}, {exact}"
                );
            }
        }
    }
}
