//! Laws of tasks, over a table of them: the built-in ones, and one of the test's own. What trains them is one
//! loop.

use backflow_data::{Batch, Dataset, Loader};
use backflow_nn::loss::{binary_cross_entropy_with_logits, mse_loss};
use backflow_nn::{Activation, Init, Layer, Linear, Module, Sequential};
use backflow_optim::{Optimizer, Plateau, Sgd};
use backflow_tensor::{DType, Rng, Tensor, keep};
use backflow_train::comparison::{Conditions, Contender, Outcome, Stopped};
use backflow_train::{
    Classification, Evaluation, Loss, Metric, NextToken, Reconstruction, Regression, Summary, Tally, Task,
    TaskError, TrainError, Trainer, evaluate,
};
use std::ops::ControlFlow;

// The derive names the facade, which this crate comes before.
extern crate backflow_tensor as backflow;

const EXAMPLES: usize = 23;

/// Weighted least squares: targets are pairs of a number and a weight, and terms are the sum of the weights.
struct Weighted;

impl Weighted {
    fn columns(batch: &Batch) -> [Tensor; 2] {
        [0, 1].map(|column| batch.targets.slice(1, column..column + 1))
    }
}

impl Task<Sequential> for Weighted {
    fn loss(&self, model: &Sequential, batch: &Batch) -> Loss {
        let [values, weights] = Self::columns(batch);
        let terms = weights.sum(..).item();
        Loss { mean: (weights * (model.forward(&batch.inputs) - values).square()).sum(..) / terms, terms }
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::error("weighted error"), Metric::score("heavy examples")]
    }

    fn measure(&self, model: &Sequential, batch: &Batch) -> (Loss, Vec<Tally>) {
        let [_, weights] = Self::columns(batch);
        let loss = self.loss(model, batch);
        let heavy = weights.to_f64_vec().into_iter().filter(|&weight| weight > 1.0).count() as f64;
        let tallies = vec![
            Tally::new(loss.mean.item() * loss.terms, loss.terms),
            Tally::new(heavy, batch.len() as f64),
        ];
        (loss, tallies)
    }
}

/// Scores of the next id from the present one: a row of a table.
#[derive(Clone, Debug, Module)]
struct Bigram {
    table: Tensor,
}

impl Layer for Bigram {
    fn forward(&self, ids: &Tensor) -> Tensor {
        let shape = ids.shape();
        let rows = self.table.index_select(0, &ids.reshape([ids.elements()]));
        rows.reshape([shape[0], shape[1], self.table.shape()[1]])
    }
}

struct Case {
    name: &'static str,
    task: Box<dyn Task<Sequential>>,
    data: Dataset,
    model: fn(&mut Rng) -> Sequential,
}

fn linear(inputs: usize, outputs: usize, rng: &mut Rng) -> Linear {
    Linear::with_init(inputs, outputs, Init::TorchLinear, 1.0, DType::F64, rng)
}

fn perceptron<const OUTPUTS: usize>(rng: &mut Rng) -> Sequential {
    Sequential::new().add(linear(3, 5, rng)).add(Activation::Tanh).add(linear(5, OUTPUTS, rng))
}

fn bigram(rng: &mut Rng) -> Sequential {
    Sequential::new().add(Bigram { table: Tensor::randn([4, 4], DType::F64, rng).requires_grad() })
}

fn ids(count: usize, classes: usize) -> Vec<i64> {
    (0..count).map(|i| ((i * i + i / 3) % classes) as i64).collect()
}

