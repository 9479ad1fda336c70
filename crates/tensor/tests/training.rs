//! Laws of the training scope, of the masks drawn in it, and of the note that a layer leaves where nobody
//! said what is wanted.

use backflow_tensor::check::{gradcheck, gradgradcheck};
use backflow_tensor::training::{Scope, next_stream};
use backflow_tensor::{
    DType, Gradients, LayerId, Rng, RngState, Tensor, evaluation, hvp, is_training, no_grad, training,
};
use rand_distr::{Distribution, StandardUniform};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A dropout layer as a user would write it.
struct Drop(LayerId);

impl Drop {
    fn new() -> Self {
        Self(LayerId::new())
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.0.by_mode("drop", || x.dropout(0.5, &next_stream()), || x.clone())
    }
}

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

fn ones(n: usize) -> Tensor {
    Tensor::ones([n], DType::F64)
}

#[test]
fn stream_number_i_of_a_scope_is_split_i_of_its_rng() {
    let drawn: Vec<Rng> = training(&rng(), || (0..5).map(|_| next_stream()).collect());
    assert_eq!(drawn, (0..5).map(|i| rng().split(i)).collect::<Vec<_>>());
    // However much was drawn from it.
    let mut used = rng();
    let _ = Tensor::randn([10], DType::F32, &mut used);
    assert_eq!(training(&used, next_stream), drawn[0]);
    assert_eq!(
        Scope::of_step(7, 3).enter(|| [next_stream(), next_stream()]),
        [0, 1].map(|i| rng().split(3).split(i))
    );
}

#[test]
fn an_inner_scope_replaces_the_outer_one_which_goes_on_where_it_was() {
    training(&rng(), || {
        assert_eq!(next_stream(), rng().split(0));
        training(&rng().split(9), || assert_eq!(next_stream(), rng().split(9).split(0)));
        evaluation(|| {
            assert!(!is_training() && !Scope::current().is_outside());
            training(&rng().split(8), || assert!(is_training()));
        });
        assert!(is_training());
        assert_eq!(next_stream(), rng().split(1));
    });
    assert!(!is_training() && Scope::current().is_outside());
}

#[test]
fn a_panic_puts_everything_back() {
    let panics = |f: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
    panics(&|| training(&rng(), || panic!("in training")));
    assert!(Scope::current().is_outside());
    training(&rng(), || {
        let _ = next_stream();
        panics(&|| evaluation(|| panic!("in evaluation")));
        panics(&|| {
            Scope::current().enter(|| {
                let _ = next_stream();
                panic!("in a scope entered again")
            });
        });
        assert_eq!(next_stream(), rng().split(1));
    });
}

#[test]
fn a_scope_is_its_threads_and_can_be_carried() {
    training(&rng(), || {
        let _ = next_stream();
        assert!(std::thread::spawn(|| Scope::current().is_outside()).join().unwrap());
        let here = Scope::current();
        let there = std::thread::spawn(move || here.enter(next_stream)).join().unwrap();
        assert_eq!((there, next_stream()), (rng().split(1), rng().split(1)));
    });
}

#[test]
fn a_layer_used_twice_draws_twice_and_the_scope_again_draws_the_same() {
    let (layer, x) = (Drop::new(), ones(64));
    let twice = || [layer.forward(&x).to_vec::<f64>(), layer.forward(&x).to_vec::<f64>()];
    let [first, second] = training(&rng(), twice);
    assert_ne!(first, second);
    assert_eq!(training(&rng(), twice), [first, second]);
    for quiet in [evaluation(twice), twice()] {
        assert_eq!(quiet, [x.to_vec::<f64>(), x.to_vec::<f64>()], "outside there is no chance");
    }
}

#[test]
fn element_e_goes_by_word_e_of_its_stream_on_any_number_of_threads() {
    let cases = [
        (0_usize, 0.5, 8),
        (1, 0.5, 8),
        (5, 0.3, 16),
        (16_385, 0.9, 16),
        (100_003, 0.1, 16),
        (100_003, 0.25, 8),
    ];
    for (n, p, bits) in cases {
        let words = {
            let mut stream = rng();
            let draws = (0..n).flat_map(|_| {
                let word: u32 = StandardUniform.sample(&mut stream);
                (0..32 / bits).map(move |at| word >> (at * bits) & ((1 << bits) - 1))
            });
            draws.take(n).collect::<Vec<u32>>()
        };
        let x = Tensor::randn([n], DType::F32, &mut rng());
        let limit = (p * f64::from(1 << bits)).round() as u32;
        let scale = (1.0 / (1.0 - p)) as f32;
        let kept = words.iter().map(|&word| if word < limit { 0.0 } else { scale });
        let expected: Vec<u32> = x.to_vec::<f32>().iter().zip(kept).map(|(x, m)| (x * m).to_bits()).collect();
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let y = pool.install(|| x.dropout(p, &rng())).to_vec::<f32>();
            let bits: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
            assert_eq!(bits, expected, "{n} elements on {threads} threads");
        }
    }
}

