//! [`Surgery`]: changes gradients on their way back, at layers and results by name.
//!
//! An operation is performed on the gradient of a layer's *output*. So the layer's own parameters feel it,
//! and everything before the layer; what comes after it does not. The model is not edited and its outputs do
//! not change.

use crate::join;
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{DType, LayerId, Module, Rng, Tensor, misuse};
use glob::Pattern;
use std::collections::BTreeSet;
use std::fmt;

/// Operations on gradients, by the paths of layers and the [names](Tensor::named) of results.
///
/// A place is a path (`layers.3`), a name (`h1`), or a pattern of either (`activations.*`); several
/// operations at one place are performed in the order in which they were written down. A layer that is used
/// several times is operated on at each use, with the gradient of that use.
///
/// The states of a recurrent layer at a step have names, too: `h25`, below the path of the layer (`lstm.h25`,
/// `lstm.l1_reverse.h25`), and `c25` of an LSTM. To stop both is to cut the sequence there, as truncated
/// back-propagation through time does. With such a place recurrent layers go step by step, which is the same to
/// rounding; the path of the layer alone is that of its result.
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_probe::Surgery;
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(0);
/// let model = Mlp::new(&[4, 8, 8, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
/// let x = Tensor::randn([16, 4], DType::F32, &mut rng);
/// let pass = || model.forward(&x).square().mean(..).backward();
/// let mut surgery = Surgery::new(&model).stop("layers.1");
/// let gradients = surgery.operate(pass);
/// // Nothing comes through: not to layer 1, not to layer 0. Layer 2 has the gradient it always had.
/// assert!(gradients.of(&model.layers[1].weight).to_vec::<f32>().iter().all(|&g| g == 0.0));
/// assert!(gradients.of(&model.layers[0].weight).to_vec::<f32>().iter().all(|&g| g == 0.0));
/// let plain = pass();
/// let last = &model.layers[2].weight;
/// assert_eq!(gradients.of(last).to_vec::<f32>(), plain.of(last).to_vec::<f32>());
/// ```
#[derive(Clone, Debug)]
pub struct Surgery {
    layers: Vec<(String, LayerId)>,
    cuts: Vec<Cut>,
    names: BTreeSet<String>,
}

/// One operation at one place.
#[derive(Clone, Debug)]
struct Cut {
    place: Pattern,
    operation: Operation,
    /// Whether something of this name was computed, and whether its gradient came.
    is_announced: bool,
    is_performed: bool,
}

#[derive(Clone, Debug)]
enum Operation {
    Scale(f64),
    ClipNorm(f64),
    Noise(f64, Box<Rng>),
    Stop,
    Reverse,
}

impl Surgery {
    /// No operation yet; places are those of `model` and results named in the program.
    #[must_use]
    pub fn new(model: &(impl Module + ?Sized)) -> Self {
        Self { layers: model.layers(), cuts: Vec::new(), names: BTreeSet::new() }
    }

    /// Multiplies the gradient by `factor`. 1 changes no bit.
    ///
    /// # Panics
    /// If `factor` is not finite, or `place` is not a valid pattern.
    #[must_use]
    #[track_caller]
    pub fn scale(self, place: &str, factor: f64) -> Self {
        let is_valid = factor.is_finite();
        self.with(place, Operation::Scale(factor), is_valid, "a scale is a finite number")
    }

    /// Shrinks a gradient g of norm above `max_norm` to `g · max_norm / |g|`, |g| being the Euclidean norm
    /// over all elements. The factor counts as a constant where gradients are differentiated again. A norm
    /// that is not a number clips nothing.
    ///
    /// # Panics
    /// If `max_norm` is not positive and finite, or `place` is not a valid pattern.
    #[must_use]
    #[track_caller]
    pub fn clip_norm(self, place: &str, max_norm: f64) -> Self {
        let is_valid = max_norm > 0.0 && max_norm.is_finite();
        self.with(place, Operation::ClipNorm(max_norm), is_valid, "a largest norm is positive and finite")
    }

    /// Adds independent normal noise of standard deviation `std`, in units of the gradient, from the stream
    /// of `seed`. The stream goes on from pass to pass.
    ///
    /// # Panics
    /// If `std` is negative or not finite, or `place` is not a valid pattern.
    #[must_use]
    #[track_caller]
    pub fn noise(self, place: &str, std: f64, seed: u64) -> Self {
        let is_valid = std >= 0.0 && std.is_finite();
        let operation = Operation::Noise(std, Box::new(Rng::seed_from_u64(seed)));
        self.with(place, operation, is_valid, "a standard deviation is finite and not negative")
    }

    /// Puts zeros in the gradient's place: nothing flows on. What is before still has a gradient, of zeros.
    ///
    /// # Panics
    /// If `place` is not a valid pattern.
    #[must_use]
    #[track_caller]
    pub fn stop(self, place: &str) -> Self {
        self.with(place, Operation::Stop, true, "")
    }

    /// Turns the gradient's sign: what is before climbs where it would descend.
    /// Source: Ganin and Lempitsky, "Unsupervised domain adaptation by backpropagation", 2015.
    ///
    /// # Panics
    /// If `place` is not a valid pattern.
    #[must_use]
    #[track_caller]
    pub fn reverse(self, place: &str) -> Self {
        self.with(place, Operation::Reverse, true, "")
    }

