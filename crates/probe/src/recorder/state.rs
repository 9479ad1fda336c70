//! [`RecorderState`]: what a recorder remembers from one step to the next, for a training that is cut and goes on.

use super::Recorder;
use backflow_tensor::Tensor;
use backflow_tensor::quote::quoted;
use std::collections::BTreeMap;
use std::fmt;

/// What a [`Recorder`] remembers from one step to the next. Records are no part of it: no step reads them.
#[derive(Clone, Debug, Default)]
pub struct RecorderState {
    /// How many steps it was shown: by their number it is told what is due.
    pub steps: u64,
    /// Whether somebody says where epochs begin.
    pub has_epochs: bool,
    /// Of each layer its path and, for each use in a step, which units were other than 0 since the epoch began.
    pub alive: Vec<(String, Vec<Vec<bool>>)>,
    /// The gradients that those of the next step are compared with, by the paths of their parameters.
    pub gradients: BTreeMap<String, Tensor>,
}

/// A state is of another recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherRecorder(String);

impl fmt::Display for OtherRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the recorder is unchanged", self.0)
    }
}

impl std::error::Error for OtherRecorder {}

/// As the number of a step an `f64` is exact up to here.
const MOST_STEPS: u64 = 1 << 53;

/// Going on where a recorder was.
impl Recorder {
    /// What is remembered between steps. To be asked between two steps, and not behind a call of
    /// [`measure_curvature`](Self::measure_curvature) or [`measure_jacobians`](Self::measure_jacobians).
    #[must_use]
    pub fn state(&self) -> RecorderState {
        let (has_epochs, alive, gradients) = self.watch.memory();
        RecorderState { steps: self.steps, has_epochs, alive, gradients }
    }

    /// Takes up what a recorder with the same settings, for the same model, remembered: what is measured from now on is
    /// what would have been measured then. Records stay as they are.
    ///
    /// ```
    /// use backflow_nn::{Activation, Init, Mlp};
    /// use backflow_optim::{Optimizer, Sgd};
    /// use backflow_probe::{Recorder, When};
    /// use backflow_tensor::{DType, Rng, Tensor};
    ///
    /// let mut rng = Rng::seed_from_u64(0);
    /// let mut model = Mlp::new(&[4, 8, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
    /// let x = Tensor::randn([16, 4], DType::F32, &mut rng);
    /// let mut optimizer = Optimizer::new(Sgd::new(0.1));
    /// let make = |()| Recorder::new(&model).every(When::Every(2)).gradient_cosines(When::Every(3));
    /// let [mut first, mut second] = [(); 2].map(make);
    /// let mut step = |recorder: &mut Recorder| {
    ///     recorder.step(|| optimizer.step_with(&mut model, |model| model.forward(&x).square().mean(..)));
    /// };
    /// (0..3).for_each(|_| step(&mut first));
    /// second.load_state(first.state())?;
    /// step(&mut second);
    /// assert!(second.records()[0].step == 4 && second.records()[0].parameters[0].gradient_cosine.is_some());
    /// # Ok::<(), backflow_probe::OtherRecorder>(())
    /// ```
    ///
    /// # Errors
    /// If the state is one of other layers; the recorder is then unchanged.
    pub fn load_state(&mut self, state: RecorderState) -> Result<(), OtherRecorder> {
        let RecorderState { steps, has_epochs, alive, gradients } = state;
        if steps > MOST_STEPS {
            return Err(OtherRecorder(format!("the state is of step {steps}, which no run comes to")));
        }
        let own = self.watch.layers();
        let found = alive.iter().map(|(path, _)| path.as_str());
        if !own.iter().copied().eq(found.clone()) {
            let differs = own.iter().copied().map(Some).chain([None]).zip(found.map(Some).chain([None]));
            let (own, found) = differs.into_iter().find(|(own, found)| own != found).unwrap_or_default();
            let named = |path: Option<&str>| {
                path.map_or_else(|| "no more layers".to_owned(), |path| quoted(path).into_owned())
            };
            let message =
                format!("the state is of other layers: {} where the model has {}", named(found), named(own));
            return Err(OtherRecorder(message));
        }
        self.steps = steps;
        self.watch.remember(has_epochs, alive.into_iter().map(|(_, alive)| alive), gradients);
        self.next = (None, None);
        Ok(())
    }
}
