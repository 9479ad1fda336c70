//! A network with one hidden layer learns XOR, which no single layer can.
//!
//! ```text
//! cargo run --release --example xor
//! ```
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;

#[derive(Module)]
struct Xor {
    hidden: Linear,
    out: Linear,
}

impl Xor {
    fn new(rng: &mut Rng) -> Self {
        Self { hidden: Linear::new(2, 8, rng), out: Linear::new(8, 1, rng) }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.out.forward(&self.hidden.forward(x).tanh())
    }
}

fn main() {
    let x = Tensor::from([[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0_f32], [1.0], [1.0], [0.0]]);

    let mut model = Xor::new(&mut Rng::seed_from_u64(0));
    let mut optimizer = Optimizer::new(Adam::new(0.03));
    for step in 0..=400 {
        let loss = binary_cross_entropy_with_logits(&model.forward(&x), &y);
        if step % 100 == 0 {
            println!("step {step:3}  loss {:.5}", loss.item());
        }
        let grads = loss.backward();
        optimizer.step(&mut model, &grads);
    }

    let probability = no_grad(|| model.forward(&x).sigmoid()).to_vec::<f32>();
    for (inputs, p) in [[0, 0], [0, 1], [1, 0], [1, 1]].iter().zip(&probability) {
        println!("{} xor {} = {}  (p = {p:.3})", inputs[0], inputs[1], u8::from(*p > 0.5));
    }
    let answers: Vec<bool> = probability.iter().map(|&p| p > 0.5).collect();
    assert_eq!(answers, [false, true, true, false]);
}
