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

#[cfg(test)]
mod tests {
    use super::Predictor;
    use crate::data::Data;
    use crate::data_options::DataOptions;
    use crate::network::{Model, Network};
    use crate::options::dtype;
    use crate::source::Source;
    use crate::task::TaskOptions;
    use backflow_tensor::{DType, Module, Rng};

    /// The network of a configuration, with other initial weights.
    fn built(predictor: &Predictor) -> Model {
        let Predictor { layers, activation, model, .. } = predictor;
        let network = match model {
            None => Network::Perceptron(layers.clone(), activation.parse().unwrap()),
            Some(model) => Network::Line(model.clone(), model.plan().unwrap()),
        };
        network.build(None, dtype(&predictor.dtype).unwrap(), &mut Rng::seed_from_u64(9))
    }

    /// What is written of each kind of data and network is enough to build that again: tensors of the same paths and shapes.
    #[test]
    fn a_network_is_built_again_from_what_is_written() {
        for (data, line, dtype) in [
            ("embedded", "mlp:8,activation=leaky-relu:0.2", DType::F32),
            ("embedded", "linear:10", DType::F64),
            ("embedded", "conv:2/batchnorm/relu/flatten/linear:10", DType::F32),
            ("rows", "gru:4", DType::F32),
            ("adding:T=5,n=9", "rnn:3", DType::F64),
            ("copying:T=2,n=9", "lstm:4", DType::F32),
        ] {
            let source = Source::read(data.as_ref()).unwrap();
            let options = DataOptions { data: Some(source), ..DataOptions::default() };
            let task = TaskOptions { accumulate: 1, ..TaskOptions::default() };
            let data =
                Data::load(&options, &task, None).unwrap_or_else(|failure| panic!("{}", failure.message()));
            let network = Network::of_line(&line.parse().unwrap(), data.samples()).unwrap();
            let data = network.shaped(data);
            let predictor = Predictor::of(&network, &data, dtype);
            let written = serde_json::to_string(&predictor).unwrap();
            let read: Predictor = serde_json::from_str(&written).unwrap();
            assert_eq!(read, predictor);
            let facts = |model: &Model| {
                let state = model.state().into_iter();
                state.map(|(path, tensor)| (path, tensor.shape(), tensor.dtype())).collect::<Vec<_>>()
            };
            let model = network.build(None, dtype, &mut Rng::seed_from_u64(0));
            assert_eq!(facts(&built(&read)), facts(&model), "{line}");
        }
    }
}
