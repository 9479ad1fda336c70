//! [`find_nonfinite`]: which op, in which layer, at which line of the program, made the first NaN or
//! infinity.
//!
//! Nothing is watched while a training is healthy. When a loss is not a number, it is computed once more with
//! every op in view ([`backflow_tensor::trace`]), and the way that the loss took through numbers that are not
//! finite is followed back to where they began. An op elsewhere is not blamed, however infinite its result:
//! only what reached the loss, or a gradient, counts. No tensor is held, only figures of those that are not
//! finite.

mod search;
mod words;

use crate::OpAt;
use backflow_optim::Optimizer;
use backflow_tensor::observe::observe;
use backflow_tensor::trace::{Computed, Kind, trace};
use backflow_tensor::{DType, Module, Tensor, misuse};
use search::{Search, Sites};
use std::cell::RefCell;
use std::rc::Rc;

/// Where the first number that is not finite came from. Its `Display` says it in a few sentences, without
/// line breaks.
#[derive(Clone, Debug, PartialEq)]
pub struct NonFinite {
    /// The loss of the replay; `None` if it was not computed, since a parameter was not a number before.
    pub loss: Option<f64>,
    /// The first parameter whose gradient is not finite, where the loss is.
    pub gradient_of: Option<String>,
    /// What was found.
    pub origin: Origin,
}

impl NonFinite {
    /// Asks the optimizer of the model whether it was its rule that brought the numbers into a parameter, by
    /// a division of 0 by 0 that an ε above 0 would have prevented.
    #[must_use]
    pub fn ask(mut self, optimizer: &Optimizer, model: &(impl Module + ?Sized)) -> Self {
        if let Origin::Parameter { path, divided_by_zero, .. } = &mut self.origin {
            *divided_by_zero = optimizer.divided_by_zero(model, path);
        }
        self
    }
}

/// Where numbers that are not finite began.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A parameter holds them already, so that nothing was replayed.
    Parameter {
        /// Its path, the first of such parameters.
        path: String,
        /// What it holds.
        numbers: Numbers,
        /// How many more parameters hold such numbers.
        others: usize,
        /// Whether the rule that updates it divided 0 by 0, as far as an optimizer [was
        /// asked](NonFinite::ask).
        divided_by_zero: bool,
    },
    /// An op was given them: data, or a tensor made from numbers.
    Input {
        /// The op.
        at: OpAt,
        /// The place of the operand, counted from 0; for a gradient 0 is that of the op's result, and what
        /// the op kept follows.
        operand: usize,
        /// What of the op was computed.
        kind: Kind,
        /// The layer that the op belongs to.
        place: Place,
        /// What the operand holds.
        numbers: Numbers,
    },
    /// An op made them of finite ones, or NaN and +∞ of a mask of −∞.
    Op {
        /// The op; its line is the one that computed its result, also where it is the gradient that is not
        /// finite.
        at: OpAt,
        /// Whether it is the op's result, the gradient that it passes back, or a sum of gradients.
        kind: Kind,
        /// The layer that the op belongs to.
        place: Place,
        /// The element type of the result.
        dtype: DType,
        /// What was made.
        numbers: Numbers,
        /// What it was made of: the operands; for a gradient, that of the op's result and then what the op
        /// kept.
        operands: Vec<Numbers>,
    },
    /// The loss was computed by no op that was seen, for instance from numbers.
    Unseen,
}

/// The layer that an op belongs to, as far as layers announce what they do.
///
/// What is computed between a layer's [`announce_input`](backflow_tensor::LayerId::announce_input) and its
/// [`announce`](backflow_tensor::LayerId::announce), as by [`Linear`](backflow_nn::Linear), and the op whose
/// very result is announced, as by [`ActivationLayer`](backflow_nn::ActivationLayer), is in the layer; so is
/// an op whose result is [`named`](Tensor::named). All else is between what was announced before it and what
/// was announced after it. The gradients of an op belong where its result does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the layer at this path, or the result of this name.
    Layer(String),
    /// In no layer that is known.
    Between {
        /// The last one announced before.
        after: Option<String>,
        /// The first one announced, or begun, after it.
        before: Option<String>,
    },
}

/// Figures of the numbers of a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// How many there are.
    pub elements: usize,
    /// How many are NaN.
    pub nan: usize,
    /// How many are +∞.
    pub infinite: usize,
    /// How many are −∞.
    pub negative_infinite: usize,
    /// How many are 0.
    pub zeros: usize,
    /// How many are finite and below 0.
    pub negative: usize,
    /// The largest magnitude of the finite ones; 0 if there is none.
    pub largest: f64,
}