/// Every task, with data that its batches cut unevenly.
fn cases() -> Vec<Case> {
    let mut rng = Rng::seed_from_u64(5);
    let x = Tensor::randn([EXAMPLES, 3], DType::F64, &mut rng);
    let labels = Tensor::from_vec(ids(EXAMPLES, 4), [EXAMPLES]);
    let classes = Dataset::from_tensors(&x, &labels).with_classes(4);
    let steps = Tensor::randn([EXAMPLES, 5, 3], DType::F64, &mut rng);
    let lengths: Vec<usize> = (0..EXAMPLES).map(|i| 1 + i % 5).collect();
    let tags = Tensor::from_vec(ids(EXAMPLES * 5, 4), [EXAMPLES, 5]);
    let tagged = Dataset::from_tensors(&steps, &tags).with_classes(4).with_lengths(lengths.clone());
    let curve = Dataset::from_tensors(&steps, &steps.sin()).with_lengths(lengths.clone());
    let pairs = Tensor::cat(&[&x.slice(1, 0..1).sin(), &(x.slice(1, 1..2).square() + 0.1)], 1);
    let text = Dataset::unlabelled(&tags).with_classes(4);
    let case = |name, task: Box<dyn Task<Sequential>>, data: &Dataset, model| Case {
        name,
        task,
        data: data.clone(),
        model,
    };
    vec![
        case("classification", Box::new(Classification::new()), &classes, perceptron::<4>),
        case("one-hot mse", Box::new(Classification::one_hot(mse_loss)), &classes, perceptron::<4>),
        case(
            "one-hot bce",
            Box::new(Classification::one_hot(binary_cross_entropy_with_logits)),
            &classes,
            perceptron::<4>,
        ),
        case("tagging", Box::new(Classification::new()), &tagged, perceptron::<4>),
        case(
            "regression",
            Box::new(Regression::mse()),
            &Dataset::from_tensors(&x, &x.sin()),
            perceptron::<3>,
        ),
        case("regression of steps", Box::new(Regression::mse().each_step()), &curve, perceptron::<3>),
        case("reconstruction", Box::new(Reconstruction::mse()), &classes, perceptron::<3>),
        case("next token", Box::new(NextToken::new()), &text, bigram),
        case("next token, padded", Box::new(NextToken::new()), &text.clone().with_lengths(lengths), bigram),
        case("a task of one's own", Box::new(Weighted), &Dataset::from_tensors(&x, &pairs), perceptron::<1>),
    ]
}

fn model(case: &Case) -> Sequential {
    (case.model)(&mut Rng::seed_from_u64(9))
}

fn weights(model: &Sequential) -> Vec<f64> {
    model.state().iter().flat_map(|(_, tensor)| tensor.to_f64_vec()).collect()
}

/// Loss and metrics, in order.
fn figures(evaluation: &Evaluation) -> Vec<f64> {
    std::iter::once(evaluation.loss).chain(evaluation.metrics.iter().map(|(_, figure)| figure)).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{what}: {found} is not {expected}");
    }
}

/// A set's figures are sums over its terms: cut into batches they are added up in another order, whose error
/// is at most some 100 terms · 2⁻⁵³ of figures below 100.
#[test]
fn figures_do_not_depend_on_how_a_set_is_cut() {
    for case in cases() {
        let model = model(&case);
        let of = |size| figures(&evaluate(&*case.task, &model, &Loader::new(&case.data, size)).unwrap());
        let whole = of(EXAMPLES);
        assert!(whole.iter().all(|figure| figure.is_finite()), "{}: {whole:?}", case.name);
        for size in [1, 4, 7, 22] {
            assert_close(&of(size), &whole, 1e-12, &format!("{}, batches of {size}", case.name));
        }
    }
}

/// The loss of an epoch without updates is the loss of the set.
#[test]
fn the_training_loss_of_an_epoch_is_a_mean_over_its_terms() {
    for case in cases() {
        let train = Loader::new(&case.data, 7);
        let mut model = model(&case);
        let expected = evaluate(&*case.task, &model, &train).unwrap().loss;
        let mut optimizer = Optimizer::new(Sgd::new(0.0));
        let mut trainer = Trainer::with_task(&*case.task, &mut model, &mut optimizer);
        let summary = trainer.fit(&train, &train, 1, &mut ()).unwrap();
        assert_close(&[summary.epochs[0].train_loss], &[expected], 1e-12, case.name);
    }
}

/// Trained by a trainer, and under the conditions of a comparison.
fn trained(case: &Case, parts: usize) -> [(Vec<f64>, Evaluation); 2] {
    let train = Loader::new(&case.data, 7).shuffle(3);
    let mut by_trainer = model(case);
    let mut optimizer = Optimizer::from_spec("sgd:lr=0.1,momentum=0.9", None).unwrap();
    let mut trainer = Trainer::with_task(&*case.task, &mut by_trainer, &mut optimizer).accumulate(parts);
    let summary = trainer.fit(&train, &train, 4, &mut ()).unwrap();
    let last = &summary.epochs[3];
    let first = (weights(&by_trainer), Evaluation { loss: last.test_loss, metrics: last.metrics.clone() });

    let mut compared = model(case);
    let contender = Contender::new("sgd:lr=0.1,momentum=0.9").unwrap();
    let conditions = Conditions { accumulate: parts, dtype: DType::F64, ..Conditions::new(4, 7) };
    let on = &mut |_, _| ControlFlow::Continue(());
    let run = conditions.run(&*case.task, &contender, 3, &mut compared, &case.data, &case.data, on).unwrap();
    assert_eq!((run.outcome, run.steps), (Outcome::Finished, 16), "{}", case.name);
    let last = run.last().unwrap();
    let second = (weights(&compared), Evaluation { loss: last.test_loss, metrics: last.metrics.clone() });
    assert_eq!(run.metric, case.task.metrics().first().copied(), "{}", case.name);
    let start = run.curve[0].test_loss;
    assert!(last.test_loss < start, "{}: {start} → {}", case.name, last.test_loss);
    [first, second]
}

