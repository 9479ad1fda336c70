//! Every optimizer finds the line behind noisy points, y = 3x + noise, and shows how it gets there.
//!
//! ```text
//! cargo run --release --example linear_regression
//! ```
//!
//! All start from the same line and see all points at every step. Learning rates differ by what a rule does
//! with them: a gradient is multiplied by one, a sign has only one for its size. A cosine takes them to 0, so
//! that rules whose steps have one size come to rest too.
#![allow(clippy::print_stdout, reason = "an example shows its results")]

use backflow::prelude::*;

const STEPS: u64 = 500;
/// After how many steps the loss is shown.
const SHOWN: [u64; 5] = [0, 5, 20, 100, 500];

/// A learning rate that suits this problem.
fn learning_rate(rule: &str) -> f64 {
    match rule {
        // Multiplied by the gradient, or by a mean of gradients.
        "gd" | "sgd" | "noisy-sgd" | "asgd" | "bold-driver" | "normalized-gd" | "schedule-free-sgd" => 0.5,
        // By a sum of ten gradients.
        "momentum" | "nesterov" | "sam" => 0.1,
        // By something of about the size 1: this is how far an element goes in a step.
        "sign-sgd" | "signum" | "lion" | "rmsprop" | "muon" => 0.05,
        "adam" | "amsgrad" | "adamax" | "adamw" | "nadam" | "radam" | "schedule-free" => 0.2,
        "lamb" | "adafactor" => 0.2,
        // By its share of the weights, 1/1000 unless set.
        "lars" => 20.0,
        // By a root of all squares so far.
        "adagrad" => 1.0,
        // Only where it begins.
        "rprop" => 0.05,
        // Steps of its own making.
        "adadelta" => 30.0,
        "lbfgs" => 1.0,
        _ => 0.1,
    }
}

fn main() {
    let mut rng = Rng::seed_from_u64(0);
    let x = Tensor::uniform([200, 1], -1.0, 1.0, DType::F32, &mut rng);
    let y = 3.0 * &x + 0.1 * Tensor::randn([200, 1], DType::F32, &mut rng);
    let start = rng.split(1);

    println!("                                 mean squared error after … steps");
    print!("optimizer              lr ");
    SHOWN.iter().for_each(|step| print!("{step:>9}"));
    println!("    slope  intercept");
    for info in RULES {
        let lr = learning_rate(info.name);
        let mut model = Linear::new(1, 1, &mut start.clone());
        let mut optimizer = Optimizer::from_spec(info.name, Some(lr)).expect("every rule has defaults");
        optimizer = optimizer.schedule(Cosine::new(STEPS));
        print!("{:18} {lr:>6} ", info.name);
        for step in 0..=STEPS {
            if SHOWN.contains(&step) {
                // Rules that keep an average of the weights are judged by it.
                let loss = optimizer.evaluating(&mut model, |model| mse_loss(&model.forward(&x), &y).item());
                print!(" {loss:8.5}");
            }
            optimizer.step_with(&mut model, |model| mse_loss(&model.forward(&x), &y));
        }
        let slope = optimizer.evaluating(&mut model, |model| model.weight.item());
        let intercept =
            optimizer.evaluating(&mut model, |model| model.bias.as_ref().map_or(0.0, Tensor::item));
        println!("  {slope:7.4}  {intercept:9.4}");
        // The slope's standard error is 0.1 / (√200 · rms x) = 0.012: five of them is far beyond chance.
        assert!((slope - 3.0).abs() < 0.06, "{}: the slope should be near 3", info.name);
    }
    println!(
        "\nThe points lie around y = 3x with a standard deviation of 0.1: a mean squared error of 0.01 is \
         all there is to reach."
    );
}
