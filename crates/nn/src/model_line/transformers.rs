//! Words for sequences whose steps look at each other: `positions` and `transformer`.

use super::plan::{Drawing, Planned};
use super::samples::Samples;
use super::sequences::{MOST_LAYERS, sequence};
use super::settings::Settings;
use super::words::elements;
use crate::init::Init;
use crate::positions::{LearnedPositions, SinusoidalPositions};
use crate::transformer::TransformerSettings;
use crate::transformer_encoder::TransformerEncoder;
use backflow_tensor::Rng;

/// For as many steps as the samples have.
pub(super) fn positions(settings: &Settings, x: &[usize]) -> Result<Planned, String> {
    let [steps, numbers] = sequence(x)?;
    if !settings.flag("learned") {
        let make =
            move |_: Drawing, _: &mut Rng| SinusoidalPositions::new(steps, numbers).batch_first().into();
        return Ok(Planned::of_shape(x, make));
    }
    let make = move |by: Drawing, rng: &mut Rng| {
        let init = Init::Normal { mean: 0.0, std: 0.02 };
        LearnedPositions::with_init(steps, numbers, init, by.dtype, rng).batch_first().into()
    };
    Ok(Planned { parameters: elements(x), ..Planned::of_shape(x, make) })
}

/// Whether no step sees later ones: as asked, or where each step has a target, which later steps may show.
pub(super) fn is_causal(settings: &Settings, samples: &Samples) -> Result<bool, String> {
    match settings.flag_or_auto("causal") {
        Some(false) if samples.is_causal() => {
            Err("a step would see what is to be predicted; leave causal=false out".to_owned())
        }
        asked => Ok(asked.unwrap_or(samples.is_each_step())),
    }
}

pub(super) fn transformer(settings: &Settings, x: &[usize], samples: &Samples) -> Result<Planned, String> {
    let [steps, numbers] = sequence(x)?;
    let [own, heads, layers] = ["numbers", "heads", "layers"].map(|name| settings.count(name));
    if own != numbers {
        return Err(format!(
            "it takes steps of {own} numbers, and gets {numbers}; write transformer:{numbers}, or linear:{own} before it"
        ));
    }
    if !numbers.is_multiple_of(heads) {
        let fits = (1..heads).rev().find(|heads| numbers.is_multiple_of(*heads)).unwrap_or(1);
        return Err(format!("{heads} heads do not divide {numbers} numbers; write heads={fits}"));
    }
    if layers > MOST_LAYERS {
        return Err(format!("more than {MOST_LAYERS} layers of a transformer; write fewer"));
    }
    let (feedforward, dropout) = (settings.count("feedforward"), settings.number("dropout"));
    let (norm_first, is_causal) = (settings.flag("norm_first"), is_causal(settings, samples)?);
    let built =
        TransformerSettings::new(numbers, heads).feedforward(feedforward).dropout(dropout).batch_first();
    let built = built.activation(settings.function("activation"));
    let built = if norm_first { built.norm_first() } else { built };
    // Queries, keys, values and what puts heads together; the two linear layers.
    let weights = elements(&[4, numbers, numbers]).saturating_add(elements(&[2, numbers, feedforward]));
    let [biases, norms] = [4 * numbers + feedforward + numbers, 4 * numbers];
    let last = if norm_first { 2 * numbers } else { 0 };
    // Each query with each key, and each weight with each value.
    let attention = elements(&[2, steps, steps, numbers]);
    let seen = elements(&[heads, steps, steps]);
    // Queries, keys and values, heads, three results of linear layers with the same sizes, two sums and normalisations.
    let made = elements(&[steps, 10 * numbers + 2 * feedforward]).saturating_add(seen);
    let dropped = elements(&[steps, 2 * numbers + feedforward]).saturating_add(seen);
    let made = made.saturating_add(if dropout > 0.0 { dropped } else { 0 });
    Ok(Planned {
        parameters: weights.saturating_add(biases + norms).saturating_mul(layers).saturating_add(last),
        multiply_adds: weights.saturating_mul(steps).saturating_add(attention).saturating_mul(layers),
        within: made.saturating_mul(layers),
        ..Planned::of_shape(x, move |by, rng| {
            let built = built.init(by.of_sequences).dtype(by.dtype);
            let encoder = TransformerEncoder::new(built, layers, rng);
            let encoder = if norm_first { encoder.with_norm(built.norm()) } else { encoder };
            if is_causal { encoder.causal().into() } else { encoder.into() }
        })
    })
}
