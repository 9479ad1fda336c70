//! Who is one tensor: aliases, writes that separate them, copies, and tensors that stand in several fields.

use backflow_tensor::{DType, LayerId, Module, Path, Tensor, Visitor, VisitorMut};

fn leaf(value: f64) -> Tensor {
    Tensor::from([value]).requires_grad()
}

fn write(w: &mut Tensor, value: f64) {
    w.as_mut_slice::<f64>()[0] = value;
}

#[test]
fn a_write_that_separates_two_aliases_makes_the_written_one_a_new_leaf() {
    let mut m = leaf(1.0);
    let t = m.clone();
    write(&mut m, 3.0);
    assert!(!m.is_alias_of(&t) && m.is_parameter() && t.is_parameter());
    let grads = (&m * &t).sum(..).backward();
    assert_eq!((grads.of(&m).item(), grads.of(&t).item()), (1.0, 3.0));
    // From here on nothing is shared, and both stay who they are.
    let before = (m.id(), t.id());
    write(&mut m, 4.0);
    assert_eq!((m.id(), t.id()), before);
}

#[test]
fn the_last_of_several_aliases_keeps_the_leaf() {
    let original = leaf(1.0);
    let mut aliases = [original.clone(), original.clone(), original];
    let number = aliases[0].id();
    for (alias, value) in aliases.iter_mut().zip([2.0, 3.0, 4.0]) {
        write(alias, value);
    }
    let same: Vec<bool> = aliases.iter().map(|alias| alias.id() == number).collect();
    assert_eq!(same, [false, false, true]);
    assert_eq!(aliases.iter().map(Tensor::item).collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
}

/// What shares elements, or the graph's hold on the leaf, without being the leaf.
#[test]
fn what_is_no_alias_makes_no_new_leaf() {
    type Hold = fn(&Tensor) -> Box<dyn std::any::Any>;
    let holds: [(&str, Hold); 7] = [
        ("detached", |w| Box::new(w.detach())),
        ("a view", |w| Box::new(w.reshape([1, 1]))),
        ("a loss whose graph keeps the operands", |w| Box::new((w * w).sum(..))),
        ("a loss whose graph keeps nothing", |w| Box::new(w.sum(..))),
        ("a graph after its backward", |w| {
            let loss = (w * w).sum(..);
            let grads = loss.backward();
            Box::new((loss, grads))
        }),
        ("gradients with a graph of their own", |w| {
            let loss = (w * w).sum(..);
            let grads = loss.differentiate().create_graph().run();
            Box::new((loss, grads))
        }),
        ("another leaf with the same elements", |w| Box::new(w.detach().requires_grad())),
    ];
    for (name, hold) in holds {
        let mut w = leaf(1.0);
        let number = w.id();
        let held = hold(&w);
        write(&mut w, 2.0);
        assert_eq!(w.id(), number, "{name}");
        drop(held);
    }
}

#[test]
fn a_graph_that_outlives_a_write_keeps_the_old_numbers_and_the_leaf() {
    let mut w = leaf(1.0);
    let loss = w.powf(3.0).sum(..);
    write(&mut w, 5.0);
    let grads = loss.differentiate().create_graph().run();
    assert_eq!(grads.of(&w).item(), 3.0);
    let second = grads.of(&w).sum(..).backward();
    assert_eq!(second.of(&w).item(), 6.0);
}

#[test]
fn a_view_made_a_leaf_is_written_as_a_whole() {
    let matrix = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let mut w = matrix.t().requires_grad();
    let number = w.id();
    w.as_mut_slice::<f64>()[1] = 9.0;
    assert_eq!((w.id(), w.to_vec::<f64>()), (number, vec![1.0, 9.0, 2.0, 4.0]));
    assert_eq!(matrix.to_vec::<f64>(), [1.0, 2.0, 3.0, 4.0]);
}

/// A layer with an identity, a bias that may be missing, and a list.
#[derive(Clone)]
#[allow(clippy::vec_box, reason = "a box is a module of its own")]
struct Model {
    first: Tensor,
    list: Box<[Tensor]>,
    bias: Option<Tensor>,
    pair: [Tensor; 2],
    layer: LayerId,
}

impl Module for Model {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        path.inside("first", |path| self.first.visit(path, visitor));
        path.inside("list", |path| self.list.visit(path, visitor));
        path.inside("bias", |path| self.bias.visit(path, visitor));
        path.inside("pair", |path| self.pair.visit(path, visitor));
        path.inside("layer", |path| self.layer.visit(path, visitor));
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        path.inside("first", |path| self.first.visit_mut(path, visitor));
        path.inside("list", |path| self.list.visit_mut(path, visitor));
        path.inside("bias", |path| self.bias.visit_mut(path, visitor));
        path.inside("pair", |path| self.pair.visit_mut(path, visitor));
        path.inside("layer", |path| self.layer.visit_mut(path, visitor));
    }
}

