//! [`WORDS`]: the words of the model line, each with its settings, its sizes, and the layer that it stands for.

use super::computes::Computes;
use super::families;
use super::plan::{Drawing, Plan, Planned};
use super::samples::Samples;
use super::sequences;
use super::settings::{Setting, SettingKind as Kind, Settings};
use super::transformers;
use crate::activation::Activation;
use crate::adaptive_avg_pool2d::AdaptiveAvgPool2d;
use crate::avg_pool2d::AvgPool2d;
use crate::batch_norm::{BatchNorm1d, BatchNorm2d};
use crate::conv2d::Conv2d;
use crate::dropout::Dropout;
use crate::dropout2d::Dropout2d;
use crate::flatten::Flatten;
use crate::group_norm::GroupNorm;
use crate::instance_norm::InstanceNorm2d;
use crate::layer::Layer;
use crate::layer_norm::LayerNorm;
use crate::linear::Linear;
use crate::max_pool2d::MaxPool2d;
use crate::rms_norm::RmsNorm;
use backflow_tensor::{Convolution, Padding, Pooling, Rng};

/// A word of the model line.
#[derive(Debug)]
pub struct Word {
    /// The word.
    pub name: &'static str,
    /// What it takes, in the order in which settings without names are taken.
    pub settings: &'static [Setting],
    /// What it is, in a line.
    pub help: &'static str,
    pub(super) meaning: Meaning,
}

type PlanLayer = fn(&Settings, &[usize]) -> Result<Planned, String>;

#[derive(Debug)]
pub(super) enum Meaning {
    /// A layer, for an input of this shape; or why there is none.
    Layer(PlanLayer),
    /// The same of a layer of rows of numbers; as the first it flattens.
    LayerOfRows(PlanLayer),
    /// The same of a layer that normalises over the batch; a branch that ends in it has its projection normalised.
    NormalisedBatch(PlanLayer),
    /// A branch and what goes past it.
    Residual,
    /// The layers in its parentheses.
    Sequence,
    /// A layer of cells that go from step to step; alone a whole network.
    Recurrent(PlanLayer),
    /// Layers of attention, which look at later steps or not, as these samples ask; alone a whole network.
    Transformer(fn(&Settings, &[usize], &Samples) -> Result<Planned, String>),
    /// A layer of tokens, of so many words.
    Embedding(fn(&Settings, &[usize], usize) -> Planned),
    /// A whole network for these samples.
    Network(fn(&Settings, &Samples) -> Result<Plan, String>),
}

const fn setting(name: &'static str, kind: Kind, default: Option<&'static str>) -> Setting {
    Setting { name, kind, default }
}

const fn layer(
    name: &'static str,
    settings: &'static [Setting],
    help: &'static str,
    plan: PlanLayer,
) -> Word {
    Word { name, settings, help, meaning: Meaning::Layer(plan) }
}

const P: Setting = setting("p", Kind::Probability, Some("0.5"));
const POOL: &[Setting] = &[
    setting("kernel", Kind::Pair, Some("2")),
    setting("stride", Kind::Pair, Some("kernel")),
    setting("padding", Kind::Zeros, Some("0")),
];
const BIAS: Setting = setting("bias", Kind::Flag, Some("true"));

const HIDDEN: Setting = setting("hidden", Kind::Count, None);
const LAYERS: Setting = setting("layers", Kind::Count, Some("1"));
const BIDIRECTIONAL: Setting = setting("bidirectional", Kind::Flag, Some("false"));
const RECURRENT: Setting = setting("recurrent", Kind::Init, Some("init"));
const NO_DROPOUT: Setting = setting("dropout", Kind::Probability, Some("0"));

const fn recurrent(
    name: &'static str,
    settings: &'static [Setting],
    help: &'static str,
    plan: PlanLayer,
) -> Word {
    Word { name, settings, help, meaning: Meaning::Recurrent(plan) }
}

