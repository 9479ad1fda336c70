//! A program: values made one after the other by random ops, each held against what is right.
//!
//! Operands of an op are known to the last bit, for what was found within its tolerance is taken over. So
//! errors do not add up, and an op that is wrong is found at its first use, with the few ops that its
//! operands are made of as the smallest program.

use crate::naive::{Naive, Right};
use backflow_tensor::{DType, Rng, Tensor};

/// A value of a program.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) tensor: Tensor,
    pub(crate) naive: Naive,
    text: String,
    operands: Vec<usize>,
}

/// What an op has made of values, and how.
pub(crate) struct Made {
    pub(crate) op: &'static str,
    pub(crate) text: String,
    pub(crate) operands: Vec<usize>,
    pub(crate) found: Tensor,
    /// Computed only where somebody asks.
    pub(crate) right: Box<dyn FnOnce() -> Right>,
}

/// Sizes that a program has its arrays from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sizes {
    /// Many ranks, few elements, some empty.
    Small,
    /// So many elements that kernels share them among threads (`backflow_kernels::parallel::GRAIN`).
    Large,
}

pub(crate) struct Program {
    pub(crate) values: Vec<Value>,
    pub(crate) rng: Rng,
    pub(crate) sizes: Sizes,
    seed: u64,
    dtype: DType,
    is_tracked: bool,
}

/// Values stay so small that few overflow.
const LARGEST: f64 = 1e3;

impl Program {
    pub(crate) fn new(seed: u64, sizes: Sizes) -> Self {
        let mut rng = Rng::seed_from_u64(29).split(seed);
        let dtype = [DType::F32, DType::F64][rng.below(2)];
        let is_tracked = rng.below(2) == 0 || sizes == Sizes::Large;
        let mut program = Self { values: vec![], rng, sizes, seed, dtype, is_tracked };
        for _ in 0..2 {
            let shape = program.shape();
            program.leaf(&shape, dtype);
        }
        program
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.rng.below(n)
    }

    /// A number that every type holds.
    pub(crate) fn number(&mut self) -> f64 {
        self.below(49) as f64 / 8.0 - 3.0
    }

    fn shape(&mut self) -> Vec<usize> {
        if self.sizes == Sizes::Large {
            return [vec![70_001], vec![257, 300], vec![40, 41, 42]][self.below(3)].clone();
        }
        match self.below(20) {
            0 => vec![17, 33],
            1 => vec![257],
            _ => (0..self.below(5)).map(|_| [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 7][self.below(12)]).collect(),
        }
    }

    /// A new array of random numbers, of which some are alike and some are 0; the number of the value.
    pub(crate) fn leaf(&mut self, shape: &[usize], dtype: DType) -> usize {
        let scale = [0.5, 2.0, 10.0][self.below(3)];
        let coarse = self.below(4) == 0;
        let drawn = Tensor::uniform(shape, -scale, scale, dtype, &mut self.rng);
        let numbers = drawn.to_f64_vec().into_iter().map(|x| if coarse { x.round() } else { x });
        let data: Vec<f64> = numbers.collect();
        let tensor = Tensor::from_vec(data.clone(), shape).to_dtype(dtype);
        let tensor = if self.is_tracked { tensor.requires_grad() } else { tensor };
        let text = format!("{dtype} {shape:?} within {scale}{}", if coarse { ", whole" } else { "" });
        self.values.push(Value { tensor, naive: Naive::new(shape, data), text, operands: vec![] });
        self.values.len() - 1
    }

    /// Any value, the latest more often.
    pub(crate) fn pick(&mut self) -> usize {
        let n = self.values.len();
        if self.below(3) == 0 { n - 1 - self.below(n.min(3)) } else { self.below(n) }
    }

