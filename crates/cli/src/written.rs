//! [`Written`]: what a model of texts writes by itself.

use crate::network::Model;
use backflow_data::{Dataset, Loader};
use backflow_nn::Layer;
use backflow_tensor::{Float, Rng, Tensor, evaluation, no_grad};
use backflow_train::{EVALUATION_BATCH, NextToken, evaluate};
use serde::Serialize;

/// Bytes of a sample.
const BYTES: usize = 300;

/// The stream of random numbers that samples are drawn from, split from the seed.
const STREAM: u64 = 1;

/// How surprising a text is to a model, and what the model makes of it.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    /// The cross entropy on held-out bytes, in bits.
    pub(crate) bits_per_byte: f64,
    /// Bytes drawn one after the other, each as likely as the model says; what is no UTF-8 is replaced.
    pub(crate) sample: String,
}

impl Written {
    /// By a model of windows as those of `held_out`, whose beginning it goes on from.
    pub(crate) fn by(model: &Model, held_out: &Dataset, seed: u64) -> Self {
        let test = Loader::new(held_out, EVALUATION_BATCH);
        let nats = evaluate(&NextToken::new(), model, &test).map_or(f64::NAN, |figures| figures.loss);
        let window = Loader::new(held_out, 1).batch(0, 0).inputs.to_vec::<i64>();
        let mut rng = Rng::seed_from_u64(seed).split(STREAM);
        let sample = sampled(model, window, &mut rng);
        Self {
            bits_per_byte: nats / Float::ln(2.0_f64),
            sample: String::from_utf8_lossy(&sample).into_owned(),
        }
    }

    /// In words.
    pub(crate) fn shown(&self) -> String {
        let Self { bits_per_byte, sample } = self;
        let perplexity = Float::powf(2.0, *bits_per_byte);
        format!(
            "\nheld-out bytes: perplexity {}, {} bits per byte; the network writes:\n{sample}",
            figure(perplexity),
            figure(*bits_per_byte)
        )
    }
}

/// Three decimals, and an exponent where digits before the point would fill the line.
fn figure(x: f64) -> String {
    if x.abs() < 1e6 { format!("{x:.3}") } else { format!("{x:.3e}") }
}

/// What follows the window; the model always sees as many tokens as it was trained on.
fn sampled(model: &Model, mut window: Vec<i64>, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES);
    while bytes.len() < BYTES {
        window.remove(0);
        let x = Tensor::from_vec(window.clone(), [1, window.len()]);
        let scores = evaluation(|| no_grad(|| model.forward(&x))).select(1, -1).softmax(-1).to_f64_vec();
        let next = drawn(&scores, rng);
        bytes.push(next as u8);
        window.push(next as i64);
    }
    bytes
}

/// An index, each as likely as it says.
fn drawn(probabilities: &[f64], rng: &mut Rng) -> usize {
    const PARTS: usize = 1 << 53;
    let mut left = rng.below(PARTS) as f64 / PARTS as f64;
    let found = probabilities.iter().position(|probability| {
        left -= probability;
        left < 0.0
    });
    // What rounding has left over belongs to the last.
    found.unwrap_or(probabilities.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::drawn;
    use backflow_tensor::Rng;

    /// Of 4,000 draws, a share p has a standard deviation of √(p (1 − p)/4000) ≤ 0.008: five of them.
    #[test]
    fn each_is_drawn_as_often_as_it_says() {
        let probabilities = [0.5, 0.0, 0.3, 0.2];
        let (mut rng, mut counts) = (Rng::seed_from_u64(7), [0; 4]);
        (0..4000).for_each(|_| counts[drawn(&probabilities, &mut rng)] += 1);
        for (count, probability) in counts.into_iter().zip(probabilities) {
            assert!((f64::from(count) / 4000.0 - probability).abs() < 0.04, "{counts:?}");
        }
        assert_eq!((counts[1], drawn(&[0.0, 0.0], &mut rng)), (0, 1));
    }
}