/// Every word. A layer is a row, and a function that says its sizes and makes it.
pub static WORDS: &[Word] = &[
    Word {
        name: "mlp",
        settings: &[
            setting("sizes", Kind::Counts, None),
            setting("activation", Kind::Function, Some("relu")),
        ],
        help: "a whole network: linear layers of these hidden sizes, with an activation after each",
        meaning: Meaning::Network(families::mlp),
    },
    Word {
        name: "cnn",
        settings: &[],
        help: "a whole network: two convolutions of 32 and 64 channels, a pool, 128 hidden units, with dropout",
        meaning: Meaning::Network(families::cnn),
    },
    Word {
        name: "resnet",
        settings: &[setting("depth", Kind::Count, None)],
        help: "a whole network: the residual one of He et al. 2016 for CIFAR, of 6n + 2 layers, with projections",
        meaning: Meaning::Network(families::resnet),
    },
    Word {
        name: "linear",
        settings: &[setting("outputs", Kind::Count, None), BIAS],
        help: "a linear layer, of sequences for each step; as the first it flattens images",
        meaning: Meaning::LayerOfRows(linear),
    },
    layer(
        "conv",
        &[
            setting("channels", Kind::Count, None),
            setting("kernel", Kind::Pair, Some("3")),
            setting("stride", Kind::Pair, Some("1")),
            setting("padding", Kind::Padding, Some("0")),
            setting("dilation", Kind::Pair, Some("1")),
            setting("groups", Kind::Count, Some("1")),
            BIAS,
        ],
        "a convolution of images",
        conv,
    ),
    recurrent(
        "rnn",
        &[
            HIDDEN,
            LAYERS,
            setting("activation", Kind::Function, Some("tanh")),
            BIDIRECTIONAL,
            RECURRENT,
            NO_DROPOUT,
        ],
        "a recurrent layer, of tanh or relu: the states of all steps. Weights are PyTorch's unless --init says how, \
         and those from step to step by the rule recurrent=; dropout is between layers",
        sequences::rnn,
    ),
    recurrent(
        "lstm",
        &[HIDDEN, LAYERS, BIDIRECTIONAL, RECURRENT, NO_DROPOUT],
        "the same with long short-term memory",
        sequences::lstm,
    ),
    recurrent(
        "gru",
        &[HIDDEN, LAYERS, BIDIRECTIONAL, RECURRENT, NO_DROPOUT],
        "the same with gated recurrent units",
        sequences::gru,
    ),
    Word {
        name: "embedding",
        settings: &[setting("numbers", Kind::Count, None)],
        help: "as the first, a vector of normal numbers for each token, of all that the data have",
        meaning: Meaning::Embedding(sequences::embedding),
    },
    layer(
        "positions",
        &[setting("learned", Kind::Flag, Some("false"))],
        "where in the sequence a step is, added to it, for what does not go from step to step: waves, or vectors \
         that are learned",
        transformers::positions,
    ),
    Word {
        name: "transformer",
        settings: &[
            setting("numbers", Kind::Count, None),
            setting("heads", Kind::Count, Some("8")),
            LAYERS,
            setting("feedforward", Kind::Count, Some("2048")),
            setting("dropout", Kind::Probability, Some("0.1")),
            setting("activation", Kind::Function, Some("relu")),
            setting("norm_first", Kind::Flag, Some("false")),
            setting("causal", Kind::FlagOrAuto, Some("auto")),
        ],
        help: "layers of attention over steps of so many numbers, each with a perceptron, as PyTorch's encoder; with \
               norm_first a last normalisation. causal: no step sees later ones, as where each step has a target",
        meaning: Meaning::Transformer(transformers::transformer),
    },
    layer("last", &[], "the last step of a sequence", |_, x| sequences::last(x)),
    layer("mean", &[], "the mean over the steps of a sequence", |_, x| sequences::mean(x)),
    Word {
        name: "residual",
        settings: &[setting("factor", Kind::Number, Some("1"))],
        help: "a branch, times a factor, and what goes past it, added; a projection where the shape changes",
        meaning: Meaning::Residual,
    },
    Word {
        name: "sequential",
        settings: &[],
        help: "its layers, one after the other, as if they stood alone",
        meaning: Meaning::Sequence,
    },
    Word {
        name: "batchnorm",
        settings: &[],
        help: "each channel normalised over the batch",
        meaning: Meaning::NormalisedBatch(|_, x| batch_norm(x)),
    },
    layer("layernorm", &[], "each sample normalised, of a sequence each step", |_, x| {
        let shape = normalised(x).to_vec();
        let planned = Planned::of_shape(x, move |by, _| LayerNorm::with_dtype(&*shape, by.dtype).into());
        Ok(Planned {
            parameters: elements(normalised(x)).saturating_mul(2),
            computes: Computes::LayerNorm { is_centred: true },
            ..planned
        })
    }),
    layer("rmsnorm", &[], "each sample, or each step, scaled to a mean square of 1", |_, x| {
        let shape = normalised(x).to_vec();
        let planned = Planned::of_shape(x, move |by, _| RmsNorm::with_dtype(&*shape, by.dtype).into());
        Ok(Planned {
            parameters: elements(normalised(x)),
            computes: Computes::LayerNorm { is_centred: false },
            ..planned
        })
    }),
    layer(
        "groupnorm",
        &[setting("groups", Kind::Count, None)],
        "groups of channels normalised in each sample",
        |settings, x| {
            let (channels, groups) = (channels(x)?, settings.count("groups"));
            if !channels.is_multiple_of(groups) {
                return Err(format!(
                    "{channels} channels cannot be cut into {groups} groups; write a number that divides them"
                ));
            }
            let make =
                move |by: Drawing, _: &mut Rng| GroupNorm::with_dtype(groups, channels, by.dtype).into();
            Ok(Planned { parameters: 2 * channels, ..Planned::of_shape(x, make) })
        },
    ),
    layer("instancenorm", &[], "each channel of each sample normalised", |_, x| {
        let [channels, rows, columns] = image(x)?;
        if rows * columns < 2 {
            return Err("one pixel is its own mean: it takes images of at least two".to_owned());
        }
        Ok(Planned::of_shape(x, move |_, _| InstanceNorm2d::new(channels).into()))
    }),
    layer("maxpool", POOL, "the largest in each window", |settings, x| {
        pool(settings, x, |windows| MaxPool2d::new(windows).into())
    }),
    layer("avgpool", POOL, "the mean of each window", |settings, x| {
        let planned = pool(settings, x, |windows| AvgPool2d::new(windows).into())?;
        let kernel = settings.pair("kernel");
        let is_whole = (0..2).all(|axis| planned.shape[axis + 1] * kernel[axis] == x[axis + 1]);
        let computes = if is_whole && settings.pair("stride") == kernel {
            Computes::MeanOfWindows
        } else {
            Computes::Other
        };
        Ok(Planned { computes, ..planned })
    }),
    layer(
        "adaptiveavgpool",
        &[setting("output", Kind::Pair, Some("1"))],
        "means over so many rows and columns of windows, one of the whole image unless set",
        |settings, x| {
            let ([channels, ..], output) = (image(x)?, settings.pair("output"));
            let planned = Planned::of_shape(x, move |_, _| AdaptiveAvgPool2d::new(output).into());
            let computes = if output == [1; 2] { Computes::MeanOfWindows } else { Computes::Other };
            Ok(Planned { shape: vec![channels, output[0], output[1]], computes, ..planned })
        },
    ),
    layer("flatten", &[], "all axes of a sample as one", |_, x| Ok(flatten(x))),
    layer("dropout", &[P], "elements dropped by chance in training", |settings, x| {
        let p = settings.number("p");
        let planned = Planned::of_shape(x, move |_, _| Dropout::new(p).into());
        Ok(Planned { computes: Computes::Dropout { p }, ..planned })
    }),
    layer("dropout2d", &[P], "whole channels dropped by chance in training", |settings, x| {
        image(x)?;
        let p = settings.number("p");
        let planned = Planned::of_shape(x, move |_, _| Dropout2d::new(p).into());
        Ok(Planned { computes: Computes::Dropout { p }, ..planned })
    }),
    layer("identity", &[], "x", |_, x| Ok(activation(Activation::Identity, x))),
    layer("relu", &[], "max(x, 0)", |_, x| Ok(activation(Activation::Relu, x))),
    layer(
        "leaky-relu",
        &[setting("slope", Kind::Number, Some("0.01"))],
        "x, below 0 times the slope",
        |settings, x| Ok(activation(Activation::LeakyRelu(settings.number("slope")), x)),
    ),
    layer("elu", &[], "x, below 0 eˣ − 1", |_, x| Ok(activation(Activation::Elu, x))),
    layer("selu", &[], "elu, scaled to keep mean 0 and variance 1", |_, x| {
        Ok(activation(Activation::Selu, x))
    }),
    layer("gelu", &[], "x Φ(x)", |_, x| Ok(activation(Activation::Gelu, x))),
    layer("gelu-tanh", &[], "x Φ(x), Φ by a tanh", |_, x| Ok(activation(Activation::GeluTanh, x))),
    layer("silu", &[], "x σ(x)", |_, x| Ok(activation(Activation::Silu, x))),
    layer("mish", &[], "x tanh(ln(1 + eˣ))", |_, x| Ok(activation(Activation::Mish, x))),
    layer("softplus", &[], "ln(1 + eˣ)", |_, x| Ok(activation(Activation::Softplus, x))),
    layer("log-sigmoid", &[], "ln(1 / (1 + e⁻ˣ))", |_, x| Ok(activation(Activation::LogSigmoid, x))),
    layer("sigmoid", &[], "1 / (1 + e⁻ˣ)", |_, x| Ok(activation(Activation::Sigmoid, x))),
    layer("tanh", &[], "tanh x", |_, x| Ok(activation(Activation::Tanh, x))),
    layer("softsign", &[], "x / (1 + |x|)", |_, x| Ok(activation(Activation::Softsign, x))),
    layer("hardtanh", &[], "x held between −1 and 1", |_, x| Ok(activation(Activation::Hardtanh, x))),
];