#[test]
fn a_probability_is_a_multiple_of_one_in_65536() {
    let dropped = |p: f64| {
        let y = Tensor::ones([1 << 20], DType::F64).dropout(p, &rng());
        y.eq(0.0).to_dtype(DType::F64).mean(..).item()
    };
    assert_eq!((dropped(0.0), dropped(2.0_f64.powi(-18)), dropped(1.0)), (0.0, 0.0, 1.0));
    for p in [2.0_f64.powi(-10), 0.1, 0.25, 0.5, 0.9] {
        // Six standard deviations of a share of 2²⁰ independent draws.
        let deviation = (p * (1.0 - p)).sqrt() / 1024.0;
        assert!((dropped(p) - p).abs() < 6.0 * deviation, "{p}: {}", dropped(p));
    }
}

#[test]
fn what_is_not_finite_stays_visible_where_it_is_dropped() {
    let y = Tensor::from([f64::NAN, f64::INFINITY, 3.0, -3.0]).dropout(1.0, &rng()).to_vec::<f64>();
    assert!(y[0].is_nan() && y[1].is_nan() && y[2..] == [0.0, 0.0], "{y:?}");
}

#[test]
fn gradient_checks_run_inside_a_scope() {
    let layer = Drop::new();
    let f = |x: &[Tensor]| (layer.forward(&x[0]) * layer.forward(&x[0].tanh())).sum(0);
    let x = Tensor::randn([4, 6], DType::F64, &mut rng());
    for x in [x.clone(), x.t()] {
        training(&rng(), || {
            let _ = next_stream();
            gradcheck(f, std::slice::from_ref(&x)).unwrap();
            gradgradcheck(f, std::slice::from_ref(&x)).unwrap();
            assert_eq!(next_stream(), rng().split(1), "a check draws nothing from the scope");
        });
    }
    // Along the mask the second derivative of Σ(m·x)² is 2m².
    let square = |x: &Tensor| layer.forward(x).square().sum(..);
    let along = training(&rng(), || hvp(square, &ones(8), &ones(8)));
    let mask = training(&rng(), || layer.forward(&ones(8)));
    assert_eq!(along.to_vec::<f64>(), (mask.square() * 2.0).to_vec::<f64>());
}

#[test]
fn an_undecided_layer_is_noted_in_the_gradients_of_its_loss() {
    let (layer, other) = (Drop::new(), Drop::new());
    let w = ones(3).requires_grad();
    let loss = || (&layer.forward(&ones(3)) * &w).sum(..);
    let undecided = |gradients: &Gradients| gradients.undecided_layer();
    assert_eq!(undecided(&loss().backward()), Some((layer.0, "drop")));
    assert_eq!(undecided(&evaluation(loss).backward()), None);
    assert_eq!(undecided(&training(&rng(), loss).backward()), None);
    assert_eq!(
        undecided(&(&w * no_grad(|| layer.forward(&w))).sum(..).backward()),
        None,
        "evaluated, then a constant"
    );
    // The pass may run anywhere: what counts is where the layer ran.
    assert_eq!(undecided(&training(&rng(), || loss().backward())), None);
    let outside = loss();
    assert_eq!(undecided(&training(&rng(), || outside.backward())), Some((layer.0, "drop")));
    // The first in forward order, and no accumulation loses it.
    let both = (other.forward(&layer.forward(&w)) * 2.0).sum(..);
    assert_eq!(undecided(&both.backward()), Some((layer.0, "drop")));
    let mut sum = training(&rng(), loss).backward();
    sum.accumulate(other.forward(&w).sum(..).backward());
    sum.accumulate(training(&rng(), loss).backward());
    assert_eq!(undecided(&sum), Some((other.0, "drop")));
}

#[test]
fn a_note_changes_neither_values_nor_gradients() {
    let layer = Drop::new();
    let x = Tensor::randn([5, 3], DType::F64, &mut rng()).requires_grad();
    let f = |x: &Tensor| (layer.forward(&x.tanh()) * x).square().sum(..);
    let [(y, dx), (noted, dnoted)] = [evaluation(|| f(&x)), f(&x)].map(|y| {
        let gradient = y.backward().of(&x).to_vec::<f64>();
        (y.item(), gradient)
    });
    assert_eq!((y, dx), (noted, dnoted));
    // Of second derivatives the terms are the same, added up in the order of another graph: some roundings of
    // sums of magnitude 10.
    let apart = evaluation(|| hvp(f, &x, &x)) - hvp(f, &x, &x);
    assert!(apart.abs().max(..).item() < 10.0 * 8.0 * f64::EPSILON);
}

#[test]
fn a_stream_goes_on_from_where_its_state_was_taken() {
    let mut rng = Rng::seed_from_u64(3).split(1);
    for drawn in 0..70 {
        let RngState { seed, stream, words } = rng.state();
        let mut again = Rng::from_state(RngState { seed, stream, words });
        assert_eq!(again, rng, "after {drawn} draws");
        assert_eq!(again.split(5), rng.split(5));
        let draw = |rng: &mut Rng| Tensor::randn([drawn], DType::F64, rng).to_vec::<f64>();
        assert_eq!(draw(&mut again), draw(&mut rng));
        // An odd number of 32-bit words from here on.
        let one = |rng: &mut Rng| -> u32 { StandardUniform.sample(rng) };
        assert_eq!(one(&mut again), one(&mut rng));
    }
}
