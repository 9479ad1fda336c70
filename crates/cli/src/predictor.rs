//! [`Predictor`]: all that it takes to predict with the weights of a run.

use crate::data::{Data, Goal};
use crate::network::{ModelConfig, Network};
use crate::treatment::Treatment;
use backflow_tensor::DType;
use serde::{Deserialize, Serialize};

/// What network has learned what, from which inputs: enough to build it again, to treat new inputs as those that it was
/// trained on, and to say what its outputs mean. `config.json` has it; runs of earlier programs do not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Predictor {
    /// Sizes and activation of a perceptron; of other networks there is a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<usize>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    activation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<ModelConfig>,
    dtype: String,
    /// The shape of an input: features, channels, rows and columns, steps and features, or steps of tokens.
    input: Vec<usize>,
    /// Of how many words tokens are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<usize>,
    treatment: Treatment,
    task: Predicted,
    /// How many numbers are the outputs, or those of each step.
    outputs: usize,
    /// What the classes are called, in the order of the outputs; without names they have the numbers of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    class_names: Vec<String>,
}

/// What outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Predicted {
    /// A score of each class.
    Class,
    /// A score of each class at each step.
    ClassOfEachStep,
    /// The numbers themselves.
    Numbers,
    /// A score of each token that may come next, at each step.
    NextToken,
}

impl Predictor {
    /// Of a network that is trained on these data.
    pub(crate) fn of(network: &Network, data: &Data, dtype: DType) -> Self {
        let (layers, activation, model) = network.facts();
        let samples = data.samples();
        // A perceptron has images flat; what they are is said all the same.
        let shape = samples.shape().to_vec();
        let image = data.train.image_shape().filter(|image| shape == [image.iter().product::<usize>()]);
        Self {
            layers,
            activation: activation.map(|activation| activation.to_string()).unwrap_or_default(),
            model,
            dtype: dtype.to_string(),
            input: image.map_or(shape, Vec::from),
            words: samples.words(),
            treatment: data.treatment.clone(),
            task: match data.goal {
                Goal::Class => Predicted::Class,
                Goal::ClassOfEachStep { .. } => Predicted::ClassOfEachStep,
                Goal::Numbers { .. } => Predicted::Numbers,
                Goal::NextToken => Predicted::NextToken,
            },
            outputs: samples.outputs(),
            class_names: data.train.class_names().map(<[String]>::to_vec).unwrap_or_default(),
        }
    }
}
