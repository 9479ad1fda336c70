//! The law of parts: a step over a batch in several parts is the step over the whole batch, for every rule.

#[allow(dead_code, reason = "of the subjects, only their list is of use here")]
mod subjects;

use backflow_optim::{Objective, Optimizer, RULES, WeightedMean};
use backflow_tensor::{DType, Gradients, Rng, Tensor};
use subjects::subjects;

/// The mean over rows of ½|y − t|² + ⅒ Σ softplus y with y = x·w + b: two parameters, and no parabola.
struct Rows {
    x: Tensor,
    t: Tensor,
    parts: usize,
}

type Model = Vec<Tensor>;

impl Rows {
    fn new(rows: usize, parts: usize) -> Self {
        let mut rng = Rng::seed_from_u64(4);
        let x = Tensor::randn([rows, 3], DType::F64, &mut rng);
        let t = Tensor::randn([rows, 2], DType::F64, &mut rng);
        Self { x, t, parts }
    }

    fn mean(&self, model: &Model, rows: std::ops::Range<usize>) -> Tensor {
        let [x, t] = [&self.x, &self.t].map(|all| all.slice(0, rows.clone()));
        let y = x.matmul(&model[0]) + &model[1];
        let distance = &y - &t;
        0.5 * distance.square().sum(-1).mean(..) + 0.1 * y.softplus().sum(-1).mean(..)
    }
}

impl Objective<Model> for Rows {
    fn evaluate(&mut self, model: &Model, wanted: &dyn Fn(f64) -> bool) -> (f64, Option<Gradients>) {
        let (n, size) = (self.x.shape()[0], self.x.shape()[0].div_ceil(self.parts));
        let mut mean = WeightedMean::new();
        for from in (0..n).step_by(size) {
            let rows = from..n.min(from + size);
            let loss = self.mean(model, rows.clone());
            let value = loss.item();
            mean.add(value, rows.len() as f64, wanted(value).then(|| loss.backward()));
        }
        mean.finish()
    }
}

fn start() -> Model {
    let mut rng = Rng::seed_from_u64(8);
    vec![
        Tensor::randn([3, 2], DType::F64, &mut rng).requires_grad(),
        Tensor::randn([2], DType::F64, &mut rng).requires_grad(),
    ]
}

fn numbers(model: &Model) -> Vec<f64> {
    model.iter().flat_map(|w| w.to_vec::<f64>()).collect()
}

/// Weights and losses after some steps in so many parts.
fn trained(
    spec: &str,
    parts: usize,
    step: impl Fn(&mut Optimizer, &mut Model, &mut Rows) -> f64,
) -> Vec<f64> {
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
    let (mut model, mut rows) = (start(), Rows::new(7, parts));
    let losses: Vec<f64> = (0..3).map(|_| step(&mut optimizer, &mut model, &mut rows)).collect();
    [numbers(&model), losses].concat()
}

fn by_parts(optimizer: &mut Optimizer, model: &mut Model, rows: &mut Rows) -> f64 {
    optimizer.step_on(model, rows).loss.unwrap()
}

/// Gradients of parts are rounded some ten times more, relative to Σ|gᵢ|/n, which is of size 1 here: by
/// 10⁻¹⁵. What rules do with that differs: most pass it on, an orthogonalisation or a line search through 25
/// evaluations may enlarge it some thousand times. A mean of means would be off by a tenth.
#[test]
fn parts_make_the_step_of_the_whole_for_every_rule() {
    assert!(RULES.iter().all(|rule| subjects().iter().any(|spec| spec == rule.name)));
    for spec in subjects() {
        let whole = trained(&spec, 1, by_parts);
        for parts in [2, 3, 4, 7] {
            for (found, expected) in trained(&spec, parts, by_parts).iter().zip(&whole) {
                assert!((found - expected).abs() <= 1e-11, "{spec} in {parts} parts: {found}, {expected}");
            }
        }
    }
}

#[test]
fn one_part_is_the_loss_as_one_tensor_to_the_bit() {
    for spec in subjects() {
        let as_tensor = trained(&spec, 1, |optimizer, model, rows| {
            optimizer.step_with(model, |model| rows.mean(model, 0..7)).loss.unwrap()
        });
        assert_eq!(trained(&spec, 1, by_parts), as_tensor, "{spec}");
    }
}

#[test]
fn what_has_no_term_counts_for_nothing_and_a_gradient_that_a_part_lacks_for_zero() {
    let (a, b) = (Tensor::from(2.0).requires_grad(), Tensor::from(3.0).requires_grad());
    let mut mean = WeightedMean::new();
    mean.add(f64::NAN, 0.0, None);
    mean.add(4.0, 2.0, Some((&a * &b).backward()));
    mean.add(f64::NAN, 0.0, None);
    mean.add(1.0, 2.0, Some((&a * 5.0).backward()));
    let (loss, gradients) = mean.finish();
    let gradients = gradients.unwrap();
    // (2·4 + 2·1)/4; d/da (2·b + 2·5)/4; d/db 2·a/4.
    assert_eq!((loss, gradients.of(&a).item(), gradients.of(&b).item()), (2.5, 4.0, 1.0));
    let (loss, gradients) = WeightedMean::new().finish();
    assert!(loss.is_nan() && gradients.is_none());
}

/// Weights are relative: sums do not leave the range of the gradients' type.
#[test]
fn large_gradients_of_many_terms_stay_finite() {
    let w = Tensor::from(1.0_f32).requires_grad();
    let mut mean = WeightedMean::new();
    for terms in [1e6, 1e6, 5e5] {
        mean.add(0.0, terms, Some((&w * 1e38).backward()));
    }
    let found = mean.finish().1.unwrap().of(&w).item();
    assert!((found / 1e38 - 1.0).abs() < 1e-6, "{found}");
}

#[test]
#[should_panic(expected = "WeightedMean::add: a weight is not a number of terms\n    weight  -1")]
fn weights_are_numbers_of_terms() {
    WeightedMean::new().add(0.0, -1.0, None);
}

#[test]
#[should_panic(expected = "step_on: the objective gives no gradients")]
fn gradients_that_are_wanted_must_come() {
    struct Silent;
    impl Objective<Model> for Silent {
        fn evaluate(&mut self, _: &Model, _: &dyn Fn(f64) -> bool) -> (f64, Option<Gradients>) {
            (1.0, None)
        }
    }
    let _ = Optimizer::from_spec("sgd", None).unwrap().step_on(&mut start(), &mut Silent);
}
