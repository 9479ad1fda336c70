//! What every training is told, alone or among others: data, network, batches, numbers, threads.

use crate::data::Data;
use crate::data_options::DataOptions;
use crate::failure::Failure;
use crate::network::{Model, Network, wrong};
use crate::options::{self, LayerSizes, MOST_THREADS};
use crate::task::TaskOptions;
use backflow_nn::{Activation, Init, MOST_PARAMETERS, ModelLine};
use backflow_optim::{Optimizer, SpecError};
use backflow_probe::text::grouped;
use backflow_tensor::{DType, Rng, flush_to_zero};
use backflow_train::comparison::Contender;
use clap::Args;

/// Streams of random numbers split from the seed, one per purpose.
const INIT_STREAM: u64 = 0;

/// The hidden layers of the default network.
const DEFAULT_HIDDEN: [usize; 2] = [256, 128];

/// The default network for sequences.
const DEFAULT_OF_SEQUENCES: &str = "lstm:128";

/// How many examples a step sees.
pub(crate) const DEFAULT_BATCH: usize = 32;

/// What `--flush-to-zero` did.
pub(crate) const FLUSHED: &str = "subnormal numbers flushed to zero";

#[derive(Args, Debug)]
pub(crate) struct Setup {
    #[command(flatten)]
    pub(crate) data: DataOptions,

    #[command(flatten)]
    pub(crate) task: TaskOptions,

    /// The network, in a line: cnn, resnet:20, mlp:256,128, lstm:128, or its layers written out,
    /// `conv:32/relu/maxpool:2/flatten/linear:10`. `backflow models` lists the words [default of sequences: lstm:128].
    #[arg(
        long,
        value_parser = options::model,
        value_name = "LINE",
        conflicts_with_all = ["layers", "activation"]
    )]
    model: Option<ModelLine>,

    /// Layer sizes, from pixels to classes [default: hidden layers of 256 and 128].
    #[arg(long, value_parser = options::layer_sizes, value_name = "N,N,…")]
    layers: Option<LayerSizes>,

    /// The function after every hidden layer: relu, leaky-relu:0.01, elu, selu, gelu, gelu-tanh, silu,
    /// mish, softplus, log-sigmoid, sigmoid, tanh, softsign, hardtanh.
    #[arg(long, default_value = "relu", value_parser = options::activation, value_name = "NAME")]
    pub(crate) activation: Activation,

    /// How weights begin: he-normal, xavier-uniform, lecun-normal, orthogonal, …; with a gain instead of the
    /// activation's and biases of a variance: `he-normal:gain=1.2,bias_var=0.05` [default: what suits the
    /// activation]. Recurrent layers and transformers go by it if it is given, and begin as PyTorch's if not; weights from
    /// step to step have a setting of their own: `rnn:64,activation=relu,recurrent=identity`.
    #[arg(long, value_parser = options::init, value_name = "NAME[:KEY=VALUE,…]")]
    pub(crate) init: Option<Init>,

    /// Scale gradients down whose norm, over all parameters, is above this.
    #[arg(long, value_parser = options::positive, allow_hyphen_values = true, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,

    /// Examples per step [default: 32; `train` gives gd, rprop, bold-driver and lbfgs the whole training set,
    /// `compare` always does].
    #[arg(long, value_parser = options::at_least_one::<usize>, allow_hyphen_values = true, value_name = "N")]
    pub(crate) batch_size: Option<usize>,

    /// The type of the numbers.
    #[arg(long, default_value = "f32", value_parser = options::dtype, value_name = "f32|f64")]
    pub(crate) dtype: DType,

    /// Threads to compute with [default: one per core]; at most 64, or two per core, are started. Results do
    /// not depend on it.
    #[arg(long, value_parser = options::threads, allow_hyphen_values = true, value_name = "N")]
    threads: Option<usize>,

    /// Make subnormal results 0. It changes results where gradients vanish; see NUMERICS.md.
    #[arg(long)]
    pub(crate) flush_to_zero: bool,
}