fn activation(function: Activation, x: &[usize]) -> Planned {
    let computes = Computes::Activation(function);
    Planned { computes, ..Planned::of_shape(x, move |_, _| function.into()) }
}

pub(super) fn flatten(x: &[usize]) -> Planned {
    let make = |_: Drawing, _: &mut Rng| Flatten::new().into();
    Planned { shape: vec![elements(x)], computes: Computes::Flatten, ..Planned::of_shape(x, make) }
}

fn linear(settings: &Settings, x: &[usize]) -> Result<Planned, String> {
    let (outputs, bias) = (settings.count("outputs"), settings.flag("bias"));
    linear_of(x, outputs, bias)
}

/// A linear layer with inputs of this shape.
pub(super) fn linear_of(x: &[usize], outputs: usize, bias: bool) -> Result<Planned, String> {
    let (inputs, before, computes) = match *x {
        [inputs] => (inputs, &x[..0], Computes::Linear { inputs, bias }),
        [_, inputs] => (inputs, &x[..1], Computes::Other),
        _ => {
            return Err(format!(
                "a linear layer takes rows of numbers, and gets {}; put flatten before it",
                named(x)
            ));
        }
    };
    Ok(Planned {
        shape: [before, &[outputs]].concat(),
        parameters: inputs.saturating_mul(outputs).saturating_add(if bias { outputs } else { 0 }),
        multiply_adds: elements(x).saturating_mul(outputs),
        computes,
        ..Planned::of_shape(x, move |by, rng| {
            let mut layer = Linear::with_init(inputs, outputs, by.init, by.gain, by.dtype, rng);
            layer.bias = layer.bias.filter(|_| bias);
            layer.into()
        })
    })
}

