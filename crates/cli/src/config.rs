//! [`RunConfig`]: what a run was asked for. `train` writes it as `config.json`; from it and the log,
//! `inspect` makes the run's page again, but for what was settled with the weights at hand.

use crate::data_options::DataConfig;
use crate::network::ModelConfig;
use crate::options::WIDEST_LAYER;
use crate::predictor::Predictor;
use crate::setup::{FLUSHED, joined};
use crate::source::short_name;
use crate::task::TaskConfig;
use backflow_probe::text::{grouped, rate};
use backflow_probe::{GradFlow, Inputs, Prediction, predict, predict_line};
use serde::{Deserialize, Serialize};

/// What was asked for, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunConfig {
    pub(crate) version: String,
    pub(crate) data: String,
    #[serde(default, skip_serializing_if = "DataConfig::is_default")]
    pub(crate) data_options: DataConfig,
    /// Sizes and activation of a perceptron; of other networks there is a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<usize>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) activation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<ModelConfig>,
    pub(crate) init: String,
    /// Whether somebody asked for it: then cells and transformers begin so, too, and not as PyTorch's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) init_asked: bool,
    pub(crate) optimizer: String,
    pub(crate) learning_rate: f64,
    pub(crate) schedule: String,
    /// How other settings changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) schedule_of: Vec<String>,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) batch_size: usize,
    pub(crate) epochs: u64,
    pub(crate) seed: u64,
    pub(crate) dtype: String,
    pub(crate) threads: usize,
    #[serde(flatten)]
    pub(crate) task: TaskConfig,
    /// Whether subnormal results became 0.
    #[serde(default)]
    pub(crate) flush_to_zero: bool,
    /// Of the numbers of the first batch: what theory has to know of the data. Not in runs that were not
    /// watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input_mean_square: Option<f64>,
    /// What it takes to predict with the weights. Not in runs of earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) predictor: Option<Predictor>,
    /// The command line that asked for the run, to go on by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) arguments: Vec<String>,
    /// For how many epochs it was decided which steps are looked at, if there were to be more of them later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) looks_of_epochs: Option<u64>,
}

impl RunConfig {
    /// Network, data and training, a line each.
    pub(crate) fn setup(&self) -> Vec<String> {
        let Self { layers, activation, init, dtype, optimizer, schedule, batch_size, seed, .. } = self;
        let data = short_name(&self.data);
        let clipping = self.clip_norm.map(|norm| format!(", gradients clipped to {}", rate(norm)));
        let limit = self.task.limit.map(|limit| format!(", at most {} examples", grouped(limit)));
        let flushed = if self.flush_to_zero { format!("; {FLUSHED}") } else { String::new() };
        let network = match &self.model {
            Some(model) => model.line.clone(),
            None => format!("{}, {activation}", joined(layers, "-")),
        };
        vec![
            format!(
                "{network}, {init}, {dtype}{flushed}; data: {data}{}{}",
                self.data_options.in_words(),
                limit.unwrap_or_default()
            ),
            format!(
                "{optimizer}, learning rate {}, {schedule}{}{}{}; batch size {batch_size}; seed {seed}",
                self.learning_rate,
                self.other_schedules(),
                clipping.unwrap_or_default(),
                self.task.in_words()
            ),
        ]
    }

    /// The schedules of other settings than the learning rate, to be put behind that one's.
    pub(crate) fn other_schedules(&self) -> String {
        self.schedule_of.iter().map(|spec| format!(", {spec}")).collect()
    }

    /// What theory predicts for the network before it is trained. `None` for rules of weights that theory
    /// does not know, and where the data are not known.
    pub(crate) fn prediction(&self) -> Option<Prediction> {
        let input = self.input_mean_square.filter(|x| x.is_finite() && *x >= 0.0)?;
        // The file may have been written by hand.
        let is_size = |size: &usize| (1..=WIDEST_LAYER).contains(size);
        if self.layers.len() < 2 || !self.layers.iter().all(is_size) {
            return None;
        }
        predict(self.activation.parse().ok()?, self.init.parse().ok()?, &self.layers, input)
    }

    /// A flow of the network before it is trained, with what theory predicts beside it; `None` where it predicts
    /// nothing.
    pub(crate) fn beside_theory(&self, flow: GradFlow) -> Option<GradFlow> {
        let Some(model) = &self.model else { return Some(flow.with_theory(self.prediction()?)) };
        let input = self.input_mean_square.filter(|x| x.is_finite() && *x >= 0.0)?;
        let inputs = Inputs::of_mean_square(input);
        Some(flow.with_theory(predict_line(&model.plan()?, self.init.parse().ok()?, &inputs)?))
    }
}

#[cfg(test)]
mod tests {
    use super::RunConfig;
    use crate::data_options::DataConfig;
    use crate::task::{LossName, TaskConfig};
    use backflow_data::Augment;

