//! What flows in a network whose weights are in a file: trained elsewhere, or here.

use super::{InspectOptions, VerdictFacts, header, show};
use crate::batches::Purpose;
use crate::data::Data;
use crate::data_options::DataOptions;
use crate::failure::Failure;
use crate::network::Network;
use crate::options;
use crate::setup::{DEFAULT_BATCH, usage};
use crate::task::{LossName, TaskOptions};
use crate::terminal::{self, line, object};
use backflow_data::{Augment, Loader};
use backflow_nn::ModelLine;
use backflow_probe::text::counted;
use backflow_probe::{FlowRow, FlowStep, GradFlow};
use backflow_report::FlowPage;
use backflow_store::weights::{self, Loading};
use backflow_tensor::training::Scope;
use backflow_tensor::{DType, Module, Rng};
use backflow_train::Batches;
use clap::Args;
use serde::Serialize;
use std::path::Path;

#[derive(Args, Debug)]
pub(crate) struct WeightsOptions {
    /// Show what flows through the layers of the network whose weights are in the file, on a batch of data, forwards and
    /// back as in a step of training. Weights of other types are converted, and that is said.
    #[arg(long, requires = "model")]
    pub(super) flow: bool,

    /// The network, in a line: `linear:128/relu/linear:10`, mlp:128, cnn, … `backflow models LINE` shows how its weights are
    /// called; numbers of a PyTorch `Sequential` need not be those.
    #[arg(long, value_parser = options::model, value_name = "LINE", requires = "flow")]
    model: Option<ModelLine>,

    #[command(flatten)]
    pub(super) data: DataOptions,

    /// How many examples of the training set, from the first.
    #[arg(
        long,
        default_value_t = DEFAULT_BATCH,
        value_parser = options::at_least_one::<usize>,
        allow_hyphen_values = true,
        value_name = "N",
        requires = "flow"
    )]
    batch_size: usize,

    /// How far outputs are from what is right [default: as in `train`].
    #[arg(long, value_enum, requires = "flow")]
    loss: Option<LossName>,

    /// The beginning of the names in the file that are the network's, which they lose: `model.`
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT", requires = "flow")]
    prefix: String,

    /// Another name for what is called so in the file: `conv1.*=0.*`. May be given several times.
    #[arg(long, value_parser = rename, value_name = "FROM=TO", requires = "flow")]
    rename: Vec<(String, String)>,

    /// Neither read nor miss what the network calls so: `*.num_batches_tracked`. May be given several times.
    #[arg(long, value_name = "NAME", requires = "flow")]
    ignore: Vec<String>,
}

fn rename(text: &str) -> Result<(String, String), String> {
    let stars = |text: &str| text.matches('*').count();
    match text.split_once('=') {
        Some((from, to)) if stars(to) <= stars(from) => Ok((from.to_owned(), to.to_owned())),
        Some(_) => Err("TO has more * than FROM; each stands for what one of FROM stood for".to_owned()),
        None => Err("expected FROM=TO, like conv1.*=0.*".to_owned()),
    }
}

/// `--flow` of something that is no file of weights, or of several.
pub(super) fn refused(path: &Path) -> Failure {
    usage("--flow", format!("{} is not the one file of weights that it is for", path.display()))
}

/// The object of `--json`.
#[derive(Serialize)]
struct FlowFacts<'a> {
    file: String,
    model: String,
    /// What was done to load it, a line each.
    loading: Vec<&'a str>,
    record: &'a FlowStep,
    layers: &'a [FlowRow],
    verdicts: Vec<VerdictFacts>,
}

/// The type that the floating-point numbers of a file have here: `f64` where all are.
fn dtype_of(path: &Path) -> Result<DType, Failure> {
    let tensors = weights::read(path)?;
    let mut dtypes = tensors.iter().filter_map(|stored| stored.tensor.as_ref()).map(|tensor| tensor.dtype());
    let is_double =
        dtypes.clone().any(|dtype| dtype == DType::F64) && dtypes.all(|dtype| dtype != DType::F32);
    Ok(if is_double { DType::F64 } else { DType::F32 })
}

/// Loads the file into the network of the line, and looks at a batch.
pub(super) fn flow(options: &InspectOptions, path: &Path) -> Result<(), Failure> {
    let WeightsOptions { model, data, batch_size, loss, prefix, rename, ignore, .. } = &options.weights;
    let Some(model_line) = model else { return Err(usage("--flow", "needs --model LINE")) };
    let dtype = dtype_of(path)?;
    let task = TaskOptions { loss: *loss, limit: None, accumulate: 1, augment: Augment::none() };
    let loaded = Data::load(data, &task, None)?;
    let network = Network::of_line(model_line, loaded.samples())?;
    let loaded = network.shaped(loaded);
    // Of all that there is to train on: what is standardized by it is as in a training.
    let (examples, task) = (&loaded.train.first(*batch_size), loaded.task(&task));
    let batches = Batches { examples: examples.len(), size: examples.len(), parts: 1 };
    network.check(batches, Purpose::Look)?;
    let mut model = network.build(None, dtype, &mut Rng::seed_from_u64(0));
    if model.parameter_count() == 0 {
        return Err(usage("--model", format!("{model_line} has no weights")));
    }
    let loading =
        rename.iter().fold(Loading::new().prefix(prefix), |loading, (from, to)| loading.rename(from, to));
    let loading = ignore.iter().fold(loading, Loading::ignore).cast();
    let report = weights::load_with(&mut model, path, &loading)?.to_string();

    let batch = Loader::new(examples, examples.len()).dtype(dtype).batch(0, 0);
    let shown = Scope::of_step(0, 1).enter(|| GradFlow::record(&model, || task.loss(&model, &batch).mean));
    let setup = format!(
        "{model_line}, {dtype}; on {} of {data}",
        counted(examples.len() as u64, "example"),
        data = data.source()
    );
    if options.json {
        object(&FlowFacts {
            file: path.display().to_string(),
            model: model_line.to_string(),
            loading: report.lines().collect(),
            record: shown.step(),
            layers: shown.rows(),
            verdicts: shown.verdicts().iter().map(VerdictFacts::from).collect(),
        })?;
    } else {
        report.lines().for_each(line);
        line(&setup);
        show(shown.steps(), &shown, None);
    }
    let mut header = header(shown.steps(), &shown, None);
    header.title = "A network from a file".to_owned();
    header.setup = vec![terminal::shown(path), setup];
    let page = || FlowPage::new(shown.steps(), &header);
    options.write(&|| page().html(), &|| page().svgs(), &|_| Ok(()))
}