    /// A value of the type that broadcasts against the shape: an earlier one, or a new one.
    pub(crate) fn partner(&mut self, shape: &[usize], dtype: DType) -> usize {
        let fits = |value: &Value| {
            let other = &value.naive.shape;
            let pairs = other.iter().rev().zip(shape.iter().rev());
            value.tensor.dtype() == dtype && pairs.clone().all(|(a, b)| a == b || *a == 1 || *b == 1)
        };
        let fitting: Vec<usize> = (0..self.values.len()).filter(|&i| fits(&self.values[i])).collect();
        if !fitting.is_empty() && self.below(3) > 0 {
            return fitting[self.below(fitting.len())];
        }
        let shorter = self.below(shape.len() + 1) * self.below(2);
        let sizes: Vec<usize> =
            shape[shorter..].iter().map(|&size| if self.below(4) == 0 { 1 } else { size }).collect();
        self.leaf(&sizes, dtype)
    }

    pub(crate) fn tensor(&self, value: usize) -> Tensor {
        self.values[value].tensor.clone()
    }

    pub(crate) fn naive(&self, value: usize) -> Naive {
        self.values[value].naive.clone()
    }

    /// Holds what was made against what is right, and takes it into the program if it is of use there. The
    /// count of numbers compared.
    pub(crate) fn compare_and_take(&mut self, made: Made) -> Result<usize, String> {
        let Made { op, text, operands, found, right } = made;
        let right = right();
        let is_f32 = found.dtype() == DType::F32;
        let elements = found.to_f64_vec();
        let fail = |how: String| Err(format!("{op}: {how}\n{}", self.smallest(&text, &operands)));
        if *found.shape() != right.values.shape[..] {
            return fail(format!("the shape is {}, and right is {:?}", found.shape(), right.values.shape));
        }
        for (i, (&found, (&value, &roundings))) in
            elements.iter().zip(right.values.data.iter().zip(&right.roundings)).enumerate()
        {
            // Below the range of normal numbers, a factor that is rounded to a multiple of the smallest
            // number there is may stand before another of up to 128: σ(x) of x σ(x).
            let (rounding, smallest) = if is_f32 {
                (2_f64.powi(-24), 2_f64.powi(-142))
            } else {
                (2_f64.powi(-53), f64::MIN_POSITIVE)
            };
            let tolerance = if roundings == 0.0 { 0.0 } else { roundings * rounding + smallest };
            let overflows = is_f32 && found.is_infinite() && value * (1.0 + 1e-5) > f64::from(f32::MAX);
            let both_nan = found.is_nan() && value.is_nan();
            let same = found == value || both_nan || (value as f32 == found as f32 && found.is_infinite());
            // Written so that a NaN does not pass.
            let is_near = (found - value).abs() <= tolerance;
            if !(same || is_near || overflows) {
                return fail(format!(
                    "element {i} is {found:?}, and right is {value:?} within {tolerance:.1e}"
                ));
            }
        }
        let count = elements.len();
        let _ = self.take(text, operands, found, Some(elements));
        Ok(count)
    }

    /// Takes what was made into the program, if it is of use there; whether it is.
    pub(crate) fn take(
        &mut self,
        text: String,
        operands: Vec<usize>,
        found: Tensor,
        elements: Option<Vec<f64>>,
    ) -> bool {
        let limit = if self.sizes == Sizes::Small { 1200 } else { 200_000 };
        if !found.dtype().is_float() || found.elements() > limit || found.rank() > 5 {
            return false;
        }
        let elements = elements.unwrap_or_else(|| found.to_f64_vec());
        let is_small = elements.iter().all(|x| x.abs() < LARGEST);
        if is_small {
            let naive = Naive::new(&found.shape(), elements);
            self.values.push(Value { tensor: found, naive, text, operands });
        }
        is_small
    }

    /// The values that this one is made of, and how: all that it takes to see the failure again.
    fn smallest(&self, text: &str, operands: &[usize]) -> String {
        let mut needed = operands.to_vec();
        let mut next = 0;
        while next < needed.len() {
            let more = self.values[needed[next]].operands.clone();
            needed.extend(more);
            next += 1;
        }
        needed.sort_unstable();
        needed.dedup();
        let lines: Vec<String> =
            needed.into_iter().map(|i| format!("    v{i} = {}\n", self.values[i].text)).collect();
        let kind = if self.is_tracked { "tracked" } else { "untracked" };
        format!("{}    {text}\nseed {}, {}, {kind}", lines.concat(), self.seed, self.dtype)
    }
}
