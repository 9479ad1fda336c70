//! State dicts of PyTorch load into the layers of the same names, which then compute what PyTorch's do, forwards and back;
//! and what is saved is what PyTorch wrote.

mod torch_modules;

use backflow::store::weights::{self, Loading};
use backflow::tensor::{DType, Module, Rng, Tensor, evaluation, training};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use torch_modules::{MODULES, Subject};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/modules.safetensors");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/check_modules.py");

type Tensors = BTreeMap<String, Tensor>;

/// All tensors of a file.
fn tensors(path: impl AsRef<Path>) -> Tensors {
    let read = weights::read(path).unwrap().into_iter();
    read.map(|stored| (stored.name, stored.tensor.expect("a type that there is"))).collect()
}

/// Those whose names begin so, without that.
fn part(all: &Tensors, prefix: &str) -> Tensors {
    let of =
        |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()));
    all.iter().filter_map(of).collect()
}

fn made(make: fn(&mut Rng) -> Box<dyn Subject>, dtype: DType) -> Box<dyn Subject> {
    let mut subject = make(&mut Rng::seed_from_u64(7));
    subject.each_tensor_mut(&mut |_, tensor| {
        if tensor.dtype().is_float() {
            *tensor = tensor.detach().to_dtype(dtype).in_place_of(tensor);
        }
    });
    subject
}

fn of_type(x: &Tensor, dtype: DType) -> Tensor {
    if x.dtype().is_float() { x.to_dtype(dtype).requires_grad() } else { x.clone() }
}

/// Outputs and gradients, by the names of the file.
fn results(subject: &dyn Subject, golden: &Tensors, x: &Tensor, is_trained: bool) -> Tensors {
    let outputs = match is_trained {
        true => training(&Rng::seed_from_u64(1), || subject.outputs(x)),
        false => evaluation(|| subject.outputs(x)),
    };
    let terms = outputs
        .iter()
        .enumerate()
        .map(|(number, y)| (y * golden[&format!("cotangent.{number}")].to_dtype(y.dtype())).sum(..));
    let gradients = terms.reduce(|a, b| a + b).expect("an output").backward();
    let outputs = outputs.into_iter().enumerate().map(|(number, y)| (format!("y.{number}"), y));
    let parameters = subject.parameters().into_iter();
    let parameters = parameters.map(|(name, w)| (format!("gradient.{name}"), gradients.of(&w).clone()));
    let by_x = x.is_tracked().then(|| ("gradient_x".to_owned(), gradients.of(x).clone()));
    outputs.chain(parameters).chain(by_x).collect()
}

/// How far two tensors are apart, of the largest element of the second.
fn apart(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.shape(), expected.shape());
    let expected = expected.to_f64_vec();
    let largest = expected.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let pairs = found.to_f64_vec().into_iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs() / largest).fold(0.0, |worst, off| if off <= worst { worst } else { off })
}

/// Each number times 1 ± `by`, at random.
fn shaken(x: &Tensor, by: f64, rng: &mut Rng) -> Tensor {
    let factor = Tensor::randn(x.shape(), x.dtype(), rng).sign() * by + 1.0;
    (x.detach() * factor).in_place_of(x)
}

/// How far the results of a nested model may be off whose layers are each off by `single`. A layer that is off so computes
/// what it would with parameters and inputs that are off so; what that makes of the results is measured in `f64`, four times,
/// and doubled, since signs at random cancel more than the worst ones; to which the last layer's own error comes.
fn passed_on(
    load: &dyn Fn() -> Box<dyn Subject>,
    golden: &Tensors,
    is_trained: bool,
    single: f64,
) -> BTreeMap<String, f64> {
    let x = of_type(&golden["x"], DType::F64);
    let exact = results(&*load(), golden, &x, is_trained);
    let mut bounds: BTreeMap<String, f64> = exact.keys().map(|name| (name.clone(), single)).collect();
    for seed in 0..4 {
        let (mut subject, mut rng) = (load(), Rng::seed_from_u64(seed));
        subject.each_tensor_mut(&mut |_, tensor| {
            if tensor.is_parameter() {
                *tensor = shaken(tensor, single, &mut rng);
            }
        });
        let x = if x.is_tracked() { shaken(&x, single, &mut rng) } else { x.clone() };
        for (name, found) in results(&*subject, golden, &x, is_trained) {
            let bound = bounds.get_mut(&name).expect("the same names");
            *bound = bound.max(single + 2.0 * apart(&found, &exact[&name]));
        }
    }
    bounds
}