#[test]
fn trainer_and_comparison_are_one_loop_to_the_bit() {
    for case in cases() {
        let [by_trainer, compared] = trained(&case, 1);
        assert_eq!(by_trainer.0, compared.0, "{}", case.name);
        assert_close(&figures(&by_trainer.1), &figures(&compared.1), 1e-12, case.name);
    }
}

/// Batches of 7, the last of 2, in three parts of 2, 2 and 3, or one example each, with up to five terms per
/// example. Each step rounds gradients of size 1 some ten times more, by 2⁻⁵³; 16 steps of momentum at this
/// rate pass on less than 10⁴ of that.
#[test]
fn parts_of_a_batch_make_the_step_of_the_batch() {
    for case in cases() {
        let whole = trained(&case, 1);
        for parts in [2, 3, 5, 100] {
            for ((found, _), (expected, _)) in trained(&case, parts).iter().zip(&whole) {
                assert_close(found, expected, 1e-11, &format!("{} in {parts} parts", case.name));
            }
        }
    }
}

/// What lies behind the end of a sequence counts for nothing.
#[test]
fn padding_has_no_part_in_loss_and_metrics() {
    let clean = Tensor::from([[1_i64, 2, 3, 0, 0], [2, 1, 0, 0, 0], [3, 3, 1, 2, 0]]);
    let dirty = Tensor::from([[1_i64, 2, 3, 1, 2], [2, 1, 3, 3, 3], [3, 3, 1, 2, 1]]);
    let model = bigram(&mut Rng::seed_from_u64(1));
    let of = |ids: &Tensor| {
        let data = Dataset::unlabelled(ids).with_classes(4).with_lengths(vec![3, 2, 4]);
        figures(&evaluate(&NextToken::new(), &model, &Loader::new(&data, 2)).unwrap())
    };
    assert_eq!(of(&clean), of(&dirty));
    // Two, one and three pairs of neighbours: −ln softmax of the table's rows, by hand.
    let table = model.state()[0].1.log_softmax(-1).to_vec::<f64>();
    let pairs = [(1, 2), (2, 3), (2, 1), (3, 3), (3, 1), (1, 2)];
    let loss = -pairs.iter().map(|&(now, next)| table[now * 4 + next]).sum::<f64>() / 6.0;
    let found = of(&clean);
    assert!(
        (found[0] - loss).abs() < 1e-14 && (found[2] - backflow_tensor::Float::exp(loss)).abs() < 1e-13,
        "{found:?}, {loss}"
    );
}

#[test]
fn metrics_are_what_their_names_say() {
    let (x, y) = (Tensor::from([[1.0], [2.0], [3.0]]), Tensor::from([[3.0], [2.0], [-1.0]]));
    let mut model = Sequential::new().add(linear(1, 1, &mut Rng::seed_from_u64(0)));
    let mut values = [1.0, 0.0].into_iter(); // y = x
    model.each_tensor_mut(&mut |_, w| {
        w.as_mut_slice::<f64>()[0] = values.next().unwrap();
    });
    let data = Loader::new(&Dataset::from_tensors(&x, &y), 2);
    let found = evaluate(&Regression::mse(), &model, &data).unwrap();
    // Errors −2, 0, 4.
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-14, "{found}");
    close(found.loss, 20.0 / 3.0);
    close(found.metrics["mae"], 2.0);
    close(found.metrics["rmse"], (20.0_f64 / 3.0).sqrt());
    // Targets are 5/3, 2/3 and −7/3 away from their mean.
    close(found.metrics["r2"], 1.0 - 20.0 / (78.0 / 9.0));
    let again = evaluate(&Reconstruction::mse(), &model, &data).unwrap();
    assert_eq!((again.loss, again.metrics["rmse"], again.metrics["r2"]), (0.0, 0.0, 1.0));
}

