//! [`SinusoidalPositions`] and [`LearnedPositions`]: where in a sequence a step is, added to it.

use crate::init::Init;
use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::{DType, LayerId, Rng, Role, Tensor, misuse};
use std::fmt;

/// Waves of many lengths, which tell a step's place: `y = x + p`, `p[t, 2i] = sin(t / 10000^(2i/n))`,
/// `p[t, 2i + 1] = cos(t / 10000^(2i/n))`. Shapes: x `[steps, batch, n]`, y alike. It has no parameters.
///
/// It announces y. Vaswani et al. 2017, section 3.5.
///
/// ```
/// use backflow_nn::SinusoidalPositions;
/// use backflow_tensor::{DType, Tensor};
/// let y = SinusoidalPositions::new(100, 4).forward(&Tensor::zeros([2, 1, 4], DType::F64)).to_vec::<f64>();
/// assert_eq!(y[..4], [0.0, 1.0, 0.0, 1.0]);
/// assert!((y[4] - 0.841_470_98).abs() < 1e-8, "sin 1");
/// ```
#[derive(Clone, Module)]
pub struct SinusoidalPositions {
    #[module(skip)]
    table: Tensor,
    #[module(skip)]
    batch_first: bool,
    id: LayerId,
}

impl SinusoidalPositions {
    /// For sequences of at most so many steps of so many numbers, of any element type.
    #[must_use]
    pub fn new(steps: usize, numbers: usize) -> Self {
        let pairs = numbers.div_ceil(2);
        let half = Tensor::from_vec((0..pairs).map(|i| 2.0 * i as f64).collect(), [pairs]);
        let rates = (half * (-4.0 * std::f64::consts::LN_10 / numbers.max(1) as f64)).exp();
        let angles = Tensor::from_vec((0..steps).map(|t| t as f64).collect(), [steps]).outer(&rates);
        let table = Tensor::stack(&[angles.sin(), angles.cos()], -1).flatten(1).slice(1, ..numbers);
        Self { table, batch_first: false, id: LayerId::new() }
    }

    /// The same for `[batch, steps, numbers]`.
    #[must_use]
    pub fn batch_first(self) -> Self {
        Self { batch_first: true, ..self }
    }

    /// x with the place of each step added.
    ///
    /// # Panics
    /// If x has other numbers, or more steps, or is not floating point.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        added(self.id, &self.table, self.batch_first, x)
    }
}

/// A vector for each place, which is learnt: `y = x + weight[t]`. Shapes: x `[steps, batch, numbers]`, y alike.
///
/// It announces y. Gehring et al. 2017; drawn as those of GPT-2 and BERT, normal with a standard deviation of 0.02.
///
/// ```
/// use backflow_nn::LearnedPositions;
/// use backflow_tensor::{DType, Rng, Tensor};
/// let positions = LearnedPositions::new(100, 8, &mut Rng::seed_from_u64(7)).batch_first();
/// assert_eq!(positions.forward(&Tensor::ones([5, 20, 8], DType::F32)).shape(), [5, 20, 8]);
/// ```
#[derive(Clone, Module)]
pub struct LearnedPositions {
    /// `[steps, numbers]`.
    pub weight: Tensor,
    #[module(skip)]
    batch_first: bool,
    id: LayerId,
}

impl LearnedPositions {
    /// For sequences of at most so many steps of so many numbers, of `f32`.
    #[must_use]
    pub fn new(steps: usize, numbers: usize, rng: &mut Rng) -> Self {
        Self::with_init(steps, numbers, Init::Normal { mean: 0.0, std: 0.02 }, DType::F32, rng)
    }

    /// The same, drawn by a rule.
    ///
    /// # Panics
    /// If `dtype` is not floating point, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn with_init(steps: usize, numbers: usize, init: Init, dtype: DType, rng: &mut Rng) -> Self {
        let weight = init.sample([steps, numbers], 1.0, dtype, rng).requires_grad();
        Self { weight, batch_first: false, id: LayerId::new() }
    }

    /// The same for `[batch, steps, numbers]`.
    #[must_use]
    pub fn batch_first(self) -> Self {
        Self { batch_first: true, ..self }
    }

    /// x with the vector of its place added to each step.
    ///
    /// # Panics
    /// If x has other numbers, or more steps, or another element type.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        added(self.id, &self.weight, self.batch_first, x)
    }
}

#[track_caller]
fn added(id: LayerId, table: &Tensor, batch_first: bool, x: &Tensor) -> Tensor {
    let steps = if batch_first { 1 } else { 0 };
    if x.rank() != 3 || x.size(-1) != table.size(1) || x.size(steps) > table.size(0) {
        let rows = [("x", x.shape().to_string()), ("positions", table.shape().to_string())];
        let order = if batch_first { "[batch, steps, numbers]" } else { "[steps, batch, numbers]" };
        misuse(
            "Positions",
            "x does not fit",
            &rows,
            &format!("x is {order}, positions are [steps, numbers]"),
        );
    }
    let places = table.slice(0, ..x.size(steps)).unsqueeze(1 - steps);
    // Of waves; those that are learnt have the element type of the model.
    let places = if places.is_tracked() { places } else { places.to_dtype(x.dtype()) };
    let y = x + places;
    id.announce(Role::Other.called("positions"), &y);
    y
}

impl Layer for SinusoidalPositions {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl Layer for LearnedPositions {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for SinusoidalPositions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SinusoidalPositions{}", self.table.shape())
    }
}

impl fmt::Debug for LearnedPositions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LearnedPositions{}", self.weight.shape())
    }
}
