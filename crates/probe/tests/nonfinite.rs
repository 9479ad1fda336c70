//! The origin of NaN and infinities: the op, its line, its layer and the direction, for each way in which
//! they come about.

use backflow_nn::{Activation, Init, Linear, Mlp, Module};
use backflow_optim::{Adam, Optimizer};
use backflow_probe::{NonFinite, Numbers, Origin, Place, Surgery, find_nonfinite};
use backflow_tensor::trace::Kind;
use backflow_tensor::{DType, PaddingMode, Rng, Tensor};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;
const RESULT: Kind = Kind::Result;
const BACK: Kind = Kind::Gradient { operand: 0 };

/// A program with a mistake: it computes a loss of `w` = [1, 2] and tells the line of the mistake.
type Program = fn(&Tensor) -> (u32, Tensor);

/// The op that is to be blamed, and a word of the explanation.
type Blamed = (&'static str, Kind, &'static str);

fn of(numbers: [f32; 2]) -> Tensor {
    Tensor::from(numbers)
}

#[test]
fn every_mistake_is_found_where_it_was_made() {
    let programs: [(&str, Blamed, Program); 30] = [
        ("exp overflow", ("exp", RESULT, "above 88.7"), |w| {
            let (line, y) = (line!(), (w * 50.0).exp());
            (line, y.sum(..))
        }),
        ("exp_m1 overflow", ("exp_m1", RESULT, "above 88.7"), |w| {
            let (line, y) = (line!(), (w * 50.0).exp_m1());
            (line, y.mean(..).ln_1p())
        }),
        ("ln 0", ("ln", RESULT, "ln 0 is −∞"), |w| {
            let (line, y) = (line!(), (w - 1.0).ln());
            (line, y.sum(..))
        }),
        ("ln −1", ("ln", RESULT, "below 0 is NaN"), |w| {
            let (line, y) = (line!(), (w - 2.0).ln());
            (line, y.mean(..))
        }),
        ("ln_1p below −1", ("ln_1p", RESULT, "below −1 is NaN"), |w| {
            let (line, y) = (line!(), (w * -2.0).ln_1p());
            (line, y.mean(..))
        }),
        ("sqrt −1", ("sqrt", RESULT, "below 0 is NaN"), |w| {
            let (line, y) = (line!(), (w - 2.0).sqrt());
            (line, y.sum(..))
        }),
        ("sqrt at 0, backwards", ("sqrt", BACK, "infinite at 0"), |w| {
            let (line, y) = (line!(), (w - 1.0).sqrt());
            (line, y.sum(..))
        }),
        ("0/0", ("div", RESULT, "0 divided by 0"), |w| {
            let zero = w - 1.0;
            let (line, y) = (line!(), &zero / &zero);
            (line, y.sum(..))
        }),
        ("1/0", ("div", RESULT, "divides by 0"), |w| {
            let (line, y) = (line!(), of([1.0, 1.0]) / (w - 1.0));
            (line, y.sum(..))
        }),
        ("1/0 with a number", ("scalar_div", RESULT, "divides by 0"), |w| {
            let (line, y) = (line!(), 1.0 / (w - 1.0));
            (line, y.sum(..))
        }),
        ("recip 0", ("recip", RESULT, "divides by 0"), |w| {
            let (line, y) = (line!(), (w - 2.0).recip());
            (line, y.sum(..))
        }),
        ("the mean of nothing", ("div_scalar", RESULT, "a mean over nothing"), |w| {
            let (line, y) = (line!(), w.slice(0, 0..0).mean(..));
            (line, y + w.sum(..))
        }),
        ("matmul overflow", ("matmul", RESULT, "ends at 3.4e38"), |w| {
            let w = (w * 1e20).reshape([1, 2]);
            let (line, y) = (line!(), w.matmul(&w.t()));
            (line, y.sum(..))
        }),
        ("linear overflow", ("linear", RESULT, "ends at 3.4e38"), |w| {
            let w = (w * 1e20).reshape([1, 2]);
            let (line, y) = (line!(), w.linear(&w, &Tensor::from([1.0_f32])));
            (line, y.sum(..))
        }),
        ("square overflow", ("square", RESULT, "ends at 3.4e38"), |w| {
            let (line, y) = (line!(), (w * 1e19).square());
            (line, (y * 10.0).sum(..) * 0.0)
        }),
        ("a sum that overflows", ("sum", RESULT, "ends at 3.4e38"), |w| {
            let (line, y) = (line!(), (w / 2.0 * 3e38).sum(..));
            (line, y)
        }),
        ("∞ − ∞, after an overflow", ("exp", RESULT, "above 88.7"), |w| {
            let (line, y) = (line!(), (w * 100.0).exp());
            (line, (&y - &y).sum(..))
        }),
        ("−∞ − −∞ of masks", ("sub", RESULT, "∞ − ∞"), |w| {
            let mask = of([0.0, -INF]);
            let scores = w + &mask;
            let (line, y) = (line!(), &scores - &mask);
            (line, y.sum(..))
        }),
        ("0 · −∞ of a mask", ("mul", RESULT, "mask with masked_fill"), |w| {
            let (line, y) = (line!(), (w - 1.0) * of([-INF, 1.0]));
            (line, y.sum(..))
        }),
        ("softmax of a masked row", ("softmax", RESULT, "nothing but −∞"), |w| {
            let scores = w.masked_fill(&w.gt(0.0), f64::NEG_INFINITY);
            let (line, y) = (line!(), scores.softmax(-1));
            (line, y.sum(..))
        }),
        ("softmax of an overflow", ("mul_scalar", RESULT, "ends at 3.4e38"), |w| {
            let (line, scores) = (line!(), w * 3e38);
            (line, scores.softmax(-1).sum(..))
        }),
        ("the masked label", ("cross_entropy", RESULT, "do not mask the right answer"), |w| {
            let scores = w.masked_fill(&w.gt(1.5), f64::NEG_INFINITY).reshape([1, 2]);
            let (line, loss) = (line!(), scores.cross_entropy(&Tensor::from([1_i64])));
            (line, loss)
        }),
        ("powf of a negative number", ("powf", RESULT, "not an integer"), |w| {
            let (line, y) = (line!(), (w - 1.5).powf(0.5));
            (line, y.sum(..))
        }),
        ("0 to a negative power", ("powf", RESULT, "a power below 0"), |w| {
            let (line, y) = (line!(), (w - 1.0).powf(-1.0));
            (line, y.sum(..))
        }),
        ("powf at 0, backwards", ("powf", BACK, "infinite at 0"), |w| {
            let (line, y) = (line!(), (w - 1.0).powf(0.5));
            (line, y.sum(..))
        }),
        ("logsumexp of a masked row, backwards", ("logsumexp", BACK, "nothing but −∞"), |w| {
            let scores = w + of([-INF, -INF]);
            let (line, y) = (line!(), scores.logsumexp(-1));
            (line, y.maximum(&Tensor::from(0.0_f32)))
        }),
        ("a gradient that overflows", ("mul_scalar", BACK, "ends at 3.4e38"), |w| {
            let (line, y) = (line!(), (w * 1e-30) * 1e30);
            (line, (y * 1e30).sum(..) * 1e-10)
        }),
        ("gradients that add up", ("add_scalar", Kind::Sum, "used more than once"), |w| {
            let (line, x) = (line!(), w - 1.5);
            (line, (&x * 3e38).sum(..) + (&x * 3e38).sum(..))
        }),
        ("a detached overflow", ("exp", RESULT, "above 88.7"), |w| {
            let (line, y) = (line!(), (w * 50.0).exp().detach());
            (line, (w * y).sum(..))
        }),
        ("f64 to f32", ("to_dtype", RESULT, "ends at 3.4e38"), |w| {
            let (line, y) = (line!(), (w.to_dtype(DType::F64) * 1e300).to_dtype(DType::F32));
            (line, y.sum(..))
        }),
    ];
    let w = of([1.0, 2.0]).requires_grad();
    let mut failures = Vec::new();
    for (name, (op, kind, word), program) in programs {
        let mut line = 0;
        let found = find_nonfinite(&w, || {
            let (at, loss) = program(&w);
            line = at;
            loss
        });
        let text = found.as_ref().map_or("nothing".to_owned(), NonFinite::to_string);
        let is_right = found.is_some_and(|found| {
            let Origin::Op { at, kind: way, place, .. } = found.origin else { return false };
            let at_line = (at.line.file(), at.line.line()) == (file!(), line);
            let nowhere = Place::Between { after: None, before: None };
            at_line && (at.op.name, way, place) == (op, kind, nowhere) && text.contains(word)
        });
        if !is_right || text.contains('\n') {
            failures.push(format!("{name}: {op} in line {line} with {word:?}, but: {text}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A network of three layers whose named tensor is changed.
fn network(change: &str, numbers: f32) -> Mlp {
    let mut rng = Rng::seed_from_u64(5);
    let mut model = Mlp::new(&[3, 4, 4, 2], Activation::Softplus, Init::XavierNormal, DType::F32, &mut rng);
    model.each_tensor_mut(&mut |path, tensor| {
        if path.as_str() == change {
            tensor.as_mut_slice::<f32>().fill(numbers);
        }
    });
    model
}

fn batch() -> Tensor {
    Tensor::uniform([6, 3], 0.5, 1.5, DType::F32, &mut Rng::seed_from_u64(6))
}

fn labels() -> Tensor {
    Tensor::from([0_i64, 1, 0, 1, 1, 0])
}

/// The op, the kind, the place and the line of an op that is blamed.
#[track_caller]
fn blamed(found: Option<NonFinite>) -> (&'static str, Kind, Place, u32) {
    match found.expect("something is not finite") {
        NonFinite { origin: Origin::Op { at, kind, place, .. }, .. } => {
            (at.op.name, kind, place, at.line.line())
        }
        other => panic!("{other}"),
    }
}

fn layer(path: &str) -> Place {
    Place::Layer(path.to_owned())
}

fn between(after: Option<&str>, before: Option<&str>) -> Place {
    Place::Between { after: after.map(str::to_owned), before: before.map(str::to_owned) }
}

#[test]
fn layers_are_told_on_the_way_forward() {
    // Weights of 1e38 overflow in their own layer: 4 inputs near 1 are too many.
    for (weight, path) in [("layers.0.weight", "layers.0"), ("layers.2.weight", "layers.2")] {
        let model = network(weight, 3e38);
        let mut line = 0;
        let (op, kind, place, at) = blamed(find_nonfinite(&model, || {
            line = line!() + 1;
            let y = model.forward(&batch());
            y.cross_entropy(&labels())
        }));
        assert_eq!((op, kind, place, at), ("linear", RESULT, layer(path), line), "{weight}");
    }
    // Without a bias the op is a matrix product, among others; and a layer that is the whole model has no
    // path.
    let mut alone = Linear::without_bias(3, 1, &mut Rng::seed_from_u64(0));
    alone.weight.as_mut_slice::<f32>().fill(3e38);
    let found = find_nonfinite(&alone, || alone.forward(&batch()).mean(..));
    assert_eq!((blamed(found.clone()).0, blamed(found).2), ("matmul", layer("linear")));
}

#[test]
fn what_is_in_no_layer_is_before_after_or_between_them() {
    let model = network("", 0.0);
    let (a, b) = (&model.layers[0], &model.layers[1]);
    let place = |loss: &dyn Fn() -> Tensor| blamed(find_nonfinite(&model, loss)).2;
    let overflow = |x: &Tensor| (x * 0.0 + 1e3).exp();
    assert_eq!(place(&|| a.forward(&overflow(&batch())).mean(..)), between(None, Some("layers.0")));
    assert_eq!(
        place(&|| b.forward(&overflow(&a.forward(&batch()))).mean(..)),
        between(Some("layers.0"), Some("layers.1"))
    );
    assert_eq!(place(&|| overflow(&a.forward(&batch())).mean(..)), between(Some("layers.0"), None));
    assert_eq!(place(&|| overflow(&a.forward(&batch())).named("energy").mean(..)), layer("energy"));
    // A name that is given to a layer's result does not take it out of the layer.
    let broken = network("layers.0.weight", 3e38);
    let named = || broken.layers[0].forward(&batch()).named("h").mean(..);
    assert_eq!(blamed(find_nonfinite(&broken, named)).2, layer("layers.0"));
    // An activation announces its result alone: what comes right before it is not in it.
    let activation = &model.activations[0];
    assert_eq!(
        place(&|| activation.forward(&overflow(&batch())).mean(..)),
        between(None, Some("activations.0"))
    );
    // Another model beside this one is not of its layers.
    let other = network("layers.0.weight", 3e38);
    let found = find_nonfinite(&a.clone(), || other.layers[0].forward(&batch()).mean(..));
    assert_eq!(blamed(found).2, between(None, None));
}

#[test]
fn layers_are_told_on_the_way_back() {
    // The square root of a named result, and one after a layer: the same op and line, in another place each.
    let model = network("layers.1.weight", 0.0);
    let root = |x: &Tensor| x.sqrt();
    let line = line!() - 1;
    let first = || root(&(model.layers[1].forward(&model.layers[0].forward(&batch())))).named("root");
    let found = find_nonfinite(&model, || first().sum(..)).expect("a derivative at 0");
    assert_eq!(found.gradient_of.as_deref(), Some("layers.0.weight"));
    assert_eq!(found.loss, Some(0.0));
    let text = "the loss is 0, but the gradient of the parameter layers.0.weight is not finite, because the \
                gradient of sqrt makes the first ";
    assert!(found.to_string().starts_with(text), "{found}");
    assert_eq!(blamed(Some(found)), ("sqrt", BACK, layer("root"), line));
    let found = find_nonfinite(&model, || {
        root(&model.layers[1].forward(&batch().pad([0, 1], PaddingMode::Constant(0.0)))).sum(..)
    });
    assert_eq!(blamed(found), ("sqrt", BACK, between(Some("layers.1"), None), line));
    // The gradient of a weight is a product of the layer's input and its delta, here of 1e19 and 1e20.
    let first = &model.layers[0];
    let found = find_nonfinite(&model, || {
        let y = first.forward(&(batch() * 1e19));
        ((&y - y.detach()) * 1e20).sum(..)
    });
    let (op, kind, place, _) = blamed(found);
    assert_eq!((op, kind, place), ("linear", Kind::Gradient { operand: 1 }, layer("layers.0")));
}

#[test]
fn a_parameter_that_is_no_number_comes_first() {
    let model = network("layers.1.bias", NAN);
    let found = find_nonfinite(&model, || unreachable!("nothing is computed")).expect("a NaN");
    let numbers = Numbers { elements: 4, nan: 4, ..Numbers::default() };
    let path = "layers.1.bias".to_owned();
    assert_eq!(found.origin, Origin::Parameter { path, numbers, others: 0, divided_by_zero: false });
    assert!(
        found.to_string().starts_with("the parameter layers.1.bias holds 4 NaN of 4 numbers before"),
        "{found}"
    );
}

#[test]
fn data_that_is_no_number_is_told_from_what_ops_make() {
    let model = network("", 0.0);
    for (number, damage) in [(NAN, "1 NaN"), (INF, "1 +∞"), (-INF, "1 −∞")] {
        let mut numbers = batch().to_vec::<f32>();
        numbers[7] = number;
        let x = Tensor::from_vec(numbers, [6, 3]);
        let mut line = 0;
        let found = find_nonfinite(&model, || {
            line = line!() + 1;
            let y = model.forward(&x);
            y.square().mean(..)
        });
        let found = found.expect("the batch is not a number");
        let text = found.to_string();
        let (at, place) = match &found.origin {
            Origin::Input { at, operand: 0, kind: RESULT, place, .. } => {
                assert!(text.contains(&format!("operand 1 of linear at {}:{line}:", file!())), "{text}");
                assert!(text.contains(&format!("holds {damage} of 18 numbers")), "{text}");
                (at, place)
            }
            // A −∞ may be meant: what makes +∞ or NaN of it is told.
            Origin::Op { at, place, .. } if number == -INF => (at, place),
            _ => panic!("{text}"),
        };
        assert_eq!((at.op.name, at.line.line(), place), ("linear", line, &layer("layers.0")), "{text}");
    }
    // A loss that is −∞ because a mask is has nothing else to blame.
    let found = find_nonfinite(&model, || (model.forward(&batch()) + f64::from(-INF)).sum(..));
    assert_eq!(blamed(found).0, "add_scalar");
    let found = find_nonfinite(&model, || (model.forward(&batch()) + of([0.0, -INF])).sum(..)).expect("−∞");
    assert!(matches!(&found.origin, Origin::Input { at, operand: 1, .. } if at.op.name == "add"), "{found}");
    // Nor is there an op to blame for a loss made from a number.
    let found = find_nonfinite(&model, || Tensor::from(NAN)).expect("NaN");
    assert_eq!(found.origin, Origin::Unseen);
}

#[test]
fn numbers_that_do_not_reach_the_loss_are_not_blamed() {
    let model = network("", 0.0);
    let (x, labels) = (batch(), labels());
    assert_eq!(find_nonfinite(&model, || model.forward(&x).cross_entropy(&labels)), None);
    // A mask of −∞, as attention has it, put in by filling or by adding.
    for mask in [
        |scores: &Tensor| scores.masked_fill(&Tensor::from([false, true, true, false]), f64::NEG_INFINITY),
        |scores: &Tensor| scores + Tensor::from([0.0, -INF, -INF, 0.0]),
    ] {
        let masked = || {
            let scores = mask(&model.layers[0].forward(&x));
            (scores.softmax(-1) * scores.exp()).sum(..) + scores.log_softmax(-1).slice(1, 0..1).sum(..)
        };
        assert_eq!(find_nonfinite(&model, masked), None);
    }
    // Overflows beside the way to the loss, or behind a function that is bounded.
    let beside = || {
        let _ = (&x * 1e3).exp().sum(..);
        model.forward(&(&x * 1e3).exp().tanh()).cross_entropy(&labels)
    };
    assert_eq!(find_nonfinite(&model, beside), None);
    let mut line = 0;
    let found = find_nonfinite(&model, || {
        let fine = beside();
        line = line!() + 1;
        let ratio = (&x - &x).sum(..).ln();
        fine + ratio
    });
    let (op, _, _, at) = blamed(found);
    assert_eq!((op, at), ("ln", line));
    // Without a graph there are no gradients to look at.
    let constant = Tensor::from([0.0, 1.0]);
    assert_eq!(find_nonfinite(&model, || constant.sqrt().sum(..)), None);
    let found =
        backflow_tensor::no_grad(|| find_nonfinite(&model, || (model.forward(&x) * 1e38 * 1e38).sum(..)));
    assert_eq!(blamed(found).0, "mul_scalar");
}

#[test]
fn gradients_that_a_surgery_breaks_are_its_own() {
    let model = network("", 0.0);
    let mut surgery = Surgery::new(&model).scale("layers.1", 1e300);
    let loss = || model.forward(&batch()).cross_entropy(&labels());
    let found = surgery.operate(|| find_nonfinite(&model, loss)).expect("1e300 is infinite in f32");
    let Origin::Op { at, .. } = &found.origin else { panic!("{found}") };
    assert_eq!(at.op.name, "mul_scalar");
}

#[test]
fn a_replay_changes_no_bit() {
    let train = |replays: bool| {
        let mut model = network("", 0.0);
        let mut optimizer = Optimizer::new(Adam::new(1e-2));
        let (x, labels) = (batch(), labels());
        for _ in 0..5 {
            let report = optimizer.step_with(&mut model, |model| model.forward(&x).cross_entropy(&labels));
            assert!(report.loss.is_some());
            if replays {
                assert_eq!(find_nonfinite(&model, || model.forward(&x).cross_entropy(&labels)), None);
                assert!(
                    find_nonfinite(&model, || model.forward(&(&x * 1e38 * 1e3)).cross_entropy(&labels))
                        .is_some()
                );
            }
        }
        model.state().into_iter().map(|(path, tensor)| (path, tensor.to_vec::<f32>())).collect::<Vec<_>>()
    };
    assert!(train(true) == train(false));
}

#[test]
#[should_panic(expected = "find_nonfinite: the loss is not a scalar\n    shape  [6, 2]")]
fn a_loss_of_many_elements() {
    let model = network("", 0.0);
    let _ = find_nonfinite(&model, || model.forward(&batch()));
}

#[test]
fn numbers_are_counted_by_kind() {
    let x =
        Tensor::from([1.0, -2.0, 0.0, -0.0, -3.0, f64::NAN, f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY]);
    let right = Numbers {
        elements: 9,
        zeros: 2,
        negative: 2,
        largest: 3.0,
        nan: 1,
        infinite: 2,
        negative_infinite: 1,
    };
    assert_eq!(Numbers::of(&x), right);
}