impl Setup {
    /// Runs `work` on the threads that were asked for.
    pub(crate) fn in_pool<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        in_pool(self.threads, self.flush_to_zero, work)
    }

    /// The data, of which perhaps a part is to be held out.
    pub(crate) fn load(&self, validation: Option<f64>) -> Result<Data, Failure> {
        Data::load(&self.data, &self.task, validation)
    }

    /// How many examples a step sees, for rules that do not want all of them.
    pub(crate) fn batch_size(&self) -> usize {
        self.batch_size.unwrap_or(DEFAULT_BATCH)
    }

    /// How weights begin, as asked or as suits the activation.
    pub(crate) fn init(&self, network: &Network) -> Init {
        self.init.unwrap_or_else(|| network.default_init())
    }

    /// The network with weights that are a function of the seed.
    pub(crate) fn model(&self, network: &Network, seed: u64) -> Model {
        let mut rng = Rng::seed_from_u64(seed).split(INIT_STREAM);
        network.build(self.init, self.dtype, &mut rng)
    }

    /// Refuses `--clip-norm` for an optimizer that must have gradients as they are.
    pub(crate) fn refuse_clipping(&self, spec: &str) -> Result<(), Failure> {
        if self.clip_norm.is_some()
            && Contender::new(spec).is_ok_and(|optimizer| optimizer.refuses_clipping())
        {
            let reason =
                "lbfgs takes gradients as they are, for its line search holds them against the losses";
            return Err(usage("--clip-norm", format!("{reason}; leave the option out")));
        }
        Ok(())
    }

    /// The network that was asked for, and the data as it takes them.
    pub(crate) fn network(&self, data: Data) -> Result<(Network, Data), Failure> {
        let samples = data.samples();
        let is_default = self.model.is_none() && self.layers.is_none();
        let of_sequences = || DEFAULT_OF_SEQUENCES.parse().map_err(|error| wrong(&error));
        let network = match &self.model {
            Some(line) => Network::of_line(line, samples)?,
            None if is_default && samples.are_sequences() => Network::of_line(&of_sequences()?, samples)?,
            None if samples.words().is_some() => {
                let what = "a perceptron takes numbers, and these data are tokens; give --model, as lstm:128";
                return Err(usage("--layers", what));
            }
            None => Network::Perceptron(self.sizes(&data)?, self.activation),
        };
        let data = network.shaped(data);
        Ok((network, data))
    }

    /// The sizes of the layers, which must begin with the pixels and end with the classes of the data.
    fn sizes(&self, data: &Data) -> Result<Vec<usize>, Failure> {
        let (pixels, classes) = (data.train.features(), data.samples().outputs());
        let Some(LayerSizes(sizes)) = &self.layers else {
            return Ok([&[pixels], &DEFAULT_HIDDEN[..], &[classes]].concat());
        };
        if sizes.first() != Some(&pixels) || sizes.last() != Some(&classes) {
            let inner: Vec<String> =
                sizes[1..sizes.len() - 1].iter().map(|size| format!("{size},")).collect();
            return Err(Failure::Usage(format!(
                "--layers {}: the data has {pixels} {} and {classes} {}; try --layers \
                 {pixels},{}{classes}",
                joined(sizes, ","),
                if data.train.image_shape().is_some() { "pixels" } else { "numbers" },
                if data.train.classes() > 0 { "classes" } else { "outputs" },
                inner.concat(),
            )));
        }
        if weights(sizes).is_none() {
            return Err(Failure::Usage(format!(
                "--layers {}: more than {} weights; make the layers narrower",
                joined(sizes, ","),
                grouped(MOST_PARAMETERS)
            )));
        }
        Ok(sizes.clone())
    }

    /// Data and network, in a line each or, of data that were found out, in two.
    pub(crate) fn description(&self, data: &Data, network: &Network, parameters: usize) -> Vec<String> {
        let network = format!(
            "{}, {}: {} parameters, {}",
            network.in_words(),
            self.init(network),
            grouped(parameters),
            self.dtype
        );
        data.in_words(&self.data.source()).into_iter().chain([network]).collect()
    }

    /// Data and network as the beginning of a folder's name.
    pub(crate) fn name(&self, network: &Network) -> String {
        format!("{}-{}", self.data.source().slug(), network.slug())
    }
}

