//! The graph: how deep and wide it can be, what it keeps, what it computes, and that all of it goes away.
//!
//! The counters of [`census`] are the process's, so every test here holds one lock.

use backflow_tensor::catalogue::CATALOGUE;
use backflow_tensor::{Census, DType, Gradients, Rng, Tensor, census, grad, no_grad};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was made and what is held since `before`.
fn since(before: Census) -> Census {
    let now = census();
    Census {
        live_buffers: now.live_buffers - before.live_buffers,
        live_bytes: now.live_bytes - before.live_bytes,
        live_nodes: now.live_nodes - before.live_nodes,
        buffers_made: now.buffers_made - before.buffers_made,
        nodes_made: now.nodes_made - before.nodes_made,
    }
}

/// Asserts that nothing made since `before` is still held.
#[track_caller]
fn assert_nothing_left(before: Census) {
    let left = since(before);
    assert_eq!(
        (left.live_buffers, left.live_bytes, left.live_nodes),
        (0, 0, 0),
        "something is still held: {left:?}"
    );
}

/// Runs `f` on a stack of 512 KiB: anything that recurses along the graph overflows it.
fn on_a_small_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(512 << 10);
        thread.spawn_scoped(scope, f).expect("a thread").join().expect("it survives")
    })
}

fn timed(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

/// x + 1 + 1 + … : n nodes one after the other.
fn chain(n: usize) {
    let x = Tensor::from(0.5).requires_grad();
    let mut y = &x * 1.0;
    for _ in 0..n {
        y += 1.0;
    }
    let grads = y.backward();
    assert_eq!(y.item(), 0.5 + n as f64);
    assert_eq!(grads.of(&x).item(), 1.0);
}

#[test]
fn a_chain_of_a_million_ops_needs_no_deep_stack_and_linear_time() {
    let _alone = alone();
    let before = census();
    on_a_small_stack(|| {
        chain(1_000);
        let short = timed(|| chain(100_000));
        let long = timed(|| chain(1_000_000));
        // Ten times the work, at least twice the room for noise; quadratic growth would be a hundred times.
        assert!(long < 30 * short, "100,000 ops take {short:?}, 1,000,000 take {long:?}");
    });
    assert_nothing_left(before);
}

#[test]
fn a_graph_dropped_without_a_backward_needs_no_deep_stack() {
    let _alone = alone();
    let before = census();
    on_a_small_stack(|| {
        // `mul` keeps its inputs, so there are two ways to each node: as an operand and as a kept tensor.
        let x = Tensor::from(1.0).requires_grad();
        let mut y = x.clone();
        for _ in 0..300_000 {
            y = &y * &x;
        }
        assert_eq!(since(before).live_nodes, 300_001);
    });
    assert_nothing_left(before);
}

#[test]
fn a_leaf_is_one_node_however_often_it_is_held() {
    let _alone = alone();
    let before = census();
    let w = Tensor::from(1.0).requires_grad();
    let alias = w.clone();
    assert_eq!(since(before).live_nodes, 1);
    let y = &w * &alias;
    assert_eq!(since(before).live_nodes, 2);
    drop((w, alias));
    // The graph still knows the leaf.
    assert_eq!((since(before).live_nodes, y.history().len()), (2, 2));
    drop(y);
    assert_nothing_left(before);
}

#[test]
fn a_graph_full_of_shortcuts_is_swept_once_per_node() {
    let _alone = alone();
    let before = census();
    on_a_small_stack(|| {
        // yₙ = (yₙ₋₁ + yₙ₋₂) / 2: the number of paths grows like Fibonacci's numbers, the number of nodes
        // does not.
        let x = Tensor::from(1.0).requires_grad();
        let (mut older, mut newer) = (&x * 1.0, &x * 1.0);
        for _ in 0..100_000 {
            let next = (&newer + &older) * 0.5;
            older = std::mem::replace(&mut newer, next);
        }
        assert_eq!(since(before).live_nodes, 200_003);
        let grads = newer.backward();
        // Every weight is a power of two, so the sum of all paths is exact.
        assert_eq!(grads.of(&x).item(), 1.0);
    });
    assert_nothing_left(before);
}

#[test]
fn one_tensor_used_a_hundred_thousand_times() {
    let _alone = alone();
    let before = census();
    on_a_small_stack(|| {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let mut y = Tensor::from([0.0, 0.0]);
        for _ in 0..100_000 {
            y += &x;
        }
        assert_eq!(y.sum(..).backward().of(&x).to_vec::<f64>(), [1e5, 1e5]);
    });
    assert_nothing_left(before);
}

#[test]
fn a_released_graph_says_so_and_a_retained_one_goes_on() {
    let _alone = alone();
    let before = census();
    {
        let x = Tensor::from([1.0, 3.0]).requires_grad();
        let y = (&x * &x).sum(..);
        let first = y.differentiate().retain_graph().run();
        let second = y.backward();
        assert_eq!(first.of(&x).to_vec::<f64>(), [2.0, 6.0]);
        assert_eq!(second.of(&x).to_vec::<f64>(), [2.0, 6.0]);
        let third = catch_unwind(AssertUnwindSafe(|| y.backward()));
        let message = *third.expect_err("released").downcast::<String>().expect("a message");
        assert!(message.starts_with("backward: this graph was already used and released"), "{message}");
    }
    assert_nothing_left(before);
}

/// An optimizer that updates in place must not find its parameters shared with a graph that is done.
#[test]
fn backward_lets_go_of_the_parameters_while_the_loss_is_held() {
    let _alone = alone();
    let mut w = Tensor::ones([64, 64], DType::F32).requires_grad();
    let x = Tensor::ones([8, 64], DType::F32);
    let loss = x.matmul(&w.t()).tanh().sum(..);
    let before = census();
    w.as_mut_slice::<f32>()[0] = 2.0;
    assert_eq!(since(before).buffers_made, 1, "the graph still needs the old elements: copy on write");

    let loss_again = x.matmul(&w.t()).tanh().sum(..);
    let grads = loss_again.backward();
    let before = census();
    w.as_mut_slice::<f32>()[0] = 3.0;
    assert_eq!(since(before).buffers_made, 0, "nobody else needs them: in place");
    // What was kept for the first loss is what it was computed from.
    assert!(loss.backward().get(&w).is_some() && grads.get(&w).is_some());
}

#[test]
fn third_derivatives() {
    let _alone = alone();
    let x = Tensor::from([2.0, -1.0]).requires_grad();
    let y = &(&x * &x) * &(&x * &x);
    let dy = grad(&y.sum(..), &[&x]).remove(0);
    let ddy = grad(&dy.sum(..), &[&x]).remove(0);
    let dddy = grad(&ddy.sum(..), &[&x]).remove(0);
    let dddd = grad(&dddy.sum(..), &[&x]).remove(0);
    assert_eq!(dy.to_vec::<f64>(), [32.0, -4.0]);
    assert_eq!(ddy.to_vec::<f64>(), [48.0, 12.0]);
    assert_eq!(dddy.to_vec::<f64>(), [48.0, -24.0]);
    assert_eq!(dddd.to_vec::<f64>(), [24.0, 24.0]);
}

/// Keeping the output or the inputs of one's own gradient would be a cycle of owners.
#[test]
fn recorded_passes_leave_no_cycles() {
    let _alone = alone();
    let before = census();
    for _ in 0..100 {
        let x = Tensor::from([0.3, -0.7]).requires_grad();
        let y = x.tanh();
        let dy = grad(&(&y * &y).sum(..), &[&x]).remove(0);
        let ddy = grad(&dy.sum(..), &[&x]).remove(0);
        let _ = ddy.sum(..).backward();
    }
    assert_nothing_left(before);
}

#[test]
fn gradients_of_results_in_the_middle() {
    let _alone = alone();
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let h = &x * 3.0;
    let y = (&h * &h).sum(..);
    let grads = y.differentiate().wrt(&[&h, &x]).run();
    assert_eq!(grads.of(&h).to_vec::<f64>(), [6.0, 12.0]);
    assert_eq!(grads.of(&x).to_vec::<f64>(), [18.0, 36.0]);
    assert_eq!(grads.len(), 2, "only what was asked for");
}

/// A target asked for twice is answered twice.
#[test]
fn grad_answers_every_entry_of_its_list() {
    let _alone = alone();
    let (x, unused) = (Tensor::from(3.0).requires_grad(), Tensor::from([1.0, 1.0]).requires_grad());
    let answers = grad(&(&x * &x), &[&x, &unused, &x]);
    assert_eq!(
        answers.iter().map(Tensor::to_f64_vec).collect::<Vec<_>>(),
        [vec![6.0], vec![0.0, 0.0], vec![6.0]]
    );
}

#[test]
fn targets_prune_the_pass() {
    let _alone = alone();
    let (x, w) = (
        Tensor::ones([32, 32], DType::F32).requires_grad(),
        Tensor::ones([32, 32], DType::F32).requires_grad(),
    );
    let mut deep = x.clone();
    for _ in 0..10 {
        deep = deep.softmax(1);
    }
    let y = (&deep * &w).sum(..);
    let buffers = |targets: &[&Tensor]| {
        let before = census();
        let _ = y.differentiate().wrt(targets).retain_graph().run();
        since(before).buffers_made
    };
    // By y: the seed. By w: one product more. By x: another product, and one buffer for each softmax on the
    // way.
    let seed = buffers(&[&y]);
    assert_eq!(buffers(&[&w]), seed + 1);
    assert_eq!(buffers(&[&w, &x]), seed + 1 + 1 + 10);
    assert_eq!(buffers(&[&deep]), seed + 1, "the way from there to x is not walked");
}

/// A gradient that nobody else holds is overwritten by what an elementwise op makes of it; one that is
/// reported is not.
#[test]
fn elementwise_backwards_take_no_new_buffer() {
    let _alone = alone();
    let x = Tensor::ones([32, 32], DType::F32).requires_grad();
    let (first, second) = (x.tanh(), x.tanh().sigmoid());
    let made = |y: &Tensor, targets: &[&Tensor]| {
        let y = (y * y).sum(..);
        let before = census();
        let gradients = y.differentiate().wrt(targets).retain_graph().run();
        (since(before).buffers_made, gradients)
    };
    let (short, _) = made(&first, &[&x]);
    let (long, expected) = made(&second, &[&x]);
    assert_eq!(short, long);
    let (reported, both) = made(&second, &[&second, &x]);
    assert_eq!(reported, long + 1);
    assert_eq!(both.of(&x).to_vec::<f32>(), expected.of(&x).to_vec::<f32>());
    let dy = &second * 2.0;
    assert_eq!(both.of(&second).to_vec::<f32>(), dy.to_vec::<f32>());
}

#[test]
fn the_gradient_of_the_input_batch_is_not_computed() {
    let _alone = alone();
    let mut rng = Rng::seed_from_u64(1);
    let weight = Tensor::randn([16, 32], DType::F32, &mut rng).requires_grad();
    let bias = Tensor::randn([16], DType::F32, &mut rng).requires_grad();
    let batch = Tensor::randn([8, 32], DType::F32, &mut rng);
    let cost = |x: &Tensor| {
        let loss = x.linear(&weight, &bias).sum(..);
        let before = census();
        let grads = loss.backward();
        assert_eq!(grads.get(x).is_some(), x.is_tracked());
        assert_eq!(grads.len(), 2 + usize::from(x.is_tracked()));
        since(before)
    };
    // The only difference is one buffer, and it has the size of the batch: 8 × 32 numbers of 4 bytes.
    let (wanted, unwanted) = (cost(&batch.clone().requires_grad()), cost(&batch));
    assert_eq!(wanted.buffers_made - unwanted.buffers_made, 1);

    // The same seen from the sizes of what a pass leaves behind.
    let held = |x: &Tensor| {
        let loss = x.linear(&weight, &bias).sum(..);
        let before = census();
        let grads = loss.backward();
        (since(before).live_bytes, grads)
    };
    let tracked = batch.clone().requires_grad();
    let ((with, _a), (without, _b)) = (held(&tracked), held(&batch));
    assert_eq!(with - without, 8 * 32 * 4);
}

#[test]
fn an_ordinary_pass_leaves_no_graph_in_its_gradients() {
    let _alone = alone();
    let before = census();
    {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let seed = Tensor::from([1.0, 1.0]).requires_grad();
        // Addition hands the seed on as it is.
        let grads = (&x + &x.detach()).differentiate().seed(&seed).run();
        assert!(!grads.of(&x).is_tracked(), "the pass was not recorded");
    }
    assert_nothing_left(before);
}

#[test]
fn nothing_is_recorded_without_need() {
    let _alone = alone();
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let constant = Tensor::from([3.0, 4.0]);
    let before = census();
    let y = no_grad(|| (&x * &x).tanh().sum(..));
    let z = (&constant * &constant).tanh().sum(..);
    assert_eq!(since(before).nodes_made, 0);
    assert!(!y.is_tracked() && !z.is_tracked());

    // Recording resumes, also after a panic.
    let _ = catch_unwind(|| no_grad(|| panic!("inside no_grad")));
    assert!((&x * 2.0).is_tracked());
}

/// One step of a small regression; the parameters are updated in place.
fn step(w: &mut Tensor, b: &mut Tensor, x: &Tensor, target: &Tensor) -> f64 {
    let error = x.linear(w, b).tanh() - target;
    let loss = (&error * &error).mean(..);
    let grads = loss.backward();
    for parameter in [w, b] {
        let gradient = grads.of(parameter).to_vec::<f32>();
        for (p, g) in parameter.as_mut_slice::<f32>().iter_mut().zip(gradient) {
            *p -= 0.1 * g;
        }
    }
    loss.item()
}

#[test]
fn ten_thousand_steps_of_training_leave_nothing_behind() {
    let _alone = alone();
    let mut rng = Rng::seed_from_u64(2);
    let mut w = Tensor::randn([4, 6], DType::F32, &mut rng).requires_grad();
    let mut b = Tensor::zeros([4], DType::F32).requires_grad();
    let x = Tensor::randn([8, 6], DType::F32, &mut rng);
    let target = Tensor::uniform([8, 4], -0.5, 0.5, DType::F32, &mut rng);
    let first = step(&mut w, &mut b, &x, &target);
    let before = census();
    let mut last = first;
    for _ in 0..10_000 {
        last = step(&mut w, &mut b, &x, &target);
    }
    assert_nothing_left(before);
    assert!(last < 0.5 * first, "it does train: {first} to {last}");
}

/// Evaluation by a program that forgot `no_grad`: each graph goes with its result.
#[test]
fn forward_passes_without_a_backward_leave_nothing_behind() {
    let _alone = alone();
    let w = Tensor::ones([4, 6], DType::F32).requires_grad();
    let x = Tensor::ones([8, 6], DType::F32);
    let before = census();
    for _ in 0..10_000 {
        let _ = x.matmul(&w.t()).tanh().sum(..).item();
    }
    assert_nothing_left(before);
}

/// Every op of the catalogue, differentiated plainly and with a recorded pass.
#[test]
fn no_op_leaves_anything_behind() {
    let _alone = alone();
    for sample in CATALOGUE.iter().flat_map(|op| op.samples()) {
        let xs: Vec<Tensor> = sample.inputs.iter().map(|x| x.detach().requires_grad()).collect();
        let before = census();
        {
            let y = (sample.run)(&xs);
            if y.is_tracked() {
                let targets: Vec<&Tensor> = xs.iter().collect();
                let u = y.ones_like();
                let recorded = y.differentiate().seed(&u).wrt(&targets).create_graph().run();
                let second = xs.iter().filter_map(|x| recorded.get(x)).find(|dx| dx.is_tracked());
                let _ = second.map(|dx| dx.differentiate().seed(&dx.ones_like()).run());
            }
        }
        let left = since(before);
        assert_eq!((left.live_bytes, left.live_nodes), (0, 0), "{}: {left:?}", sample.label);

        // With recording off nothing is recorded, whatever is tracked.
        let _ = no_grad(|| (sample.run)(&xs));
        assert_eq!(since(before).nodes_made - left.nodes_made, 0, "{}", sample.label);
    }
}

/// After a backward pass, a result that is still held costs its own elements: whatever the op kept has been
/// let go of.
#[test]
fn backward_lets_go_of_what_each_op_kept() {
    let _alone = alone();
    for sample in CATALOGUE.iter().filter(|op| op.orders > 0).flat_map(|op| op.samples()) {
        let xs: Vec<Tensor> = sample.inputs.iter().map(|x| x.detach().requires_grad()).collect();
        let before = census();
        let y = (sample.run)(&xs);
        let _ = y.differentiate().seed(&y.ones_like()).run();
        let (held, shape) = (since(before).live_bytes, y.shape());
        // Of two results in one buffer, as those of an LSTM, each holds both.
        let y = y.detach();
        let own = since(before).live_bytes;
        assert!(
            held == own && own <= 2 * y.elements() as u64 * 8,
            "{}: {shape} holds {held} bytes",
            sample.label
        );
    }
}

#[test]
fn a_panic_inside_an_op_leaves_nothing_behind() {
    let _alone = alone();
    let x = Tensor::ones([4, 6], DType::F32).requires_grad();
    let before = census();
    for _ in 0..100 {
        let forward = catch_unwind(AssertUnwindSafe(|| {
            let h = (&x * &x).tanh();
            h.matmul(&x) // 6 columns by 4 rows
        }));
        let backward = catch_unwind(AssertUnwindSafe(|| {
            let y = (&x * &x).sum(..);
            let z = y.tanh() + &y;
            let _ = y.backward();
            z.backward() // reaches what the first pass released, with gradients waiting
        }));
        assert!(forward.is_err() && backward.is_err());
    }
    assert_nothing_left(before);
}

#[test]
fn a_graph_may_be_built_on_one_thread_and_differentiated_on_another() {
    let _alone = alone();
    const fn assert_send_and_sync<T: Send + Sync>() {}
    const { assert_send_and_sync::<Tensor>() };
    const { assert_send_and_sync::<Gradients>() };

    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let y = std::thread::scope(|s| s.spawn(|| (&x * &x).sum(..)).join().expect("it survives"));
    // Two passes at once over one graph: each sees all of it.
    let [first, second] = std::thread::scope(|s| {
        let passes = [(); 2].map(|()| s.spawn(|| y.differentiate().retain_graph().run()));
        passes.map(|pass| pass.join().expect("it survives"))
    });
    for grads in [first, second, y.backward()] {
        assert_eq!(grads.of(&x).to_vec::<f64>(), [2.0, 4.0]);
    }
}
