//! Segments that are computed again on the way back: the same bits, less memory, and nothing that is
//! overlooked.

use backflow_tensor::observe::{Announcement, Observer, Role, Site, observe};
use backflow_tensor::profile::profile;
use backflow_tensor::{
    Affine, DType, Gradients, LayerId, Pointwise, Rng, Tensor, checkpoint, flush_to_zero, grad, is_recording,
    no_grad, peak_bytes,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn bits(x: &Tensor) -> Vec<u64> {
    x.to_f64_vec().into_iter().map(f64::to_bits).collect()
}

/// A segment of a network, or a function that runs it in another way.
type Segment = Arc<dyn Fn(&Tensor) -> Tensor + Send + Sync>;
type Run = fn(&Tensor, Segment) -> Tensor;

fn plainly(x: &Tensor, segment: Segment) -> Tensor {
    segment(x)
}

fn saving(x: &Tensor, segment: Segment) -> Tensor {
    checkpoint(x, move |x| segment(x))
}

const WAYS: [Run; 2] = [plainly, saving];

/// A network that uses everything at once: a weight shared within and among segments, a residual, a result
/// that a segment captures, segments in segments, a perceptron in one op.
struct Network {
    x: Tensor,
    leaves: Vec<Tensor>,
}

impl Network {
    fn new(dtype: DType) -> Self {
        let mut rng = Rng::seed_from_u64(7);
        let mut draw = |shape: &[usize]| Tensor::randn(shape, dtype, &mut rng).requires_grad();
        let x = draw(&[5, 4]);
        let leaves = vec![draw(&[4, 4]), draw(&[4]), draw(&[4, 4]), draw(&[4])];
        Self { x, leaves }
    }

    fn loss(&self, run: Run) -> Tensor {
        let [w, b, v, c] = &self.leaves[..] else { unreachable!("as made above") };
        let twice: Segment = {
            let (w, b) = (w.clone(), b.clone());
            Arc::new(move |x| x.linear(&w, &b).tanh().linear(&w, &b).sigmoid() + x)
        };
        let perceptron: Segment = {
            let (w, b, v, c) = (w.clone(), b.clone(), v.clone(), c.clone());
            Arc::new(move |x| {
                let layer = |weight, bias| Affine::new(weight, bias, Pointwise::Tanh);
                x.mlp(&[layer(&w, &b), layer(&v, &c)])
            })
        };
        let h = run(&self.x, Arc::clone(&twice));
        let with_capture: Segment = {
            let (h, v) = (h.clone(), v.clone());
            Arc::new(move |x| (x * &h).matmul(&v) * x.exp())
        };
        let nested: Segment = {
            let inner = Arc::clone(&twice);
            Arc::new(move |x| run(x, Arc::clone(&inner)).softmax(-1))
        };
        let h = run(&(&h * 0.5), with_capture) + &h;
        let h = run(&run(&h, perceptron), nested);
        (run(&h, twice) * &self.x).square().mean(..)
    }

    fn targets(&self) -> Vec<&Tensor> {
        self.leaves.iter().chain([&self.x]).collect()
    }
}

#[test]
fn the_bits_are_the_same_to_second_order() {
    for dtype in [DType::F32, DType::F64] {
        let network = Network::new(dtype);
        let runs = WAYS.map(|run| {
            let loss = network.loss(run);
            let mut found = vec![bits(&loss)];
            let first = grad(&loss, &network.targets());
            found.extend(first.iter().map(bits));
            // ⟨g, g⟩ of all gradients goes through every derivative of second order.
            let sum = first.iter().map(|g| g.square().sum(..)).reduce(|a, b| a + b).expect("gradients");
            let second = sum.backward();
            found.extend(network.targets().iter().map(|x| bits(second.of(x))));
            let plain = network.loss(run).backward();
            found.extend(network.targets().iter().map(|x| bits(plain.of(x))));
            // Of one leaf alone, and of the input alone.
            for x in network.targets() {
                let loss = network.loss(run);
                let only = loss.differentiate().wrt(&[x]).run();
                assert_eq!(only.len(), 1);
                found.push(bits(only.of(x)));
            }
            found
        });
        let differ: Vec<usize> = (0..runs[0].len()).filter(|&idx| runs[0][idx] != runs[1][idx]).collect();
        assert!(differ.is_empty(), "{dtype}: checkpoints change the bits of results {differ:?}");
        assert!(runs[0].iter().flatten().all(|&number| f64::from_bits(number).is_finite()));
    }
}

#[test]
fn a_kept_graph_is_gone_back_through_again_and_on_other_threads() {
    let network = Network::new(DType::F64);
    let loss = network.loss(saving);
    let passes: Vec<Gradients> = std::thread::scope(|s| {
        let pass = || s.spawn(|| loss.differentiate().retain_graph().run());
        [pass(), pass()].map(|pass| pass.join().expect("it survives")).into()
    });
    let expected = network.loss(plainly).backward();
    for pass in passes.into_iter().chain([loss.backward()]) {
        assert!(network.targets().iter().all(|x| bits(pass.of(x)) == bits(expected.of(x))));
    }
}

#[test]
fn nothing_is_recorded_where_nothing_needs_a_gradient() {
    let (x, w) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]).requires_grad());
    assert!(!checkpoint(&x, |x| x * 2.0).is_tracked());
    let of_w = {
        let w = w.clone();
        move |x: &Tensor| x * &w
    };
    assert!(!no_grad(|| checkpoint(&x, of_w.clone())).is_tracked());
    // An input that needs no gradient, and a segment that does nothing.
    assert_eq!(checkpoint(&x, of_w).sum(..).backward().of(&w).to_vec::<f64>(), [1.0, 2.0]);
    assert_eq!(checkpoint(&w, Tensor::clone).id(), w.id());
    assert_eq!(
        checkpoint(&x, {
            let w = w.clone();
            move |_| w.clone()
        })
        .id(),
        w.id()
    );
}

