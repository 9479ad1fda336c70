//! A residual network for digits, in a line of text, trained by the trainer.
//!
//! ```text
//! cargo run --release --example resnet                 # of 8 layers
//! cargo run --release --example resnet -- resnet:20    # another line
//! ```
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;
use backflow::train::{EpochRecord, Listener, TrainError};

struct Print;

impl Listener for Print {
    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        println!("epoch {}  test accuracy {:.4}", record.epoch, record.metrics["accuracy"]);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let line: ModelLine = std::env::args().nth(1).unwrap_or_else(|| "resnet:8".to_owned()).parse()?;
    let digits = Mnist::embedded();
    let [train, test] = [digits.train, digits.test].map(|digits| digits.with_input_shape([1, 28, 28]));

    let plan = line.plan(&train.input_shape(), train.classes())?;
    println!("{plan}");
    let mut model = plan.build(Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(0));

    let (train, test) = (Loader::new(&train, 64).shuffle(0), Loader::new(&test, 500));
    let epochs = 2;
    let schedule = Cosine::new(epochs * train.len() as u64);
    let rule = Sgd::new(0.1).momentum(0.9).weight_decay(1e-4);
    let mut optimizer = Optimizer::new(rule).schedule(schedule);
    let summary = Trainer::new(&mut *model, &mut optimizer).fit(&train, &test, epochs, &mut Print)?;
    let accuracy = summary.epochs.last().map_or(0.0, |epoch| epoch.metrics["accuracy"]);
    anyhow::ensure!(accuracy > 0.9, "the model should have learned more");
    Ok(())
}