/// `first` and `list.1` are one leaf; `bias` and `pair.1` one constant; indices, which nothing trains, stand
/// alone.
fn tied() -> Model {
    let (shared, constant) = (leaf(1.0), Tensor::from([7.0_f32]));
    Model {
        first: shared.clone(),
        list: Box::new([leaf(2.0), shared]),
        bias: Some(constant.clone()),
        pair: [Tensor::from([3_i64]), constant],
        layer: LayerId::new(),
    }
}

/// For each tensor, the first path that is the same tensor.
fn ties(model: &impl Module) -> Vec<String> {
    let state = model.state();
    let first =
        |tensor: &Tensor| state.iter().find(|(_, other)| other.is_alias_of(tensor)).unwrap().0.clone();
    state.iter().map(|(_, tensor)| first(tensor)).collect()
}

const TIES: [&str; 6] = ["first", "list.0", "first", "bias", "pair.0", "bias"];

fn trainable(model: &impl Module) -> Vec<bool> {
    model.state().iter().map(|(_, tensor)| tensor.is_parameter()).collect()
}

#[test]
fn tied_tensors_are_met_once_under_their_first_path() {
    let mut model = tied();
    let paths: Vec<String> = model.parameters().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["first", "list.0"]);
    assert_eq!((model.parameter_count(), model.state().len()), (2, 6));
    let mut seen = Vec::new();
    model.each_tensor(&mut |path, _| seen.push(path.to_string()));
    assert_eq!(seen, ["first", "list.0", "bias", "pair.0"]);
    let mut handed_out = Vec::new();
    model.each_tensor_mut(&mut |path, _| handed_out.push(path.to_string()));
    assert_eq!(handed_out, seen);
    assert_eq!(ties(&model), TIES);
}

#[test]
fn a_write_to_a_tied_leaf_is_seen_in_both_fields_and_costs_no_copy() {
    let mut model = tied();
    let numbers = (model.first.id(), model.list[0].id());
    let address = model.first.as_slice::<f64>().unwrap().as_ptr();
    model.each_tensor_mut(&mut |_, tensor| {
        if tensor.is_parameter() {
            tensor.as_mut_slice::<f64>()[0] *= 10.0;
        }
    });
    assert_eq!((model.first.item(), model.list[0].item(), model.list[1].item()), (10.0, 20.0, 10.0));
    assert!(model.first.shares_elements_with(&model.list[1]));
    assert_eq!(model.first.as_slice::<f64>().unwrap().as_ptr(), address);
    assert_eq!((model.first.id(), model.list[0].id()), numbers);
    assert_eq!(ties(&model), TIES);
}

