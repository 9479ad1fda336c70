//! [`EXPECTED`]: what tests hold each update rule to, beside the laws that all rules obey.
//!
//! Learning rates were chosen from a grid, of four per decade on the functions and two on the digits. Losses
//! are those that were reached, with room to spare: a factor of two or more on the functions, where whatever
//! fell below 1e-9 may stop there; half as much again on the digits, where nothing has to go below 0.01. A
//! cosine takes the learning rate to 0, so that rules whose steps do not shrink with the gradient come to
//! rest.

/// A learning rate, and the loss that is reached with it.
pub type Reached = (f64, f64);

/// What a rule is expected to do.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Its name in specs.
    pub rule: &'static str,
    /// On a parabola of six weights, after 300 steps.
    pub parabola: Reached,
    /// In Rosenbrock's valley, after 3000 steps.
    pub valley: Reached,
    /// By logistic regression on 500 digits, after 100 steps. A guess has a loss of ln 10 = 2.3.
    pub logistic: Reached,
    /// On the same digits, with three layers.
    pub network: Reached,
    /// What becomes of its step when the gradient shrinks; where it depends on the number of the step, of
    /// several.
    pub shrinking: &'static [Shrinking],
}

/// A step whose gradient is made small.
#[derive(Clone, Copy, Debug)]
pub struct Shrinking {
    /// The rule with its options.
    pub spec: &'static str,
    /// The weight at the start.
    pub start: f64,
    /// The number of the step; the gradient is the same in all of them.
    pub step: usize,
    /// What happens.
    pub floor: Floor,
}

impl Shrinking {
    /// The first step from 0.
    const fn first(spec: &'static str, floor: Floor) -> Self {
        Self { spec, start: 0.0, step: 1, floor }
    }
}

/// What becomes of the step when the gradient shrinks.
#[derive(Clone, Copy, Debug)]
pub enum Floor {
    /// It shrinks in proportion: nothing is rescued.
    Proportional,
    /// It is halved at a gradient of this size, and shrinks in proportion below. Adam's g/(|g| + ε) is halved
    /// at ε.
    HalvedAt(fn() -> f64),
    /// It stays as it is, as a sign does and a ratio of norms.
    Absent,
}