fn conv(settings: &Settings, x: &[usize]) -> Result<Planned, String> {
    let (channels, groups) = (settings.count("channels"), settings.count("groups"));
    let windows = Convolution::new().stride(settings.pair("stride")).dilation(settings.pair("dilation"));
    let windows = windows.padding(settings.padding("padding")).groups(groups);
    convolution(x, channels, settings.pair("kernel"), windows, settings.flag("bias"))
}

/// A convolution of images of this shape.
pub(super) fn convolution(
    x: &[usize],
    channels: usize,
    kernel: [usize; 2],
    windows: Convolution,
    bias: bool,
) -> Result<Planned, String> {
    let [inputs, size @ ..] = image(x)?;
    let groups = windows.groups;
    if !inputs.is_multiple_of(groups) || !channels.is_multiple_of(groups) {
        return Err(format!(
            "{inputs} channels in and {channels} out cannot be cut into {groups} groups; write a number that divides both"
        ));
    }
    if windows.padding == Padding::Same && windows.stride != [1; 2] {
        let [rows, columns] = [0, 1].map(|axis| windows.dilation[axis] * (kernel[axis] - 1) / 2);
        return Err(format!(
            "padding=same is for strides of 1; here write rows and columns, padding={rows}x{columns}"
        ));
    }
    let [rows, columns] = windows.output(size, kernel).ok_or_else(|| no_room(kernel, size))?;
    let weights = elements(&[channels, inputs / groups, kernel[0], kernel[1]]);
    Ok(Planned {
        shape: vec![channels, rows, columns],
        parameters: weights.saturating_add(if bias { channels } else { 0 }),
        multiply_adds: weights.saturating_mul(elements(&[rows, columns])),
        computes: Computes::Convolution { inputs, kernel, windows, bias },
        ..Planned::of_shape(x, move |by, rng| {
            let layer = Conv2d::with_init(inputs, channels, kernel, windows, by.init, by.gain, by.dtype, rng);
            if bias { layer.into() } else { layer.without_bias().into() }
        })
    })
}