/// The variables by which rayon is told how many threads to start; the first that is a number counts.
const VARIABLES: [&str; 2] = ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"];

/// More than these, or two per core, are not started: they would only look for work where there is none, a
/// thousand of them for seconds.
const ENOUGH_THREADS: usize = 64;

/// Runs `work` on so many threads, or as many as rayon is told by a variable, or one per core.
pub(crate) fn in_pool<T: Send>(
    threads: Option<usize>,
    flush: bool,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let number = |name| Some((name, std::env::var(name).ok()?.parse::<u128>().ok()?));
    let told = VARIABLES.into_iter().find_map(number).filter(|_| threads.is_none());
    if let Some((name, number)) = told.filter(|&(_, number)| number > MOST_THREADS as u128) {
        return Err(Failure::Usage(format!("{name}={number}: expected at most {MOST_THREADS} threads")));
    }
    let asked = threads.or(told.map(|(_, number)| number as usize)).filter(|&threads| threads > 0);
    #[allow(clippy::disallowed_methods, reason = "how many threads are started changes no result")]
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // 0: rayon's choice.
    let threads = asked.map_or(0, |asked| asked.min(ENOUGH_THREADS.max(2 * cores)));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Failure::Run(format!("{threads} threads cannot be started: {error}")))?;
    pool.install(|| if flush { flush_to_zero(work) } else { work() })
}

/// How many weights a network of these sizes has; `None` if they are too many for any machine that this
/// program is for.
pub(crate) fn weights(sizes: &[usize]) -> Option<usize> {
    let mut pairs = sizes.windows(2);
    let weights = pairs.try_fold(0_usize, |sum, pair| sum.checked_add(pair[0].checked_mul(pair[1])?));
    weights.filter(|&weights| weights <= MOST_PARAMETERS)
}

pub(crate) fn joined(sizes: &[usize], separator: &str) -> String {
    sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// The optimizer of `--optimizer` and `--lr`.
pub(crate) fn optimizer(spec: &str, lr: Option<f64>) -> Result<Optimizer, Failure> {
    Optimizer::from_spec(spec, lr).map_err(|error| match error {
        SpecError::Repeated { key: "lr", .. } if lr.is_some() => usage(
            "--lr",
            format!("--optimizer {spec} states the learning rate already; leave one of them out"),
        ),
        error => usage("--optimizer", error),
    })
}

/// A command line that is wrong in one option.
pub(crate) fn usage(option: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("{option}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{Setup, optimizer};
    use crate::failure::Failure;
    use clap::{Args, Command, FromArgMatches};

    fn setup(arguments: &[&str]) -> Setup {
        let command = Setup::augment_args(Command::new("test").no_binary_name(true));
        Setup::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    #[test]
    fn clipping_is_refused_where_gradients_must_be_as_they_are() {
        let clipped = setup(&["--clip-norm", "1"]);
        let Err(Failure::Usage(message)) = clipped.refuse_clipping("L-BFGS:lr=0.5") else { panic!("taken") };
        assert!(message.starts_with("--clip-norm: lbfgs takes"), "{message}");
        assert!(clipped.refuse_clipping("adam").is_ok() && setup(&[]).refuse_clipping("lbfgs").is_ok());
    }

    #[test]
    fn a_rate_given_twice_names_both_options() {
        let Err(Failure::Usage(message)) = optimizer("sgd:lr=0.1", Some(0.2)) else { panic!("taken") };
        assert!(message.starts_with("--lr: --optimizer sgd:lr=0.1 states"), "{message}");
        let Err(Failure::Usage(message)) = optimizer("sgd:lr=0.1,lr=0.2", None) else { panic!("taken") };
        assert_eq!(message, "--optimizer: sgd: lr is given twice");
        assert_eq!(optimizer("sgd", Some(0.2)).unwrap().learning_rate(), 0.2);
    }
}