impl Numbers {
    /// Of all elements; integers and booleans are numbers too.
    #[must_use]
    pub fn of(x: &Tensor) -> Self {
        let mut numbers = Self { elements: x.elements(), ..Self::default() };
        for number in x.to_f64_vec() {
            if number.is_finite() {
                numbers.zeros += usize::from(number == 0.0);
                numbers.negative += usize::from(number < 0.0);
                numbers.largest = numbers.largest.max(number.abs());
            } else if number.is_nan() {
                numbers.nan += 1;
            } else if number > 0.0 {
                numbers.infinite += 1;
            } else {
                numbers.negative_infinite += 1;
            }
        }
        numbers
    }

    /// Whether all are finite.
    #[must_use]
    pub fn are_finite(&self) -> bool {
        self.nan + self.infinite + self.negative_infinite == 0
    }
}

/// Where the first NaN or infinity of `loss` comes from, or of the gradients of the parameters of `model`;
/// `None` if there is none.
///
/// `loss` is called once, to compute again what went wrong: on the same batch, and with the same random
/// numbers where it uses any: inside [`training`](backflow_tensor::training()) with the stream of the step,
/// or in its [`Scope`](backflow_tensor::training::Scope). It is not called if a trainable parameter of the
/// model is not finite to begin with. If the loss is finite and tracked, the gradients are computed too.
/// Neither the model nor an optimizer is changed.
///
/// Of several origins the first in order of computation is told. A −∞ that comes from outside, as in the mask
/// of an attention, is taken to be meant: blamed is the op that makes NaN or +∞ of it, and that only where it
/// reaches the loss. Costs a forward and a backward pass, and a look at each result.
///
/// ```
/// use backflow_nn::Linear;
/// use backflow_probe::{Origin, find_nonfinite};
/// use backflow_tensor::{Rng, Tensor};
///
/// let model = Linear::new(2, 1, &mut Rng::seed_from_u64(0));
/// let x = Tensor::from([[200.0_f32, 1.0]]);
/// let found = find_nonfinite(&model, || model.forward(&x.exp()).mean(..)).expect("e²⁰⁰ is beyond f32");
/// let Origin::Op { at, .. } = &found.origin else { panic!("{found}") };
/// assert_eq!((at.op.name, at.line.file()), ("exp", file!()));
/// assert!(found.to_string().contains("exp makes the first infinity"), "{found}");
/// assert_eq!(find_nonfinite(&model, || model.forward(&x).mean(..)), None);
/// ```
///
/// # Panics
/// If the loss has more than one element.
#[must_use]
#[track_caller]
pub fn find_nonfinite(model: &(impl Module + ?Sized), loss: impl FnOnce() -> Tensor) -> Option<NonFinite> {
    let parameters = model.parameters();
    let mut damaged = parameters.iter().filter(|(_, tensor)| !tensor.is_all_finite());
    if let Some((path, tensor)) = damaged.next() {
        let (path, numbers, others) = (path.clone(), Numbers::of(tensor), damaged.count());
        let origin = Origin::Parameter { path, numbers, others, divided_by_zero: false };
        return Some(NonFinite { loss: None, gradient_of: None, origin });
    }
    let search = Rc::new(RefCell::new(Search::new(model)));
    let tracer = {
        let search = Rc::clone(&search);
        move |computed: &Computed<'_>| search.borrow_mut().see(computed)
    };
    let (_, (loss, gradients)) = observe(Sites(Rc::clone(&search)), || {
        trace(tracer, || {
            let loss = loss();
            let is_scalar = loss.elements() == 1;
            let goes_back = is_scalar && loss.is_tracked() && loss.item().is_finite();
            let gradients = goes_back.then(|| loss.backward());
            (loss, gradients)
        })
    });
    if loss.elements() != 1 {
        let rows = [("shape", loss.shape().to_string())];
        misuse("find_nonfinite", "the loss is not a scalar", &rows, "reduce it, e.g. with mean(..)");
    }
    let search = search.borrow();
    let value = loss.item();
    let (gradient_of, origin) = if value.is_finite() {
        let gradients = gradients?;
        let of = |(path, tensor): &(String, Tensor)| gradients.get(tensor).map(|g| (path.clone(), g.clone()));
        let damaged: Vec<(String, Tensor)> =
            parameters.iter().filter_map(of).filter(|(_, gradient)| !gradient.is_all_finite()).collect();
        let gradients: Vec<&Tensor> = damaged.iter().map(|(_, gradient)| gradient).collect();
        (Some(damaged.first()?.0.clone()), search.origin(&gradients))
    } else {
        (None, search.origin(&[&loss]))
    };
    Some(NonFinite { loss: Some(value), gradient_of, origin })
}
