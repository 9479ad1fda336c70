//! A convolutional network for digits, written out: PyTorch's example for MNIST.
//!
//! ```text
//! cargo run --release --example cnn                 # the embedded digits
//! cargo run --release --example cnn -- data/mnist   # a folder with the four MNIST files
//! ```
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;

#[derive(Module)]
struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    dropout1: Dropout,
    fc1: Linear,
    dropout2: Dropout,
    fc2: Linear,
}

impl Cnn {
    fn new(rng: &mut Rng) -> Self {
        Self {
            conv1: Conv2d::new(1, 32, 3, rng),
            conv2: Conv2d::new(32, 64, 3, rng),
            dropout1: Dropout::new(0.25),
            fc1: Linear::new(9216, 128, rng),
            dropout2: Dropout::new(0.5),
            fc2: Linear::new(128, 10, rng),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let h = self.conv1.forward(x).relu();
        let h = self.conv2.forward(&h).relu().max_pool2d(2);
        let h = self.dropout1.forward(&h).flatten(1);
        let h = self.fc1.forward(&h).relu();
        self.fc2.forward(&self.dropout2.forward(&h))
    }
}

fn accuracy(model: &Cnn, loader: &Loader) -> f64 {
    let batches = loader.epoch(0);
    let correct = |batch: Batch| count_correct(&model.forward(&batch.inputs), &batch.targets);
    let correct: usize = no_grad(|| batches.map(correct).sum());
    correct as f64 / loader.dataset().len() as f64
}

fn main() -> anyhow::Result<()> {
    let digits = match std::env::args().nth(1) {
        Some(folder) => Mnist::load(&folder)?,
        None => Mnist::embedded(),
    };
    let [train, test] = [digits.train, digits.test].map(|digits| digits.with_input_shape([1, 28, 28]));
    let (train, test) = (Loader::new(&train, 64).shuffle(0), Loader::new(&test, 500));

    let mut model = Cnn::new(&mut Rng::seed_from_u64(0));
    let mut optimizer = Optimizer::new(Adam::new(1e-3));
    println!("{} parameters", model.parameter_count());

    for epoch in 0..2 {
        let mut loss_sum = 0.0;
        for batch in train.epoch(epoch) {
            // In a step layers are in training: they drop.
            let loss = |model: &Cnn| model.forward(&batch.inputs).cross_entropy(&batch.targets);
            loss_sum += optimizer.step_with(&mut model, loss).loss.unwrap_or(f64::NAN);
        }
        let mean = loss_sum / train.len() as f64;
        println!("epoch {}  loss {mean:.4}  test accuracy {:.4}", epoch + 1, accuracy(&model, &test));
    }
    anyhow::ensure!(accuracy(&model, &test) > 0.9, "the model should have learned more");
    Ok(())
}