#[test]
fn a_segment_runs_once_forwards_and_once_for_each_way_back() {
    let runs = Arc::new(AtomicUsize::new(0));
    let x = Tensor::from(0.5).requires_grad();
    let y = checkpoint(&x, {
        let runs = Arc::clone(&runs);
        move |x| {
            runs.fetch_add(1, Ordering::Relaxed);
            x.tanh()
        }
    });
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    let _ = y.differentiate().retain_graph().run();
    let _ = y.backward();
    assert_eq!((runs.load(Ordering::Relaxed), Arc::strong_count(&runs)), (3, 1), "the segment is let go of");
}

/// Small numbers that are flushed on the way forward are flushed when they are computed again, also where the
/// way back is not.
#[test]
fn a_segment_finds_again_whether_subnormal_numbers_are_flushed() {
    let x = Tensor::from([1e-30_f32, 1e-20]).requires_grad();
    let gradients = WAYS.map(|run| {
        let loss = flush_to_zero(|| run(&x, Arc::new(|x| (x * 1e-10).square() * 1e30)).sum(..));
        bits(loss.backward().of(&x))
    });
    assert_eq!(gradients[0], gradients[1]);
}

/// What an observer was shown, in order.
#[derive(Default)]
struct Log(Vec<(&'static str, Site, Vec<u64>)>);

impl Observer for Log {
    fn input(&mut self, site: &Site, _: &Announcement, x: &Tensor) {
        self.0.push(("input", site.clone(), bits(x)));
    }

    fn output(&mut self, site: &Site, _: &Announcement, y: &Tensor) {
        self.0.push(("output", site.clone(), bits(y)));
    }

    fn gradient(&mut self, site: &Site, _: Option<u64>, dy: &Tensor) {
        self.0.push(("gradient", site.clone(), bits(dy)));
    }

    fn replace(&mut self, site: &Site, dy: &Tensor) -> Option<Tensor> {
        matches!(site, Site::Named(name) if name == "scaled").then(|| dy * 3.0)
    }
}

/// Observers see each output once and the gradients of all, and replace them.
#[test]
fn observers_see_what_they_would_have_seen() {
    let w = Tensor::from([[0.5, -1.0], [2.0, 0.25]]).requires_grad();
    let ids = [(); 3].map(|()| LayerId::new());
    let logs = WAYS.map(|run| {
        let (log, gradient) = observe(Log::default(), || {
            let mut h = Tensor::from([[1.0, 2.0]]);
            for id in ids {
                let w = w.clone();
                h = run(
                    &h,
                    Arc::new(move |x| {
                        id.announce_input(Role::WeightedMap, x);
                        let z = x.matmul(&w);
                        id.announce(Role::WeightedMap, &z);
                        z.tanh().named("scaled") * 2.0
                    }),
                );
            }
            h.sum(..).backward()
        });
        (log.0, bits(gradient.of(&w)))
    });
    assert_eq!(logs[0].1, logs[1].1);
    assert_eq!(logs[0].0, logs[1].0);
    assert_eq!(logs[0].0.len(), 3 * 5);
}

#[test]
fn a_profile_shows_what_is_computed_again() {
    let w = Tensor::ones([8, 8], DType::F32).requires_grad();
    let x = Tensor::ones([4, 8], DType::F32);
    let segment = {
        let w = w.clone();
        move |x: &Tensor| x.matmul(&w).tanh()
    };
    let (profile, _) = profile(|| checkpoint(&x, segment).sum(..).backward());
    let calls = |name: &str| {
        profile.parts().into_iter().find(|(part, _)| part.to_string() == name).map(|(_, cost)| cost.calls)
    };
    assert_eq!(
        ["matmul forward", "matmul backward", "tanh backward"].map(calls),
        [Some(2), Some(1), Some(1)],
        "{profile}"
    );
}

#[test]
fn a_segment_that_changes_is_told() {
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    let others = [Tensor::from([3.0, 4.0]).requires_grad(), Tensor::from([[1.0], [2.0]]).requires_grad()];
    for (other, what) in others.into_iter().zip(["[2] f64", "[2, 2] f64"]) {
        let (w, runs) = (w.clone(), AtomicUsize::new(0));
        let y = checkpoint(&w.clone(), move |x| {
            if runs.fetch_add(1, Ordering::Relaxed) == 0 { x * &w } else { x * &other }
        });
        let panic = catch_unwind(AssertUnwindSafe(|| y.sum(..).backward())).expect_err("another tensor");
        let text = panic.downcast_ref::<String>().expect("a message");
        assert!(
            text.starts_with("checkpoint: the segment is not what it was\n    before    [2] f64"),
            "{text}"
        );
        assert!(text.contains(&format!("now       {what}")), "{text}");
        assert!(text.contains(file!()) && is_recording(), "{text}");
    }
}

/// Graphs are taken apart in a loop: one of very many segments needs no deep stack.
#[test]
fn a_chain_of_segments_drops_on_a_small_stack() {
    let run = || {
        let x = Tensor::from(0.5).requires_grad();
        drop((0..100_000).fold(x.clone(), |x, _| checkpoint(&x, |x| x.tanh() * 0.5)));
        let y = (0..1000).fold(x.clone(), |x, _| checkpoint(&x, |x| x * 0.999));
        assert!((y.backward().of(&x).item() - 0.999_f64.powi(1000)).abs() < 1e-12);
    };
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("it survives");
}

/// The shapes of 64 layers of 512 at batch 2048, an eighth as large each way: the ratio of activations to
/// weights is the same. (Layers in one op need room for deltas that does not shrink with them;
/// `benches/checkpoint.rs` has both at full size.)
#[test]
fn eight_segments_of_sixty_four_layers_need_less_than_a_third_of_the_activations() {
    const LAYERS: usize = 64;
    const WIDTH: usize = 64;
    let mut rng = Rng::seed_from_u64(1);
    let weights: Vec<[Tensor; 2]> = (0..LAYERS)
        .map(|_| {
            let weight = (Tensor::randn([WIDTH, WIDTH], DType::F32, &mut rng) * 0.125).requires_grad();
            [weight, Tensor::zeros([WIDTH], DType::F32).requires_grad()]
        })
        .collect();
    let x = Tensor::randn([256, WIDTH], DType::F32, &mut rng);
    let activations = WAYS.map(|run| {
        let (peak, gradients) = peak_bytes(|| {
            let segments = weights.chunks(LAYERS / 8).map(<[_]>::to_vec);
            let h = segments.fold(x.clone(), |h, layers| {
                run(&h, Arc::new(move |x| layers.iter().fold(x.clone(), |h, [w, b]| h.linear(w, b).tanh())))
            });
            h.square().mean(..).backward()
        });
        let of_gradients: usize = weights.iter().flatten().map(|w| gradients.of(w).elements() * 4).sum();
        peak - of_gradients as u64
    });
    let share = activations[1] as f64 / activations[0] as f64;
    assert!(share <= 0.3, "{activations:?} bytes of activations, {share}");
}

/// As without a checkpoint.
#[test]
fn an_input_that_the_segment_does_not_use_is_not_behind_it() {
    let (x, w) = (Tensor::from([1.0, 2.0]).requires_grad(), Tensor::from([3.0, 4.0]).requires_grad());
    let used = w.clone();
    let loss = checkpoint(&(&x * 2.0), move |_| used.square()).sum(..);
    assert!(loss.history().iter().all(|step| x.id() != Some(step.id)));
    let gradients = loss.backward();
    assert!(gradients.get(&x).is_none());
    assert_eq!(gradients.of(&w).to_vec::<f64>(), [6.0, 8.0]);
}