/// R² by its definition, each place of the targets with a mean of its own, however the data are cut into batches and however
/// far from 0 they lie.
#[test]
fn the_explained_share_of_the_variance_does_not_depend_on_batches() {
    let mut rng = Rng::seed_from_u64(2);
    for (far, columns) in [(0.0, 1), (1e6, 1), (-3e4, 3)] {
        let x = Tensor::randn([50, columns], DType::F64, &mut rng);
        let y = &x * 2.0 + Tensor::randn([50, columns], DType::F64, &mut rng) + far;
        let data = Dataset::from_tensors(&(&x * 2.0 + far), &y);
        let (outputs, targets) = ((&x * 2.0 + far).to_vec::<f64>(), y.to_vec::<f64>());
        let squares = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let means: Vec<f64> =
            (0..columns).map(|nth| targets.iter().skip(nth).step_by(columns).sum::<f64>() / 50.0).collect();
        let means: Vec<f64> = (0..50).flat_map(|_| means.clone()).collect();
        let expected = 1.0 - squares(&outputs, &targets) / squares(&means, &targets);
        for batch in [1, 7, 50] {
            // What it makes of its inputs is these.
            let model = Sequential::new();
            let found = evaluate(&Regression::mse(), &model, &Loader::new(&data, batch)).unwrap();
            let error = (found.metrics["r2"] - expected).abs();
            assert!(error < 1e-9, "{} for {expected} in batches of {batch}", found.metrics["r2"]);
        }
    }
    // Of targets that are all the same there is no variance to explain.
    let same = Dataset::from_tensors(&Tensor::from([[1.0], [2.0]]), &Tensor::from([[3.0], [3.0]]));
    let found = evaluate(&Regression::mse(), &Sequential::new(), &Loader::new(&same, 1)).unwrap();
    assert!(found.metrics["r2"].is_nan());
}

/// What is held out is evaluated as the test set is, and the training does not listen to it.
#[test]
fn held_out_examples_are_evaluated_after_each_epoch_and_change_nothing() {
    let train = |held_out: bool| {
        let mut rng = Rng::seed_from_u64(3);
        let x = Tensor::randn([24, 2], DType::F64, &mut rng);
        let data = Dataset::from_tensors(&x, &x.sum(keep(1)));
        let part = |indices: std::ops::Range<usize>| data.subset(&indices.collect::<Vec<_>>());
        let [learned, validation, test] =
            [part(0..12), part(12..20), part(20..24)].map(|set| Loader::new(&set, 4));
        let mut model = Sequential::new().add(linear(2, 1, &mut rng));
        let mut optimizer = Optimizer::new(Sgd::new(0.1)).schedule(Plateau::default());
        let task = Regression::mse();
        let trainer = Trainer::with_task(&task, &mut model, &mut optimizer);
        let mut trainer = if held_out { trainer.validate(&validation) } else { trainer };
        let summary = trainer.fit(&learned, &test, 3, &mut ()).unwrap();
        let last = evaluate(&task, &model, &validation).unwrap();
        (summary, model.state()[0].1.to_vec::<f64>(), last)
    };
    let ((plain, weights, _), (watched, same, last)) = (train(false), train(true));
    assert_eq!(weights, same);
    assert_eq!(watched.epochs[2].validation, Some(last.clone()));
    assert!(plain.epochs.iter().all(|epoch| epoch.validation.is_none()));
    let losses = |summary: &Summary| summary.epochs.iter().map(|epoch| epoch.test_loss).collect::<Vec<_>>();
    assert_eq!(losses(&plain), losses(&watched));
    let written = serde_json::to_value(&watched.epochs[2]).unwrap();
    assert_eq!(
        (&written["validation_loss"], &written["validation_r2"]),
        (&last.loss.into(), &last.metrics["r2"].into())
    );
    assert!(!serde_json::to_string(&plain.epochs[0]).unwrap().contains("validation"));
}

#[test]
fn data_that_a_task_is_not_for_are_refused_before_anything_is_computed() {
    let (x, words) = (Tensor::ones([6, 3], DType::F64), Tensor::from_vec(ids(12, 4), [6, 2]));
    let labels = Dataset::from_tensors(&x, &Tensor::from_vec(ids(6, 4), [6]));
    let numbers = Dataset::from_tensors(&x, &x);
    let text = Dataset::unlabelled(&words);
    let one_id = Dataset::unlabelled(&words.slice(1, 0..1)).with_classes(4);
    let refused: [(Box<dyn Task<Sequential>>, &Dataset, &str); 7] = [
        (Box::new(Classification::new()), &labels, "classification needs a class per example"),
        (
            Box::new(Classification::new()),
            &numbers,
            "the data set is Dataset(6 examples, inputs [3] f64, targets [3] f64)",
        ),
        (Box::new(Classification::new()), &text, "classification needs"),
        (Box::new(Regression::mse()), &labels, "regression needs targets of floating-point numbers"),
        (Box::new(Regression::mse()), &text, "no targets"),
        (Box::new(Reconstruction::mse()), &text, "reconstruction needs inputs of floating-point numbers"),
        (Box::new(NextToken::new()), &one_id, "at least two class ids"),
    ];
    for (task, data, part) in refused {
        let loader = Loader::new(data, 2);
        let mut model = perceptron::<4>(&mut Rng::seed_from_u64(0));
        let error = evaluate(&*task, &model, &loader).unwrap_err();
        assert!(matches!(error, TaskError::Data { .. }) && error.to_string().contains(part), "{error}");
        let mut optimizer = Optimizer::new(Sgd::new(0.1));
        let result = Trainer::with_task(&*task, &mut model, &mut optimizer).fit(&loader, &loader, 1, &mut ());
        assert!(matches!(result, Err(TrainError::Task(ref same)) if *same == error), "{result:?}");
        let contender = Contender::new("adam").unwrap();
        let on = &mut |_, _| ControlFlow::Continue(());
        let result = Conditions::new(1, 2).run(&*task, &contender, 0, &mut model, data, data, on);
        assert_eq!(result, Err(Stopped::Task(error)));
    }
}

