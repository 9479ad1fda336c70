//! [`Header`]: what a page says above and beside its figures.

use backflow_probe::{GradFlow, Verdict};

/// What a recording itself does not tell. Everything may be empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// The headline.
    pub title: String,
    /// What was trained, a line each: model, data, optimizer.
    pub setup: Vec<String>,
    /// What the figures mean for the whole network, a sentence each. A leading word in capitals stands out:
    /// `HEALTHY` as good, any other as bad.
    pub verdicts: Vec<String>,
    /// The ε of an optimizer that is to train the network, where the recording has none:
    /// [`GradFlow::with_eps`].
    pub eps: Option<f64>,
    /// What was to be expected of the first recorded step, where it is drawn: theory is about networks at
    /// initialisation.
    pub theory: Option<Theory>,
    /// What else theory says, a sentence each: see [`GradFlow::theory_notes`].
    pub theory_notes: Vec<String>,
}

/// Predicted curves over the layers, in the order of [`FlowStep::layers`](backflow_probe::FlowStep::layers);
/// NaN where nothing is predicted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Theory {
    /// RMS of each layer's output. Empty if nothing is predicted.
    pub activation_rms: Vec<f64>,
    /// RMS of the gradient with respect to it. Empty if nothing is predicted.
    pub delta_rms: Vec<f64>,
}

impl Header {
    /// What a flow has to say: its verdicts with what helps, and the theory that stands beside it. The layers are those of [`GradFlow::step`]. Title and setup are left to the program.
    #[must_use]
    pub fn of(flow: &GradFlow) -> Self {
        let sentence = |verdict: &Verdict| match verdict {
            Verdict::Healthy => verdict.to_string(),
            _ => format!("{verdict}. What helps: {}.", verdict.remedy()),
        };
        Self {
            verdicts: flow.verdicts().iter().map(sentence).collect(),
            eps: flow.eps(),
            theory: Theory::of(flow),
            theory_notes: flow.theory_notes().iter().map(sentence_of_theory).collect(),
            ..Self::default()
        }
    }
}

fn sentence_of_theory(note: &String) -> String {
    format!("Theory, of the network before it is trained: {note}.")
}

impl Theory {
    /// `None` if the flow has no theory, or one that has nothing to say about it.
    fn of(flow: &GradFlow) -> Option<Self> {
        let (deltas, activations) = (flow.predicted_deltas(), flow.predicted_activations());
        if deltas.iter().chain(&activations).all(Option::is_none) {
            return None;
        }
        let mut theory = Self::default();
        // A row is a layer and the activation function that follows it.
        let mut rows = flow.rows().iter().zip(deltas.iter().zip(&activations)).peekable();
        let mut pending = f64::NAN;
        for layer in &flow.step().layers {
            match rows.next_if(|(row, _)| row.path == layer.path) {
                Some((_, (delta, activation))) => {
                    theory.delta_rms.push(delta.unwrap_or(f64::NAN));
                    theory.activation_rms.push(f64::NAN);
                    pending = activation.unwrap_or(f64::NAN);
                }
                None => {
                    theory.delta_rms.push(f64::NAN);
                    theory.activation_rms.push(std::mem::replace(&mut pending, f64::NAN));
                }
            }
        }
        Some(theory)
    }
}
