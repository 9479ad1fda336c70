//! Arrays as anybody would write them: sizes, elements in row-major order, and loops over indices, all in
//! `f64`.
//!
//! Nothing here is the library's: no kernel, no stride, no function of its own. Beside a result stands how
//! far another evaluation may be from it, counted in roundings of the element type.

/// An array of `f64`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Naive {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

/// What is right, and by how many roundings of 1 each element may be off.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) values: Naive,
    pub(crate) roundings: Vec<f64>,
}

/// An evaluation of a function of one element errs by a few units in the last place, which are two roundings
/// each; the function here, by some as well.
const ROUNDINGS: f64 = 10.0;

impl Naive {
    pub(crate) fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape: shape.to_vec(), data }
    }

    /// The array whose element at an index is `f` of it.
    pub(crate) fn of(shape: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Self {
        let data = indices(shape).iter().map(|index| f(index)).collect();
        Self::new(shape, data)
    }

    /// An element of the array, or of what it is broadcast to: axes are aligned at the last.
    pub(crate) fn at(&self, index: &[usize]) -> f64 {
        let own = &index[index.len() - self.shape.len()..];
        let place = own
            .iter()
            .zip(&self.shape)
            .fold(0, |place, (&i, &size)| place * size + if size == 1 { 0 } else { i });
        self.data[place]
    }

    /// Elements that are moved are not rounded.
    pub(crate) fn exact(self) -> Right {
        let roundings = vec![0.0; self.data.len()];
        Right { values: self, roundings }
    }

    /// Each element is computed by itself, to a few roundings.
    pub(crate) fn rounded(self) -> Right {
        self.conditioned(|_| 1.0)
    }

    /// The same where a rounding on the way is made larger by the factor at this place.
    pub(crate) fn conditioned(self, factor: impl Fn(usize) -> f64) -> Right {
        // Never 0, which is for what must be exact: a result that underflows here may be a number there.
        let of = |(i, y): (usize, &f64)| (ROUNDINGS * factor(i) * y.abs()).max(f64::MIN_POSITIVE);
        let roundings = self.data.iter().enumerate().map(of).collect();
        Right { values: self, roundings }
    }

    /// The sum over some axes, which stay with size 1, of `term` of each element.
    pub(crate) fn sum(&self, axes: &[usize], term: impl Fn(&[usize], f64) -> f64) -> Self {
        let mut sums = Self::of(&kept(&self.shape, axes), |_| 0.0);
        for (index, &x) in indices(&self.shape).iter().zip(&self.data) {
            let place = place(&sums.shape, index);
            sums.data[place] += term(index, x);
        }
        sums
    }

    /// The largest element along the axes, which stay with size 1.
    pub(crate) fn max(&self, axes: &[usize]) -> Self {
        let mut largest = Self::of(&kept(&self.shape, axes), |_| f64::NEG_INFINITY);
        for (index, &x) in indices(&self.shape).iter().zip(&self.data) {
            let place = place(&largest.shape, index);
            largest.data[place] = largest.data[place].max(x);
        }
        largest
    }

    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(&self.shape, self.data.iter().map(|&x| f(x)).collect())
    }

    /// The same elements in another shape.
    pub(crate) fn shaped(self, shape: &[usize]) -> Self {
        Self::new(shape, self.data)
    }
}

impl Right {
    /// Sums of so many terms of these magnitudes, added up in any order.
    pub(crate) fn of_sums(values: Naive, terms: usize, magnitudes: &Naive) -> Self {
        let roundings = magnitudes.data.iter().map(|m| (terms as f64 + ROUNDINGS) * m).collect();
        Self { values, roundings }
    }

    pub(crate) fn shaped(self, shape: &[usize]) -> Self {
        Self { values: self.values.shaped(shape), ..self }
    }
}

/// All indices of a shape, the last axis fastest.
pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |shorter, &size| {
        let longer = |index: &Vec<usize>| {
            let index = index.clone();
            (0..size).map(move |i| [&index[..], &[i]].concat()).collect::<Vec<_>>()
        };
        shorter.iter().flat_map(longer).collect()
    })
}

/// Where an element is that an index of a larger array falls on: at 0 of an axis of size 1.
fn place(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |place, (&size, &i)| place * size + if size == 1 { 0 } else { i })
}

fn kept(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size }).collect()
}

/// erf x = 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n + 1)), of which all terms have one sign.
pub(crate) fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut sum, mut term, mut n) = (0.0, x, 0.0);
    while sum + term != sum {
        sum += term;
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

/// 1 − erf x, of which a third is left at 0.7; from there on by the continued fraction e^(−x²)/√π · 1/(x +
/// ½/(x + 1/(x + 1½/(x + …)))).
pub(crate) fn erfc(x: f64) -> f64 {
    if x < 0.7 {
        return 1.0 - erf(x);
    }
    let fraction = (1..400).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    (-x * x).exp() / std::f64::consts::PI.sqrt() / fraction
}

/// The distribution function of the normal distribution.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x / std::f64::consts::SQRT_2)
}

/// 1 / (1 + e⁻ˣ).
pub(crate) fn sigmoid(x: f64) -> f64 {
    // On the left not by e⁻ˣ, which overflows before the result is 0.
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// ½ (1 + tanh z), z = √(2/π) (x + 0.044715 x³).
pub(crate) fn normal_cdf_tanh(x: f64) -> f64 {
    sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x))
}

#[test]
fn special_functions_are_those_of_the_tables() {
    // Abramowitz and Stegun, tables 7.1 and 26.1.
    let close = |x: f64, right: f64| assert!((x / right - 1.0).abs() < 1e-9, "{x}, and right is {right}");
    close(erf(0.5), 0.520_499_877_8);
    close(erf(-1.5), -0.966_105_146_5);
    close(erfc(3.0), 2.209_049_699_86e-5);
    close(normal_cdf(1.0), 0.841_344_746_07);
    close(normal_cdf(-3.0), 1.349_898_031_63e-3);
    assert_eq!(indices(&[2, 2]), [[0, 0], [0, 1], [1, 0], [1, 1]]);
    assert_eq!((indices(&[]).len(), indices(&[3, 0]).len()), (1, 0));
}