/// Every rule, in the order of `backflow_optim::RULES`.
///
/// SAM stays where the loss around it is lowest, a little away from the bottom of a valley this narrow; in
/// `RAdam`'s first five steps, on a slope of 200, nothing divides by its size, so that its learning rate must
/// be small.
pub const EXPECTED: &[Expected] = &[
    Expected {
        rule: "gd",
        parabola: (1.0, 1e-9),
        valley: (0.0032, 0.006),
        logistic: (10.0, 0.01),
        network: (0.3, 0.28),
        shrinking: &[Shrinking::first("gd", Floor::Proportional)],
    },
    Expected {
        rule: "sgd",
        parabola: (1.0, 1e-9),
        valley: (0.0032, 0.006),
        logistic: (3.0, 0.063),
        network: (0.3, 0.32),
        shrinking: &[Shrinking::first("sgd", Floor::Proportional)],
    },
    Expected {
        rule: "momentum",
        parabola: (0.56, 1e-9),
        valley: (0.0032, 1e-9),
        logistic: (0.3, 0.054),
        network: (0.1, 0.072),
        shrinking: &[Shrinking::first("momentum", Floor::Proportional)],
    },
    Expected {
        rule: "nesterov",
        parabola: (0.32, 1e-9),
        valley: (0.001, 2e-6),
        logistic: (1.0, 0.01),
        network: (0.1, 0.032),
        shrinking: &[Shrinking::first("nesterov", Floor::Proportional)],
    },
    Expected {
        rule: "noisy-sgd",
        parabola: (0.32, 2e-4),
        valley: (0.0032, 0.01),
        logistic: (1.0, 0.27),
        network: (0.3, 0.36),
        shrinking: &[Shrinking::first("noisy-sgd:eta=0", Floor::Proportional)],
    },
    Expected {
        rule: "normalized-gd",
        parabola: (10.0, 1e-9),
        valley: (0.01, 0.003),
        logistic: (10.0, 0.015),
        network: (1.0, 0.18),
        // g/√(1 + g²) is half of 1 at 1/√3: all that is smaller is left as it is.
        shrinking: &[Shrinking::first("normalized-gd", Floor::HalvedAt(|| 1.0 / 3.0_f64.sqrt()))],
    },
    Expected {
        rule: "bold-driver",
        parabola: (0.1, 1e-9),
        valley: (0.001, 0.01),
        logistic: (0.1, 0.16),
        network: (0.1, 0.46),
        shrinking: &[Shrinking::first("bold-driver", Floor::Proportional)],
    },
    Expected {
        rule: "asgd",
        parabola: (0.56, 5e-7),
        valley: (0.0032, 0.006),
        logistic: (3.0, 0.06),
        network: (0.3, 0.34),
        shrinking: &[Shrinking::first("asgd", Floor::Proportional)],
    },
    Expected {
        rule: "rprop",
        parabola: (0.1, 1e-9),
        valley: (0.01, 2e-5),
        logistic: (0.0003, 0.01),
        network: (0.01, 0.01),
        shrinking: &[Shrinking::first("rprop", Floor::Absent)],
    },
    Expected {
        rule: "sign-sgd",
        parabola: (0.032, 1e-9),
        valley: (0.0018, 0.02),
        logistic: (0.01, 0.29),
        network: (0.01, 0.14),
        shrinking: &[Shrinking::first("sign-sgd", Floor::Absent)],
    },
    Expected {
        rule: "signum",
        parabola: (0.032, 1e-6),
        valley: (0.0056, 1e-5),
        logistic: (0.03, 0.01),
        network: (0.01, 0.013),
        shrinking: &[Shrinking::first("signum", Floor::Absent)],
    },
    Expected {
        rule: "adagrad",
        parabola: (3.2, 1e-9),
        valley: (1.8, 0.002),
        logistic: (1.0, 0.01),
        network: (0.03, 0.37),
        // g/(|g| + ε), as for Adam and its kin.
        shrinking: &[Shrinking::first("adagrad", Floor::HalvedAt(|| 1e-10))],
    },
    Expected {
        rule: "adadelta",
        parabola: (32.0, 1e-9),
        valley: (1.0, 0.002),
        logistic: (10.0, 0.17),
        network: (3.0, 0.21),
        // g/√(0.1·g² + ε) is half of 1/√0.1 where 0.3·g² = ε.
        shrinking: &[Shrinking::first("adadelta", Floor::HalvedAt(|| (1e-6 / 0.3_f64).sqrt()))],
    },
    Expected {
        rule: "rmsprop",
        parabola: (0.32, 1e-9),
        valley: (0.01, 0.001),
        logistic: (1.0, 0.01),
        network: (0.003, 0.38),
        // No correction: v = 0.01·g² at first; in the end v = g².
        shrinking: &[
            Shrinking::first("rmsprop", Floor::HalvedAt(|| 1e-7)),
            Shrinking { start: 0.0, step: 3000, ..Shrinking::first("rmsprop", Floor::HalvedAt(|| 1e-8)) },
        ],
    },
    Expected {
        rule: "adam",
        parabola: (1.0, 1e-9),
        valley: (0.32, 1e-9),
        logistic: (0.1, 0.016),
        network: (0.01, 0.11),
        shrinking: &[Shrinking::first("adam", Floor::HalvedAt(|| 1e-8))],
    },
    Expected {
        rule: "amsgrad",
        parabola: (1.8, 1e-9),
        valley: (0.56, 1e-9),
        logistic: (0.1, 0.016),
        network: (0.01, 0.11),
        shrinking: &[Shrinking::first("amsgrad", Floor::HalvedAt(|| 1e-8))],
    },
    Expected {
        rule: "adamax",
        parabola: (1.8, 1e-9),
        valley: (1.0, 1e-5),
        logistic: (0.1, 0.12),
        network: (0.03, 0.19),
        shrinking: &[Shrinking::first("adamax", Floor::HalvedAt(|| 1e-8))],
    },
    Expected {
        rule: "adamw",
        parabola: (0.56, 2e-5),
        valley: (0.1, 0.003),
        logistic: (0.1, 0.016),
        network: (0.01, 0.11),
        shrinking: &[Shrinking::first("adamw", Floor::HalvedAt(|| 1e-8))],
    },
    Expected {
        rule: "nadam",
        parabola: (1.0, 1e-9),
        valley: (0.056, 2e-4),
        logistic: (0.1, 0.02),
        network: (0.01, 0.11),
        shrinking: &[Shrinking::first("nadam", Floor::HalvedAt(|| 1e-8))],
    },
    Expected {
        rule: "radam",
        parabola: (0.56, 1e-9),
        valley: (0.0056, 0.6),
        logistic: (0.3, 0.066),
        network: (0.1, 0.061),
        // ε stands beside a mean square of (1 − 0.999⁶)·g², uncorrected, in the first rectified step.
        shrinking: &[
            Shrinking { start: 0.0, step: 5, ..Shrinking::first("radam", Floor::Proportional) },
            Shrinking {
                start: 0.0,
                step: 6,
                ..Shrinking::first("radam", Floor::HalvedAt(|| 1e-8 / (1.0 - 0.999_f64.powi(6)).sqrt()))
            },
        ],
    },
    Expected {
        rule: "adafactor",
        parabola: (0.56, 1e-9),
        valley: (0.056, 0.006),
        logistic: (1.0, 0.047),
        network: (0.1, 0.062),
        // g/max(|g|, ε), with the ε of f32: PyTorch's default where the parameters are f32.
        shrinking: &[Shrinking::first(
            "adafactor:eps1=1.1920928955078125e-7",
            Floor::HalvedAt(|| f64::from(f32::EPSILON) / 2.0),
        )],
    },
    Expected {
        rule: "lion",
        parabola: (0.1, 1e-7),
        valley: (0.01, 1e-9),
        logistic: (0.1, 0.01),
        network: (0.01, 0.01),
        shrinking: &[Shrinking::first("lion", Floor::Absent)],
    },
    Expected {
        rule: "lars",
        parabola: (3.2, 1e-9),
        valley: (3.2, 1e-9),
        logistic: (10.0, 0.3),
        network: (10.0, 0.2),
        // A ratio of norms, of a weight that is not 0.
        shrinking: &[Shrinking { start: 1.0, step: 1, ..Shrinking::first("lars", Floor::Absent) }],
    },
    Expected {
        rule: "lamb",
        parabola: (0.018, 1e-8),
        valley: (0.018, 2e-8),
        logistic: (0.1, 0.01),
        network: (0.03, 0.011),
        // As for lars.
        shrinking: &[Shrinking { start: 1.0, step: 1, ..Shrinking::first("lamb:lr=1", Floor::Absent) }],
    },
    Expected {
        rule: "muon",
        parabola: (0.1, 3e-9),
        valley: (0.0032, 1e-8),
        logistic: (0.3, 0.011),
        network: (0.1, 0.01),
        shrinking: &[Shrinking::first("muon", Floor::HalvedAt(muon_floor))],
    },
    Expected {
        rule: "lbfgs",
        parabola: (1.0, 1e-9),
        valley: (1.0, 1e-9),
        logistic: (1.0, 0.01),
        network: (1.0, 0.01),
        // The first direction is shortened to length 1 where it is longer.
        shrinking: &[Shrinking::first(
            "lbfgs:max_iter=1,strong_wolfe=false,tolerance_grad=0,tolerance_change=0",
            Floor::HalvedAt(|| 0.5),
        )],
    },
    Expected {
        rule: "schedule-free",
        parabola: (1.8, 1e-9),
        valley: (0.32, 0.002),
        logistic: (0.3, 0.01),
        network: (0.01, 0.099),
        shrinking: &[Shrinking::first("schedule-free", Floor::HalvedAt(|| 1e-8))],
    },
    Expected {
        rule: "schedule-free-sgd",
        parabola: (3.2, 1e-5),
        valley: (0.0056, 0.01),
        logistic: (3.0, 0.11),
        network: (1.0, 0.12),
        shrinking: &[Shrinking::first("schedule-free-sgd", Floor::Proportional)],
    },
    Expected {
        rule: "sam",
        parabola: (0.32, 1e-9),
        valley: (6e-4, 0.3),
        logistic: (0.3, 0.053),
        network: (0.1, 0.15),
        shrinking: &[Shrinking::first("sam", Floor::Proportional)],
    },
];

/// Bisects the exponent of the gradient at which a step is half of that of a gradient of 1e6.
pub fn halved_at(step: impl Fn(f64) -> f64) -> f64 {
    const LARGE: f64 = 1e6;
    let half = step(LARGE) / 2.0;
    let (mut low, mut high) = (-200.0_f64, LARGE.log10());
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if step(10.0_f64.powf(middle)) < half { low = middle } else { high = middle }
    }
    10.0_f64.powf(high)
}

/// Muon divides by the norm or ε, whichever is larger; its polynomial then enlarges what is small by up to
/// 3.4445⁵ = 485. In the first step the momentum makes 0.0975·g of g.
fn muon_floor() -> f64 {
    let polynomial = |x: f64| (0..5).fold(x, |x, _| 3.4445 * x - 4.775 * x.powi(3) + 2.0315 * x.powi(5));
    let factor = 0.05 + 0.95 * 0.05;
    halved_at(|g| polynomial((factor * g / 1e-7).min(1.0)))
}