/// No batch gives no result: neither to train on nor to test on.
#[test]
fn a_loader_without_a_batch_is_an_error() {
    let Case { task, data, .. } = &cases()[0];
    let full = Loader::new(data, 7);
    let none = Loader::new(&data.first(0), 7);
    let dropped = Loader::new(data, EXAMPLES + 1).drop_last(true);
    for (train, test, part) in [
        (&none, &full, "no batch to train on: 0 examples in batches of 7"),
        (
            &dropped,
            &full,
            "no batch to train on: 23 examples in batches of 24, the smaller last one left out",
        ),
        (&full, &none, "no batch to evaluate on: 0 examples"),
        (&full, &dropped, "no batch to evaluate on: 23 examples"),
    ] {
        let mut model = model(&cases()[0]);
        let before = weights(&model);
        let mut optimizer = Optimizer::new(Sgd::new(0.1));
        let result = Trainer::with_task(&**task, &mut model, &mut optimizer).fit(train, test, 1, &mut ());
        let error = result.unwrap_err();
        assert!(matches!(error, TrainError::Task(TaskError::NoBatch { .. })), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(weights(&model), before);
    }
    let run = |conditions: &Conditions, train: &Dataset, test: &Dataset| {
        let contender = Contender::new("adam").unwrap();
        let on = &mut |_, _| ControlFlow::Continue(());
        conditions.run(&**task, &contender, 0, &mut model(&cases()[0]), train, test, on).unwrap_err()
    };
    let conditions = Conditions { dtype: DType::F64, ..Conditions::new(1, 7) };
    for (train, test) in [(&data.first(0), data), (data, &data.first(0))] {
        let error = run(&conditions, train, test);
        assert!(matches!(error, Stopped::Task(TaskError::NoBatch { .. })), "{error}");
    }
    let error = run(&Conditions { batch_size: 0, ..conditions }, data, data);
    assert_eq!(error, Stopped::Task(TaskError::EmptyBatches));
}

#[test]
fn a_batch_without_a_term_is_an_error() {
    let short =
        Dataset::unlabelled(&Tensor::from([[1_i64, 2], [3, 0]])).with_classes(4).with_lengths(vec![1, 1]);
    let (loader, mut model) = (Loader::new(&short, 2), bigram(&mut Rng::seed_from_u64(0)));
    let mut optimizer = Optimizer::new(Sgd::new(0.1));
    let task = NextToken::new();
    for parts in [1, 2] {
        let mut trainer = Trainer::with_task(&task, &mut model, &mut optimizer).accumulate(parts);
        let error = trainer.fit(&loader, &loader, 1, &mut ()).unwrap_err();
        assert!(matches!(error, TrainError::Task(TaskError::NoTerms { step: 1 })), "{error}");
    }
}

/// In files a metric has the name of its set before it, and the order stays.
#[test]
fn records_carry_metrics_by_name() {
    let Case { task, data, .. } = &cases()[7];
    let train = Loader::new(data, 7);
    let (mut model, mut optimizer) = (model(&cases()[7]), Optimizer::new(Sgd::new(0.1)));
    let mut trainer = Trainer::with_task(&**task, &mut model, &mut optimizer);
    let summary = trainer.fit(&train, &train, 1, &mut ()).unwrap();
    let json = serde_json::to_string(&summary.epochs[0]).unwrap();
    let keys: Vec<&str> = json.split('"').skip(1).step_by(2).collect();
    assert_eq!(keys, ["epoch", "train_loss", "test_loss", "test_accuracy", "test_perplexity"]);
}
