//! A network that reads this repository's own documentation, byte by byte, and writes on.
//!
//! ```text
//! cargo run --release --example char_rnn
//! ```
//!
//! Sutskever et al. 2011, "Generating text with recurrent neural networks"; with long short-term memory, Graves 2013. What
//! it writes is no documentation: 150,000 weights learn syllables, short words and how tables look in half a minute.
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;
use backflow::train::{EpochRecord, Listener, TrainError};

const READ: [&str; 3] =
    [include_str!("../README.md"), include_str!("../ARCHITECTURE.md"), include_str!("../NUMERICS.md")];

#[derive(Clone, Debug, Module)]
struct CharRnn {
    embedding: Embedding,
    memory: Lstm,
    head: Linear,
}

impl CharRnn {
    fn new(rng: &mut Rng) -> Self {
        Self {
            embedding: Embedding::new(Text::CLASSES, 64, rng),
            memory: Lstm::with_stack(64, 128, Stack::new().batch_first(), rng),
            head: Linear::new(128, Text::CLASSES, rng),
        }
    }

    /// Scores of what comes next at each step, `[n, steps, 256]`, and the state to go on from.
    fn read(&self, ids: &Tensor, state: Option<&LstmState>) -> (Tensor, LstmState) {
        let (states, end) = self.memory.forward_from(&self.embedding.forward(ids), state, None);
        (self.head.forward(&states), end)
    }

    /// So many bytes after these, each drawn as likely as the network says.
    fn write(&self, begin: &str, bytes: usize, rng: &mut Rng) -> String {
        let mut next: Vec<i64> = begin.bytes().map(i64::from).collect();
        let (mut text, mut state) = (begin.as_bytes().to_vec(), None);
        for _ in 0..bytes {
            let length = next.len();
            let (scores, end) = self.read(&Tensor::from_vec(next, [1, length]), state.as_ref());
            let chances = scores.select(1, -1).softmax(-1).to_f64_vec();
            let mut left = rng.below(1 << 30) as f64 / f64::from(1 << 30);
            let drawn = chances.iter().position(|chance| {
                left -= chance;
                left < 0.0
            });
            let byte = drawn.unwrap_or(0);
            text.push(byte as u8);
            (next, state) = (vec![byte as i64], Some(end));
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Layer for CharRnn {
    fn forward(&self, ids: &Tensor) -> Tensor {
        self.read(ids, None).0
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
    let text = Text::of(READ.concat().as_bytes(), 64).expect("the documentation is longer than ten windows");
    let (train, test) = (Loader::new(&text.train, 32).shuffle(0), Loader::new(&text.test, 100));
    let mut rng = Rng::seed_from_u64(0);
    let mut model = CharRnn::new(&mut rng);
    let epochs = 15;
    let schedule = Cosine::new(epochs * train.len() as u64);
    let mut optimizer = Optimizer::new(Adam::new(5e-3)).clip_norm(1.0).schedule(schedule);
    let summary = Trainer::with_task(&NextToken::new(), &mut model, &mut optimizer)
        .fit(&train, &test, epochs, &mut Print)?;
    println!("\n{}", no_grad(|| model.write("An optimizer is ", 400, &mut rng)));
    let last = summary.epochs.last().map_or(f64::NAN, |epoch| epoch.metrics["perplexity"]);
    anyhow::ensure!(last < 10.0, "a byte should be less surprising than one of ten");
    Ok(())
}