    #[track_caller]
    fn with(mut self, place: &str, operation: Operation, is_valid: bool, rule: &str) -> Self {
        if !is_valid {
            misuse("surgery", "not a valid operation", &[("operation", operation.at(place))], rule);
        }
        let Ok(pattern) = Pattern::new(place) else {
            misuse("surgery", "not a valid pattern", &[("place", place.to_owned())], "as in activations.*");
        };
        self.cuts.push(Cut { place: pattern, operation, is_announced: false, is_performed: false });
        self
    }

    /// Runs `f`, which computes results and goes back through them, and operates on the gradients that pass
    /// by. Both must happen inside. Goes together with a [`Recorder`](crate::Recorder), whichever is inside
    /// the other.
    ///
    /// # Panics
    /// If nothing of a place's name was computed when the first gradient comes back, or an operation was
    /// never performed when `f` is done: a slip in a name does not go unnoticed.
    #[track_caller]
    pub fn operate<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let mut operating = self.clone();
        for cut in &mut operating.cuts {
            (cut.is_announced, cut.is_performed) = (false, false);
        }
        let (operated, result) = observe(operating, f);
        operated.refuse_unknown_places();
        if let Some(cut) = operated.cuts.iter().find(|cut| !cut.is_performed) {
            misuse(
                "surgery",
                "no gradient came back to this place",
                &[("operation", cut.to_string())],
                "backward() must be called inside operate(), on a loss that depends on trainable tensors \
                 through this place",
            );
        }
        *self = operated;
        result
    }

    #[track_caller]
    fn refuse_unknown_places(&self) {
        let Some(cut) = self.cuts.iter().find(|cut| !cut.is_announced) else { return };
        let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let rows = [
            ("operation", cut.to_string()),
            ("layers", list(self.layers.iter().map(|(path, _)| path.as_str()).collect())),
            ("named", list(self.names.iter().map(String::as_str).collect())),
        ];
        let hint = "the forward pass, too, must be inside operate(); a result gets a name by named(\"…\")";
        misuse("surgery", "nothing of this name was computed", &rows, hint);
    }

    /// The operations at `site`, in the order in which they were written down.
    fn cuts_at<'a>(&'a mut self, site: &'a Site) -> impl Iterator<Item = &'a mut Cut> {
        let layers = &self.layers;
        self.cuts.iter_mut().filter(move |cut| match site {
            Site::Layer(id) => layers.iter().any(|(path, layer)| layer == id && cut.place.matches(path)),
            Site::Step(id, state, step) => {
                let is_place = |path: &str| cut.place.matches(&join(path, &format!("{state}{step}")));
                layers.iter().any(|(path, layer)| layer == id && is_place(path))
            }
            Site::Named(name) => cut.place.matches(name),
            Site::Result => false,
        })
    }
}

impl Observer for Surgery {
    fn output(&mut self, site: &Site, _: &Announcement, _: &Tensor) {
        if let Site::Named(name) = site
            && !self.names.contains(name)
        {
            self.names.insert(name.clone());
        }
        self.cuts_at(site).for_each(|cut| cut.is_announced = true);
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}

    fn wants_steps(&self) -> bool {
        self.cuts.iter().any(|cut| is_of_steps(cut.place.as_str()))
    }

    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        self.refuse_unknown_places();
        let mut changed: Option<Tensor> = None;
        for cut in self.cuts_at(site) {
            cut.is_performed = true;
            changed = cut.operation.perform(changed.as_ref().unwrap_or(dy)).or(changed);
        }
        changed
    }
}

/// Whether a place may be the state of a recurrent layer at a step, as `h25` or `lstm.l0.c*`.
fn is_of_steps(place: &str) -> bool {
    let name = place.rsplit('.').next().unwrap_or(place);
    let number = name.strip_prefix(['h', 'c']).unwrap_or("");
    number.starts_with(|digit: char| digit.is_ascii_digit() || "*?[".contains(digit))
}

impl Operation {
    /// The changed gradient; `None` if it stays as it is.
    fn perform(&mut self, dy: &Tensor) -> Option<Tensor> {
        match self {
            Self::Scale(factor) => Some(dy * *factor),
            Self::ClipNorm(max_norm) => {
                // In f64: squares of f32 numbers do not overflow there.
                let norm = dy.detach().to_dtype(DType::F64).square().sum(..).item().sqrt();
                (norm > *max_norm).then(|| dy * (*max_norm / norm))
            }
            Self::Noise(std, rng) => Some(dy + &(Tensor::randn(dy.shape(), dy.dtype(), rng) * *std)),
            Self::Stop => Some(dy.zeros_like()),
            Self::Reverse => Some(-dy),
        }
    }

    fn at(&self, place: &str) -> String {
        match self {
            Self::Scale(factor) => format!("scale(\"{place}\", {factor})"),
            Self::ClipNorm(max_norm) => format!("clip_norm(\"{place}\", {max_norm})"),
            Self::Noise(std, _) => format!("noise(\"{place}\", {std}, …)"),
            Self::Stop => format!("stop(\"{place}\")"),
            Self::Reverse => format!("reverse(\"{place}\")"),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation.at(self.place.as_str()))
    }
}