    fn config() -> RunConfig {
        RunConfig {
            version: "0".to_owned(),
            data: "some/folder/digits".to_owned(),
            data_options: DataConfig::default(),
            layers: vec![8, 4, 2],
            activation: "relu".to_owned(),
            model: None,
            init: "normal:0:0.7071067811865476".to_owned(),
            init_asked: true,
            optimizer: "sgd".to_owned(),
            learning_rate: 0.1,
            schedule: "constant".to_owned(),
            schedule_of: Vec::new(),
            clip_norm: Some(1.0),
            batch_size: 32,
            epochs: 1,
            seed: 0,
            dtype: "f32".to_owned(),
            threads: 1,
            task: TaskConfig::default(),
            flush_to_zero: false,
            input_mean_square: Some(3.0),
            predictor: None,
            arguments: Vec::new(),
            looks_of_epochs: None,
        }
    }

    /// [8 → 4 → 2], relu, weights of variance ½, inputs of mean square 3: q = 12, E a² = 6 (by hand in the
    /// tests of `predict`).
    #[test]
    fn theory_is_that_of_the_configuration() {
        let prediction = config().prediction().unwrap();
        assert!((prediction.preactivation_rms[0] - 12.0_f64.sqrt()).abs() < 1e-12, "{prediction:?}");
        assert!((prediction.activation_rms[0] - 6.0_f64.sqrt()).abs() < 1e-12, "{prediction:?}");
    }

    #[test]
    fn theory_knows_the_settings_of_the_weights() {
        let init = "he-normal:gain=1,bias_var=0.5".to_owned();
        let prediction = RunConfig { init, ..config() }.prediction().unwrap();
        // σ_w² = 1, so q = 3 + ½, E a² = 7/4 and q = 9/4 after it.
        let expected = [3.5_f64, 2.25].map(f64::sqrt);
        for (rms, expected) in prediction.preactivation_rms.iter().zip(expected) {
            assert!((rms - expected).abs() < 1e-12, "{prediction:?}");
        }
    }

    #[test]
    fn what_has_no_theory() {
        for damage in [
            |config: &mut RunConfig| config.init = "constant:0.1".to_owned(),
            |config: &mut RunConfig| config.layers = vec![8],
            |config: &mut RunConfig| config.layers = vec![8, 0, 2],
            |config: &mut RunConfig| config.layers = vec![8, 1 << 63, 2],
            |config: &mut RunConfig| config.activation = "rule".to_owned(),
            |config: &mut RunConfig| config.input_mean_square = Some(-1.0),
            |config: &mut RunConfig| config.input_mean_square = None,
        ] {
            let mut config = config();
            damage(&mut config);
            assert_eq!(config.prediction(), None, "{config:?}");
        }
    }

    #[test]
    fn configurations_of_earlier_runs_are_read() {
        let text = r#"{"version":"0.1.0","data":"embedded","layers":[784,256,128,10],"activation":"relu","init":"he-normal",
            "optimizer":"adam","learning_rate":0.001,"schedule":"cosine","clip_norm":null,"batch_size":32,"epochs":10,"seed":0,
            "dtype":"f32","threads":2}"#;
        let config: RunConfig = serde_json::from_str(text).unwrap();
        let expected = [
            "784-256-128-10, relu, he-normal, f32; data: embedded",
            "adam, learning rate 0.001, cosine; batch size 32; seed 0",
        ];
        assert_eq!(config.setup(), expected);
        assert_eq!(config.task, TaskConfig::default());
        let clipped = "sgd, learning rate 0.1, constant, gradients clipped to 1; batch size 32; seed 0";
        assert_eq!(self::config().setup()[1], clipped);
    }

    #[test]
    fn a_task_is_written_and_read_and_told_where_it_is_not_the_usual_one() {
        let augment = Augment::none().shift(2).flip();
        let task = TaskConfig { loss: LossName::Mse, limit: Some(1500), accumulate: 4, augment };
        let schedule_of = vec!["momentum=cosine".to_owned()];
        let config = RunConfig { task, schedule_of, ..config() };
        let text = serde_json::to_string(&config).unwrap();
        assert!(
            text.contains(r#""loss":"mse","limit":1500,"accumulate":4,"augment":"shift:2,flip""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<RunConfig>(&text).unwrap(), config);
        assert!(config.setup()[0].ends_with("data: digits, at most 1,500 examples"), "{:?}", config.setup());
        let expected = "sgd, learning rate 0.1, constant, momentum=cosine, gradients clipped to 1, loss mse, \
                        batches in 4 parts, images augmented by shift:2,flip; batch size 32; seed 0";
        assert_eq!(config.setup()[1], expected);
    }
}
