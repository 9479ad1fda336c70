//! A transformer that reads this repository's own documentation, byte by byte, and writes on.
//!
//! ```text
//! cargo run --release --example transformer
//! ```
//!
//! Vaswani et al. 2017, "Attention is all you need": an encoder whose steps see no later ones, as Radford et al. 2018 train it,
//! with normalisations in front of its branches. `char_rnn` learns the same texts by a state that goes from step to step.
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;
use backflow::train::{EpochRecord, Listener, TrainError};

const READ: [&str; 3] =
    [include_str!("../README.md"), include_str!("../ARCHITECTURE.md"), include_str!("../NUMERICS.md")];

/// As many bytes as it sees at once.
const STEPS: usize = 64;

#[derive(Clone, Debug, Module)]
struct CausalTransformer {
    embedding: Embedding,
    positions: SinusoidalPositions,
    encoder: TransformerEncoder,
    head: Linear,
}

impl CausalTransformer {
    fn new(rng: &mut Rng) -> Self {
        let settings = TransformerSettings::new(64, 4).feedforward(256).norm_first().batch_first();
        Self {
            embedding: Embedding::new(Text::CLASSES, 64, rng),
            positions: SinusoidalPositions::new(STEPS, 64).batch_first(),
            encoder: TransformerEncoder::new(settings, 2, rng).with_norm(settings.norm()).causal(),
            head: Linear::new(64, Text::CLASSES, rng),
        }
    }

    /// So many bytes after these, each drawn as likely as the network says.
    fn write(&self, begin: &str, bytes: usize, rng: &mut Rng) -> String {
        let mut text: Vec<i64> = begin.bytes().map(i64::from).collect();
        for _ in 0..bytes {
            let seen = text[text.len().saturating_sub(STEPS)..].to_vec();
            let length = seen.len();
            let scores = self.forward(&Tensor::from_vec(seen, [1, length]));
            let chances = scores.select(1, -1).softmax(-1).to_f64_vec();
            let mut left = rng.below(1 << 30) as f64 / f64::from(1 << 30);
            let drawn = chances.iter().position(|chance| {
                left -= chance;
                left < 0.0
            });
            text.push(drawn.unwrap_or(0) as i64);
        }
        String::from_utf8_lossy(&text.into_iter().map(|byte| byte as u8).collect::<Vec<_>>()).into_owned()
    }
}

impl Layer for CausalTransformer {
    /// Scores of what comes next at each step, `[n, steps, 256]`.
    fn forward(&self, ids: &Tensor) -> Tensor {
        let x = self.positions.forward(&self.embedding.forward(ids));
        self.head.forward(&self.encoder.forward(&x))
    }
}

struct Print;

impl Listener for Print {
    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        println!("epoch {:2}  held-out perplexity {:.3}", record.epoch, record.metrics["perplexity"]);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let text =
        Text::of(READ.concat().as_bytes(), STEPS).expect("the documentation is longer than ten windows");
    let (train, test) = (Loader::new(&text.train, 16).shuffle(0), Loader::new(&text.test, 100));
    let mut rng = Rng::seed_from_u64(0);
    let mut model = CausalTransformer::new(&mut rng);
    let epochs = 20;
    let schedule = Cosine::new(epochs * train.len() as u64);
    let mut optimizer = Optimizer::new(Adam::new(3e-3)).clip_norm(1.0).schedule(schedule);
    let summary = Trainer::with_task(&NextToken::new(), &mut model, &mut optimizer)
        .fit(&train, &test, epochs, &mut Print)?;
    println!("\n{}", evaluation(|| no_grad(|| model.write("An optimizer is ", 400, &mut rng))));
    let last = summary.epochs.last().map_or(f64::NAN, |epoch| epoch.metrics["perplexity"]);
    anyhow::ensure!(last < 10.0, "a byte should be less surprising than one of ten");
    Ok(())
}
