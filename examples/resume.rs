//! A training loop of one's own that may be cut at any time and goes on to the same bits: stop it with Ctrl-C, or pull the
//! plug, and start it again.
//!
//! ```text
//! cargo run --release --example resume
//! ```
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;
use backflow::store::{Checkpoint, Checkpoints};

const EPOCHS: u64 = 5;

fn main() -> anyhow::Result<()> {
    let digits = Mnist::embedded();
    let train = Loader::new(&digits.train, 32).shuffle(0);
    let mut model =
        Mlp::new(&[784, 64, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(0));
    let mut optimizer = Optimizer::new(Adam::new(1e-3));
    let mut noise = Rng::seed_from_u64(1);
    let (mut step, mut first_epoch, mut taken) = (0, 0, 0);

    // What was saved takes the place of what was made anew: the newest checkpoint that can be read.
    let checkpoints = Checkpoints::new(std::env::temp_dir().join("backflow-resume"));
    let newest = checkpoints.newest()?;
    newest.skipped.iter().for_each(|error| println!("passed over: {error}"));
    if let Some(saved) = newest.checkpoint {
        saved.load_optimizer("optimizer", &mut optimizer, &model)?;
        saved.load_model("model", &mut model)?;
        noise = saved.rng("noise")?;
        [first_epoch, taken] = saved.numbers("position")?;
        step = saved.step();
        println!("goes on behind step {step}");
    }

    for epoch in first_epoch..EPOCHS {
        // Batches are a function of the epoch; those that were taken are passed over.
        let batches = train.epoch(epoch).enumerate().skip(taken as usize);
        for (index, batch) in batches {
            let x = &batch.inputs + Tensor::randn(batch.inputs.shape(), DType::F32, &mut noise) * 0.1;
            optimizer.step_with(&mut model, |model| model.forward(&x).cross_entropy(&batch.targets));
            step += 1;
            if step % 50 == 0 {
                let mut checkpoint = Checkpoint::new(step);
                checkpoint.put_model("model", &model)?;
                checkpoint.put_optimizer("optimizer", &optimizer)?;
                checkpoint.put_rng("noise", &noise);
                checkpoint.put_numbers("position", [epoch, index as u64 + 1]);
                checkpoints.save(&checkpoint, None)?;
            }
        }
        taken = 0;
        let test = Loader::new(&digits.test, 1000).batch(0, 0);
        let right = no_grad(|| count_correct(&model.forward(&test.inputs), &test.targets));
        println!("epoch {}: {right} of {} digits are right", epoch + 1, test.len());
    }
    // The same number, to the last digit, however often it was cut.
    let weights = model.parameters().into_iter().flat_map(|(_, w)| w.to_f64_vec());
    println!("after {step} steps the weights sum up to {}", weights.sum::<f64>());
    checkpoints.remove_all();
    Ok(())
}