/// What of a sample is normalised: of a sequence the features of each step, else all.
fn normalised(x: &[usize]) -> &[usize] {
    if x.len() == 2 { &x[1..] } else { x }
}

/// Normalisation by channel of rows of numbers, or of images.
pub(super) fn batch_norm(x: &[usize]) -> Result<Planned, String> {
    let channels = channels(x)?;
    let is_image = x.len() == 3;
    let make = move |by: Drawing, _: &mut Rng| {
        if is_image {
            BatchNorm2d::with_dtype(channels, by.dtype).into()
        } else {
            BatchNorm1d::with_dtype(channels, by.dtype).into()
        }
    };
    let computes = Computes::BatchNorm;
    Ok(Planned { parameters: 2 * channels, computes, ..Planned::of_shape(x, make) })
}

/// The channels of a sample: those of an image, or its numbers.
fn channels(x: &[usize]) -> Result<usize, String> {
    if x.len() == 1 { Ok(x[0]) } else { image(x).map(|[channels, ..]| channels) }
}

fn pool(settings: &Settings, x: &[usize], make: fn(Pooling) -> Box<dyn Layer>) -> Result<Planned, String> {
    let [channels, size @ ..] = image(x)?;
    let (kernel, stride) = (settings.pair("kernel"), settings.pair("stride"));
    let windows = Convolution::new().stride(stride).padding(settings.padding("padding"));
    let Padding::Zeros(padding) = windows.padding else { unreachable!("numbers were read") };
    if padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2 {
        let [rows, columns] = kernel.map(|size| size / 2);
        return Err(format!(
            "the padding is more than half a window; write at most padding={rows}x{columns}"
        ));
    }
    let [rows, columns] = windows.output(size, kernel).ok_or_else(|| no_room(kernel, size))?;
    let windows = Pooling::new(kernel).stride(stride).padding(padding);
    Ok(Planned { shape: vec![channels, rows, columns], ..Planned::of_shape(x, move |_, _| make(windows)) })
}

fn no_room([kernel_rows, kernel_columns]: [usize; 2], [rows, columns]: [usize; 2]) -> String {
    format!(
        "no room: windows of {kernel_rows} × {kernel_columns} on images of {rows} × {columns}; make kernel or dilation \
         smaller, or pad"
    )
}

/// Channels, rows and columns.
fn image(x: &[usize]) -> Result<[usize; 3], String> {
    let what = "it takes images [channels, rows, columns], and gets";
    x.try_into()
        .map_err(|_| format!("{what} {}; write it before flatten, linear and words for sequences", named(x)))
}

/// How many there are of a shape, or as many as can be counted.
pub(super) fn elements(x: &[usize]) -> usize {
    x.iter().fold(1, |all, size| all.saturating_mul(*size))
}

/// A shape in words.
pub(super) fn named(x: &[usize]) -> String {
    format!("{x:?}")
}
