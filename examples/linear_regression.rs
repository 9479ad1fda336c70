//! Gradient descent finds the line behind noisy points: y = 3x + noise.
//!
//! ```text
//! cargo run --release --example linear_regression
//! ```
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;

fn main() {
    let mut rng = Rng::seed_from_u64(0);
    let x = Tensor::uniform([200, 1], -1.0, 1.0, DType::F32, &mut rng);
    let y = 3.0 * &x + 0.1 * Tensor::randn([200, 1], DType::F32, &mut rng);

    let mut model = Linear::new(1, 1, &mut rng);
    let mut optimizer = Optimizer::new(Sgd::new(0.1));

    println!("step      loss     slope  intercept");
    for step in 0..=200 {
        let loss = mse_loss(&model.forward(&x), &y);
        if step % 25 == 0 {
            let intercept = model.bias.as_ref().map_or(0.0, Tensor::item);
            println!("{step:4}  {:.6}  {:8.4}  {intercept:9.4}", loss.item(), model.weight.item());
        }
        let grads = loss.backward();
        optimizer.step(&mut model, &grads);
    }

    let slope = model.weight.item();
    println!("\ny = {slope:.3} x, from points on y = 3 x with noise of standard deviation 0.1");
    // The slope's standard error is 0.1 / (√200 · rms x) = 0.012: five of them is far beyond chance.
    assert!((slope - 3.0).abs() < 0.06, "the slope should be near 3");
}