#[test]
fn a_write_to_a_tied_leaf_that_somebody_else_holds_makes_one_new_leaf() {
    let mut model = tied();
    let outside = model.list[1].clone();
    model.each_tensor_mut(&mut |path, tensor| {
        if path.as_str() == "first" {
            write(tensor, 5.0);
        }
    });
    assert_eq!((outside.item(), model.first.item(), model.list[1].item()), (1.0, 5.0, 5.0));
    assert!(!outside.is_alias_of(&model.first));
    assert_eq!(ties(&model), TIES);
}

#[test]
fn a_panic_in_a_walk_leaves_ties_as_they_were() {
    let mut model = tied();
    let walk = std::panic::AssertUnwindSafe(|| {
        model.each_tensor_mut(&mut |path, tensor| {
            if path.as_str() == "first" {
                write(tensor, 5.0);
            }
            assert_ne!(path.as_str(), "list.0", "on purpose");
        });
    });
    assert!(std::panic::catch_unwind(walk).is_err());
    assert_eq!((ties(&model), model.list[1].item()), (TIES.map(str::to_owned).to_vec(), 5.0));
    assert_eq!((model.bias.as_ref().unwrap().item(), model.pair[1].dtype()), (7.0, DType::F32));
}

#[test]
fn a_copy_shares_nothing_and_has_the_same_numbers_roles_and_ties() {
    let model = tied();
    let copy = model.copied();
    assert_eq!((ties(&copy), trainable(&copy)), (TIES.map(str::to_owned).to_vec(), trainable(&model)));
    for ((path, old), (_, new)) in model.state().into_iter().zip(copy.state()) {
        assert!(!old.shares_elements_with(&new) && !old.is_alias_of(&new), "{path}");
        assert_eq!((old.to_f64_vec(), old.dtype()), (new.to_f64_vec(), new.dtype()), "{path}");
    }
    assert_ne!(model.layers(), copy.layers());
    // A clone, for comparison, is the same model.
    let clone = model.clone();
    assert_eq!(model.layers(), clone.layers());
    assert!(clone.first.is_alias_of(&model.first));
}

#[test]
fn a_copy_is_another_variable() {
    let m = leaf(1.0);
    let t = m.copied();
    let grads = (&m - &t * 2.0).square().sum(..).backward();
    assert_eq!((grads.of(&m).item(), grads.of(&t).item()), (-2.0, 4.0));
}

#[test]
fn a_layer_that_stands_twice_is_one_layer_of_the_copy() {
    let layer = LayerId::new();
    let copy = [layer, layer, LayerId::new()].copied();
    assert!(copy[0] == copy[1] && copy[0] != copy[2] && copy[0] != layer);
}

#[test]
fn freezing_and_thawing_keep_ties_and_numbers() {
    let mut model = tied();
    model.freeze();
    assert_eq!((model.parameter_count(), ties(&model)), (0, TIES.map(str::to_owned).to_vec()));
    let copy = model.copied();
    assert_eq!((copy.parameter_count(), ties(&copy)), (0, TIES.map(str::to_owned).to_vec()));
    model.unfreeze();
    // The constant was a floating-point tensor: it is trainable from now on. Integers are not.
    assert_eq!(trainable(&model), [true, true, true, true, false, true]);
    assert_eq!(ties(&model), TIES);
    assert_eq!((model.first.item(), model.list[0].item()), (1.0, 2.0));
}

#[test]
fn freezing_by_path_goes_by_the_first_path_of_a_tie() {
    let mut model = tied();
    model.freeze_where(|path| path.starts_with("list"));
    assert_eq!(trainable(&model), [true, false, true, false, false, false]);
    model.unfreeze_where(|path| path == "list.0");
    assert_eq!(trainable(&model), [true, true, true, false, false, false]);
    // What is trainable stays the leaf that it is.
    let number = model.first.id();
    model.unfreeze();
    assert_eq!(model.first.id(), number);
    model.freeze_where(|path| path == "first");
    assert_eq!((trainable(&model)[0], trainable(&model)[2]), (false, false));
    assert_eq!(ties(&model), TIES);
}
