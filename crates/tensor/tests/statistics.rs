//! Laws of running statistics: what a forward learns comes out with its gradients, in its order, once, and by
//! no other way.

use backflow_tensor::{
    DType, Gradients, LayerId, Module, Path, Rng, Statistic, StatisticMeans, Tensor, Visitor, VisitorMut,
    collect_statistics, grad, hvp, no_grad, training,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Takes the mean of its batch off, and keeps a running one.
struct Centre {
    mean: Tensor,
    batches: Tensor,
    bias: Tensor,
    momentum: Option<f64>,
    layer: LayerId,
}

impl Centre {
    fn new(dtype: DType, momentum: Option<f64>) -> Self {
        Self {
            mean: Tensor::from([0.25, -1.0]).to_dtype(dtype).buffer(),
            batches: Tensor::from(0_i64).buffer(),
            bias: Tensor::zeros([2], dtype).requires_grad(),
            momentum,
            layer: LayerId::new(),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let by_batch = || {
            let mean = x.mean(0);
            let average = match self.momentum {
                Some(momentum) => Statistic::moving_average(&self.mean, &mean, momentum),
                None => Statistic::cumulative_average(&self.mean, &mean, &self.batches),
            };
            (x - &mean + &self.bias).with_statistics([Statistic::count(&self.batches), average])
        };
        self.layer.by_mode("centre", by_batch, || x - &self.mean + &self.bias)
    }

    fn loss(&self, x: &Tensor) -> Tensor {
        training(&Rng::seed_from_u64(0), || self.forward(x).square().sum(..))
    }

    fn state_bits(&self) -> (Vec<u64>, i64) {
        (self.mean.to_f64_vec().iter().map(|x| x.to_bits()).collect(), self.batches.item() as i64)
    }
}

impl Module for Centre {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        path.inside("mean", |path| self.mean.visit(path, visitor));
        path.inside("batches", |path| self.batches.visit(path, visitor));
        path.inside("bias", |path| self.bias.visit(path, visitor));
        path.inside("layer", |path| self.layer.visit(path, visitor));
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        path.inside("mean", |path| self.mean.visit_mut(path, visitor));
        path.inside("batches", |path| self.batches.visit_mut(path, visitor));
        path.inside("bias", |path| self.bias.visit_mut(path, visitor));
    }
}

/// What PyTorch's forward makes of the running mean, batch after batch, in `f64` and rounded each time.
fn as_pytorch(layer: &Centre, batches: &[Tensor]) -> (Vec<u64>, i64) {
    let (mut mean, mut count) = (layer.mean.to_f64_vec(), layer.batches.item() as i64);
    for batch in batches {
        count += 1;
        let momentum = layer.momentum.unwrap_or(1.0 / count as f64);
        for (r, x) in mean.iter_mut().zip(batch.mean(0).to_f64_vec()) {
            *r = momentum * x + (1.0 - momentum) * *r;
            if layer.mean.dtype() == DType::F32 {
                *r = f64::from(*r as f32);
            }
        }
    }
    (mean.iter().map(|x| x.to_bits()).collect(), count)
}

fn batch(number: u64, dtype: DType) -> Tensor {
    Tensor::randn([7, 2], dtype, &mut Rng::seed_from_u64(number))
}

fn kinds() -> impl Iterator<Item = (DType, Option<f64>)> {
    [DType::F32, DType::F64]
        .into_iter()
        .flat_map(|dtype| [Some(0.1), Some(0.0), Some(1.0), None].map(|m| (dtype, m)))
}

#[test]
fn micro_batches_are_folded_one_after_another_as_pytorch_does_in_its_forward() {
    for (dtype, momentum) in kinds() {
        for micro_batches in 1..=30 {
            let mut layer = Centre::new(dtype, momentum);
            let batches: Vec<Tensor> = (0..micro_batches).map(|number| batch(number, dtype)).collect();
            let expected = as_pytorch(&layer, &batches);
            let mut sum = Gradients::new();
            for x in &batches {
                sum.accumulate(layer.loss(x).backward());
            }
            assert_eq!(sum.statistics().count() as u64, 2 * micro_batches);
            sum.fold_statistics(&mut layer);
            assert_eq!(layer.state_bits(), expected, "{dtype} {momentum:?} {micro_batches}");
        }
    }
}

#[test]
fn of_two_uses_in_one_pass_the_first_comes_first_whichever_way_the_sweep_goes() {
    let (x, y) = (batch(1, DType::F64), batch(2, DType::F64));
    for (dtype, momentum) in kinds().filter(|(dtype, _)| *dtype == DType::F64) {
        // One after the other in depth, and side by side.
        for deep in [true, false] {
            let mut layer = Centre::new(dtype, momentum);
            let seen = if deep { &(&x - x.mean(0)) * &y } else { y.clone() };
            let expected = as_pytorch(&layer, &[x.clone(), seen]);
            let loss = training(&Rng::seed_from_u64(0), || {
                let first = layer.forward(&x);
                let second = layer.forward(&if deep { &first * &y } else { y.clone() });
                (second * &first + first).square().sum(..)
            });
            loss.backward().fold_statistics(&mut layer);
            assert_eq!(layer.state_bits(), expected, "{momentum:?} deep {deep}");
        }
    }
}

#[test]
fn a_forward_counts_once_however_often_one_goes_back_through_it() {
    let mut layer = Centre::new(DType::F64, Some(0.1));
    let x = batch(1, DType::F64);
    let expected = as_pytorch(&layer, std::slice::from_ref(&x));
    let y = training(&Rng::seed_from_u64(0), || layer.forward(&x));
    let mut sum = y.square().sum(..).differentiate().retain_graph().run();
    sum.accumulate(y.sum(..).backward());
    sum.fold_statistics(&mut layer);
    assert_eq!(layer.state_bits(), expected);

    // A penalty on gradients goes back twice, too.
    let mut layer = Centre::new(DType::F64, Some(0.1));
    let loss = layer.loss(&x);
    let slope = grad(&loss, &[&layer.bias]).remove(0);
    (loss + slope.square().sum(..)).backward().fold_statistics(&mut layer);
    assert_eq!(layer.state_bits(), expected);
}

#[test]
fn statistics_are_learnt_also_where_nothing_of_the_layer_is_trained() {
    let x = batch(1, DType::F64);
    let mut layer = Centre::new(DType::F64, Some(0.1));
    layer.freeze();
    assert!(layer.mean.is_buffer() && layer.batches.is_buffer() && !layer.bias.is_tracked());
    let expected = as_pytorch(&layer, std::slice::from_ref(&x));
    let scale = Tensor::from(2.0).requires_grad();
    let loss = training(&Rng::seed_from_u64(0), || (layer.forward(&x) * &scale).square().sum(..));
    let gradients = loss.backward();
    assert_eq!(gradients.len(), 1);
    gradients.fold_statistics(&mut layer);
    assert_eq!(layer.state_bits(), expected);
}

#[test]
fn looking_moves_nothing() {
    let x = batch(1, DType::F64);
    let mut layer = Centre::new(DType::F64, Some(0.1));
    let before = layer.state_bits();
    let w = layer.bias.clone();
    let learnt = |gradients: &Gradients| gradients.statistics().count();
    assert_eq!(learnt(&layer.loss(&x).differentiate().wrt(&[&w]).run()), 0);
    assert_eq!(learnt(&layer.loss(&x).differentiate().wrt(&[&w]).create_graph().run()), 0);
    let tracked = x.clone().requires_grad();
    let along = training(&Rng::seed_from_u64(0), || {
        // The mean goes, so that what moves all elements alike moves nothing.
        hvp(|x| layer.forward(x).square().sum(..), &tracked, &Tensor::ones(x.shape(), DType::F64))
    });
    assert!(along.to_vec::<f64>().iter().all(|x| x.abs() < 1e-12));
    let untracked = no_grad(|| layer.loss(&x));
    assert!(!untracked.is_tracked());
    let detached = (training(&Rng::seed_from_u64(0), || layer.forward(&x)).detach() * &w).sum(..).backward();
    assert_eq!(learnt(&detached), 0);
    assert_eq!(learnt(&(layer.forward(&x) * &w).sum(..).backward()), 0, "outside training");
    detached.fold_statistics(&mut layer);
    assert_eq!(layer.state_bits(), before);
}

#[test]
fn buffers_that_the_model_does_not_hold_are_left_alone() {
    let (mut one, mut other) = (Centre::new(DType::F64, Some(0.1)), Centre::new(DType::F64, None));
    let x = batch(1, DType::F64);
    let (before, expected) = (other.state_bits(), as_pytorch(&one, std::slice::from_ref(&x)));
    let loss = training(&Rng::seed_from_u64(0), || (one.forward(&x) * other.forward(&x)).sum(..));
    let gradients = loss.backward();
    gradients.fold_statistics(&mut one);
    assert_eq!((one.state_bits(), other.state_bits()), (expected, before));
    gradients.fold_statistics(&mut other);
    assert_eq!(other.batches.item(), 1.0);
}

#[test]
fn a_buffer_is_part_of_the_state_and_no_parameter() {
    let layer = Centre::new(DType::F64, None);
    let paths = |list: Vec<(String, Tensor)>| list.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(paths(layer.state()), ["mean", "batches", "bias"]);
    assert_eq!(paths(layer.parameters()), ["bias"]);
    let handle = layer.mean.clone();
    assert!(handle.is_buffer() && !handle.is_leaf() && !handle.is_tracked() && handle.id().is_none());
    assert!(!handle.detach().is_buffer() && handle.clone().requires_grad().is_leaf());
    assert!(!(&handle + 1.0).is_tracked() && !handle.unsqueeze(0).is_tracked());
    assert_eq!(handle.history(), []);
    assert!(format!("{handle}").ends_with("[2] f64 buffer"), "{handle}");
    // A result does not find its way back to a buffer, nor does a gradient.
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    let y = (&w * &handle).sum(..);
    assert_eq!(y.history().iter().map(|step| step.op.name).collect::<Vec<_>>(), ["sum", "mul", "leaf"]);
    let gradients = y.backward();
    assert_eq!((gradients.len(), gradients.get(&handle).is_none()), (1, true));
    assert_eq!(gradients.of(&w).to_vec::<f64>(), [0.25, -1.0]);
}

#[test]
fn collected_statistics_come_out_beside_the_result_and_by_no_other_way() {
    let x = batch(1, DType::F64);
    let layer = Centre::new(DType::F64, None);
    let (loss, statistics) = collect_statistics(|| layer.loss(&x));
    assert_eq!((statistics.len(), loss.backward().statistics().count()), (2, 0));
    assert_eq!(statistics[1].value().to_vec::<f64>(), x.mean(0).to_vec::<f64>());
    let (_, statistics) = collect_statistics(|| no_grad(|| (layer.loss(&x), layer.loss(&x))));
    assert_eq!(statistics.len(), 4);
    assert!(catch_unwind(AssertUnwindSafe(|| collect_statistics(|| panic!("while collecting")))).is_err());
    assert_eq!(layer.loss(&x).backward().statistics().count(), 2);
}

#[test]
fn means_are_over_all_forwards_whatever_the_momentum_and_whatever_was_there() {
    let batches: Vec<Tensor> = (0..5).map(|number| batch(number, DType::F64)).collect();
    let expected = as_pytorch(&Centre::new(DType::F64, None), &batches);
    for momentum in [None, Some(0.1)] {
        let mut layer = Centre::new(DType::F64, momentum);
        layer.mean = Tensor::from([f64::NAN, 9.0]).buffer();
        layer.batches = Tensor::from(99_i64).buffer();
        let mut means = StatisticMeans::new();
        for x in &batches {
            let (_, statistics) = collect_statistics(|| no_grad(|| layer.loss(x)));
            means.take_in(&mut layer, &statistics);
        }
        assert_eq!(layer.state_bits(), expected, "{momentum:?}");
    }
}
