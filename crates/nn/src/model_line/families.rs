//! Whole networks by a word: what they come to, written out.

use super::parse::{MOST, parse};
use super::plan::{Plan, plan};
use super::samples::Samples;
use super::sequences::sequence;
use super::settings::Settings;
use super::transformers::is_causal;
use super::words::elements;

/// The network that a line written out is; what is wrong is said with the part that it is about.
fn written_out(line: &str, samples: &Samples) -> Result<Plan, String> {
    // The words are right, so they are too many.
    let too_long = |_| format!("more than {MOST} words when it is written out; make the network shallower");
    let items = parse(line).map_err(too_long)?;
    plan(line, &items, samples).map_err(|error| {
        let part = error.part();
        format!("{}, at {part}", error.what())
    })
}

/// An `Mlp`, whose paths are `layers.N`.
pub(super) fn mlp(settings: &Settings, samples: &Samples) -> Result<Plan, String> {
    let (hidden, activation) = (settings.sizes("sizes"), settings.function("activation"));
    let (x, classes) = (samples.shape(), samples.outputs);
    let flat = if x.len() > 1 { "flatten/" } else { "" };
    let layers: String = hidden.iter().map(|size| format!("linear:{size}/{activation}/")).collect();
    let written_out = written_out(&format!("{flat}{layers}linear:{classes}"), samples)?;
    let mut sizes = vec![elements(x)];
    sizes.extend_from_slice(hidden);
    sizes.push(classes);
    Ok(Plan { mlp: Some((sizes, activation)), ..written_out })
}

/// PyTorch's example for MNIST: 28 × 28 pixels are 9,216 numbers after the pool.
pub(super) fn cnn(_: &Settings, samples: &Samples) -> Result<Plan, String> {
    let line = "conv:32/relu/conv:64/relu/maxpool:2/dropout:0.25/flatten/linear:128/relu/dropout:0.5";
    written_out(&format!("{line}/linear:{}", samples.outputs), samples)
}

/// He et al. 2016, section 4.2: 6n + 2 layers with weights, projections not counted, in three stages of n blocks of
/// 16, 32 and 64 channels. Where the shape changes, the shortcut is a projection (option B of the paper, and of most
/// code since; the paper itself took option A there, which has no parameters).
pub(super) fn resnet(settings: &Settings, samples: &Samples) -> Result<Plan, String> {
    let depth = settings.count("depth");
    let blocks = depth.checked_sub(2).filter(|layers| *layers > 0 && layers.is_multiple_of(6));
    let Some(blocks) = blocks.map(|layers| layers / 6) else {
        return Err("the depth is 6n + 2: 8, 14, 20, 32, 44, 56, 110, …".to_owned());
    };
    let block = |channels: usize, stride: usize| {
        let first = format!("conv:{channels},stride={stride},padding=1,bias=false/batchnorm/relu");
        format!("residual({first}/conv:{channels},padding=1,bias=false/batchnorm)/relu")
    };
    let stage = |channels: usize, stride: usize| {
        format!("{}/[{}]*{}", block(channels, stride), block(channels, 1), blocks - 1)
    };
    let stages = format!("{}/{}/{}", stage(16, 1), stage(32, 2), stage(64, 2));
    let stem = "conv:16,padding=1,bias=false/batchnorm/relu";
    let head = format!("adaptiveavgpool:1/flatten/linear:{}", samples.outputs);
    written_out(&format!("{stem}/{stages}/{head}"), samples)
}

/// A layer of cells, alone in its line: of tokens with an embedding as wide as it is, and a head for what is made of each
/// step, or of all. In both directions that goes by the mean, since the last step is the first one of the way back.
pub(super) fn recurrent(word: &str, settings: &Settings, samples: &Samples) -> Result<Plan, String> {
    let embedding = match samples.words() {
        Some(_) => format!("embedding:{}/", settings.count("hidden")),
        None => String::new(),
    };
    let picked = match settings.flag("bidirectional") {
        _ if samples.is_each_step() => "",
        true => "mean/",
        false => "last/",
    };
    written_out(&format!("{embedding}{word}/{picked}linear:{}", samples.outputs), samples)
}

/// Layers of attention, alone in their line: positions before them, and before these an embedding of tokens, or a linear
/// layer, which make steps as wide as they are; and a head for what is made of each step, or of all: of the last step where
/// no other has seen all of them, else of their mean.
pub(super) fn transformer(word: &str, settings: &Settings, samples: &Samples) -> Result<Plan, String> {
    let width = settings.count("numbers");
    let before = match samples.words() {
        Some(_) => format!("embedding:{width}"),
        None => {
            sequence(samples.shape())?;
            format!("linear:{width}")
        }
    };
    let picked = match is_causal(settings, samples)? {
        _ if samples.is_each_step() => "",
        true => "last/",
        false => "mean/",
    };
    written_out(&format!("{before}/positions/{word}/{picked}linear:{}", samples.outputs), samples)
}
