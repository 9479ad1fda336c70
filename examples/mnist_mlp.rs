//! The whole training loop of a digit classifier, written out with the library.
//!
//! ```text
//! cargo run --release --example mnist_mlp                 # the embedded digits
//! cargo run --release --example mnist_mlp -- data/mnist   # a folder with the four MNIST files
//! ```
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;

#[derive(Module)]
struct Classifier {
    hidden: Vec<Linear>,
    out: Linear,
}

impl Classifier {
    fn new(sizes: &[usize], classes: usize, rng: &mut Rng) -> Self {
        let hidden = sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1], rng)).collect();
        Self { hidden, out: Linear::new(sizes[sizes.len() - 1], classes, rng) }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let h = self.hidden.iter().fold(x.clone(), |h, layer| layer.forward(&h).relu());
        self.out.forward(&h)
    }
}

fn accuracy(model: &Classifier, loader: &Loader) -> f64 {
    let correct: usize = no_grad(|| {
        let batches = loader.epoch(0);
        batches.map(|batch| count_correct(&model.forward(&batch.inputs), &batch.targets)).sum()
    });
    correct as f64 / loader.dataset().len() as f64
}

fn main() -> anyhow::Result<()> {
    let digits = match std::env::args().nth(1) {
        Some(folder) => Mnist::load(&folder)?,
        None => Mnist::embedded(),
    };
    let train = Loader::new(&digits.train, 32).shuffle(0);
    let test = Loader::new(&digits.test, 500);

    let mut model = Classifier::new(&[784, 128, 64], 10, &mut Rng::seed_from_u64(0));
    let epochs = 5;
    let steps = epochs * train.len() as u64;
    let mut optimizer = Optimizer::new(Adam::new(1e-3)).clip_norm(1.0).schedule(Cosine::new(steps));
    println!("{} parameters", model.parameter_count());

    for epoch in 0..epochs {
        let mut loss_sum = 0.0;
        for batch in train.epoch(epoch) {
            let loss = model.forward(&batch.inputs).cross_entropy(&batch.targets);
            loss_sum += loss.item();
            let grads = loss.backward();
            optimizer.step(&mut model, &grads);
        }
        let mean = loss_sum / train.len() as f64;
        println!("epoch {}  loss {mean:.4}  test accuracy {:.4}", epoch + 1, accuracy(&model, &test));
    }
    anyhow::ensure!(accuracy(&model, &test) > 0.9, "the model should have learned more");
    Ok(())
}