#[test]
fn layers_compute_what_pytorchs_do_with_its_weights() {
    let all = tensors(GOLDEN);
    for (name, make) in MODULES {
        let golden = part(&all, &format!("{name}."));
        let is_trained = name.ends_with("training");
        let loading = Loading::new().prefix(format!("{name}.state.")).cast();
        for (dtype, single) in [(DType::F32, 2e-6), (DType::F64, 1e-12)] {
            let load = |dtype| {
                let mut subject = made(*make, dtype);
                let report = weights::load_with(&mut *subject, GOLDEN, &loading);
                (report.unwrap_or_else(|error| panic!("{name}: {error}")), subject)
            };
            let (report, subject) = load(dtype);
            assert_eq!(report.loaded, part(&golden, "state.").len(), "{name}: {report}");
            let bounds = match name.starts_with("nested") {
                true => passed_on(&|| load(DType::F64).1, &golden, is_trained, single),
                false => BTreeMap::new(),
            };
            // The gradient of a layer that has another number here, by its name there.
            let theirs = |own: &str| {
                let other = report.renumbered.iter().find_map(|(from, to)| {
                    Some(format!("gradient.{from}.{}", own.strip_prefix(&format!("gradient.{to}."))?))
                });
                other.unwrap_or_else(|| own.to_owned())
            };
            let found = results(&*subject, &golden, &of_type(&golden["x"], dtype), is_trained);
            for (own, found) in &found {
                assert_eq!(found.dtype(), dtype, "{name}: {own}");
                let off = apart(found, &golden[&theirs(own)]);
                let bound = bounds.get(own).copied().unwrap_or(single);
                assert!(off <= bound, "{name} in {dtype}: {own} is off by {off:e}, and may be by {bound:e}");
            }
            let found: BTreeSet<String> = found.keys().map(|own| theirs(own)).collect();
            let asked = golden.keys().filter(|key| key.starts_with("y.") || key.starts_with("gradient"));
            assert!(asked.eq(found.iter()), "{name}: {found:?}");
        }
    }
}

/// All modules, under the names that their states have in the golden file; of two for one name the first.
fn all_modules() -> BTreeMap<String, Box<dyn Subject>> {
    MODULES.iter().rev().map(|(name, make)| (format!("{name}.state"), made(*make, DType::F32))).collect()
}

fn require_equal(found: &Tensors, expected: &Tensors) {
    assert!(found.keys().eq(expected.keys()), "{:?} for {:?}", found.keys(), expected.keys());
    for (name, expected) in expected {
        let found = &found[name];
        assert_eq!((found.shape(), found.dtype()), (expected.shape(), expected.dtype()), "{name}");
        let bits = |x: &Tensor| -> Vec<u64> { x.to_f64_vec().into_iter().map(f64::to_bits).collect() };
        match expected.dtype() {
            DType::I64 => assert_eq!(found.to_vec::<i64>(), expected.to_vec::<i64>(), "{name}"),
            _ => assert_eq!(bits(found), bits(expected), "{name}"),
        }
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a check that was not made is said")]
fn what_is_saved_is_what_pytorch_wrote() {
    let states: Tensors = tensors(GOLDEN).into_iter().filter(|(name, _)| name.contains(".state.")).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.safetensors");
    let mut saved = all_modules();
    for (name, subject) in &mut saved {
        let loading = Loading::new().prefix(format!("{name}."));
        weights::load_with(&mut **subject, GOLDEN, &loading).unwrap();
    }
    weights::save(&saved, &path).unwrap();
    require_equal(&tensors(&path), &states);
    // Loaded again, it is the model that was saved.
    let mut again = all_modules();
    weights::load(&mut again, &path).unwrap();
    require_equal(&again.state().into_iter().collect(), &states);

    let python = std::env::var("BACKFLOW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_reader = Command::new(&python).args(["-c", "import safetensors, numpy"]).output();
    if !has_reader.is_ok_and(|output| output.status.success()) {
        let is_required = std::env::var("CI_REQUIRES_TOOLS").is_ok_and(|value| value == "1");
        assert!(
            !is_required,
            "{python} has no safetensors and numpy: pip install safetensors numpy, or unset CI_REQUIRES_TOOLS to skip it"
        );
        eprintln!("skipped: {python} has no safetensors and numpy to read the file with");
        return;
    }
    let output = Command::new(python).arg(SCRIPT).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!("{} modules are as they were\n", saved.len());
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn numbers_of_16_bits_are_what_pytorch_makes_of_them() {
    let all = tensors(GOLDEN);
    for name in ["f16", "bf16"] {
        let [found, expected] =
            ["halves", "float"].map(|part| all[&format!("{name}.{part}")].to_vec::<f32>());
        assert!(found.len() > 1000);
        for (found, expected) in found.into_iter().zip(expected) {
            let is_same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(is_same, "{name}: {found} for {expected}");
        }
    }
}
