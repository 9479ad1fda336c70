//! A saved state continues to the same bits, for every rule, and a damaged one is refused.

use backflow_optim::{Averaging, Lbfgs, Noise, Optimizer, Plateau, RULES, Schedule, Sgd};
use backflow_store::{StoreError, optimizer_state};
use backflow_tensor::{DType, Rng, Tensor};
use std::path::{Path, PathBuf};

/// A small regression, not convex, with matrices, a vector and a scalar.
struct Problem {
    x: Tensor,
    y: Tensor,
}

impl Problem {
    fn new(dtype: DType) -> (Self, Vec<Tensor>) {
        let mut rng = Rng::seed_from_u64(5);
        let mut draw = |shape: &[usize]| Tensor::randn(shape, dtype, &mut rng);
        let problem = Self { x: draw(&[16, 3]), y: draw(&[16, 1]) };
        let model = vec![draw(&[4, 3]), draw(&[4]), draw(&[1, 4]), draw(&[1])];
        (problem, model.into_iter().map(Tensor::requires_grad).collect())
    }

    fn loss(&self, model: &[Tensor]) -> Tensor {
        let hidden = self.x.linear(&model[0], &model[1]).tanh();
        (hidden.linear(&model[2], &model[3]) - &self.y).square().mean(..)
    }
}

fn bits(model: &[Tensor]) -> Vec<u64> {
    model.iter().flat_map(Tensor::to_f64_vec).map(f64::to_bits).collect()
}

/// Ten steps at once; and five, a file, and five more.
fn continues(what: &str, dtype: DType, make: &dyn Fn() -> Optimizer) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.bin");
    let run = |problem: &Problem, optimizer: &mut Optimizer, model: &mut Vec<Tensor>, steps| {
        for _ in 0..steps {
            let report = optimizer.step_with(model, |model| problem.loss(model));
            optimizer.observe(report.loss.unwrap());
        }
    };

    let (problem, mut whole) = Problem::new(dtype);
    let start = bits(&whole);
    let mut optimizer = make();
    run(&problem, &mut optimizer, &mut whole, 10);
    let evaluated = optimizer.evaluating(&mut whole, |model| bits(model));

    let (problem, mut parts) = Problem::new(dtype);
    let mut first = make();
    run(&problem, &mut first, &mut parts, 5);
    optimizer_state::save(&first, &path).unwrap();
    let mut second = make();
    optimizer_state::load(&mut second, &parts, &path).unwrap();
    run(&problem, &mut second, &mut parts, 5);

    assert_eq!(bits(&whole), bits(&parts), "{what}, {dtype}");
    assert_eq!(evaluated, second.evaluating(&mut parts, |model| bits(model)), "{what}, {dtype}");
    assert_eq!(optimizer.state().steps, second.state().steps, "{what}, {dtype}");
    assert_ne!(bits(&whole), start, "{what} did nothing");
}

#[test]
fn a_saved_state_continues_to_the_same_bits() {
    let options = [
        "rmsprop:centered=true,momentum=0.9",
        "adam:amsgrad=true",
        "lbfgs:history_size=2,max_iter=3",
        "asgd:t0=3",
    ];
    for spec in RULES.iter().map(|info| info.name).chain(options) {
        for dtype in [DType::F32, DType::F64] {
            continues(spec, dtype, &|| Optimizer::from_spec(spec, Some(0.01)).unwrap());
        }
    }
}

#[test]
fn what_surrounds_the_rule_continues_too() {
    continues("ema", DType::F32, &|| Optimizer::new(Sgd::new(0.1)).average(Averaging::Ema(0.9)));
    continues("mean", DType::F64, &|| Optimizer::new(Lbfgs::new(0.1)).average(Averaging::Mean { start: 2 }));
    let noise = Noise { eta: 0.1, gamma: 0.5, seed: 3 };
    continues("noise", DType::F32, &|| Optimizer::new(Sgd::new(0.1)).noise(noise).clip_norm(0.5));
    let plateau = || Plateau::new().patience(1).factor(0.5).warmup(3);
    continues("plateau", DType::F64, &|| Optimizer::new(Sgd::new(0.5)).schedule(plateau()));
    let groups =
        || Optimizer::new(Sgd::new(0.1).momentum(0.9)).group("[13]", backflow_optim::Adam::new(0.01));
    continues("groups", DType::F32, &groups);
}

/// A saved state of two steps, with its model.
fn saved(spec: &str) -> (tempfile::TempDir, PathBuf, Vec<Tensor>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.bin");
    let (problem, mut model) = Problem::new(DType::F32);
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
    for _ in 0..2 {
        let _ = optimizer.step_with(&mut model, |model| problem.loss(model));
    }
    optimizer_state::save(&optimizer, &path).unwrap();
    (folder, path, model)
}

#[allow(clippy::disallowed_methods, reason = "files are damaged on purpose")]
fn load_bytes(spec: &str, path: &Path, bytes: &[u8], model: &Vec<Tensor>) -> Result<(), StoreError> {
    std::fs::write(path, bytes).unwrap();
    let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
    let result = optimizer_state::load(&mut optimizer, model, path);
    if result.is_err() {
        assert_eq!(
            (optimizer.state().steps, optimizer.state().parameters.len()),
            (0, 0),
            "changed by a refused file"
        );
    }
    result
}

const HEADER: usize = 32;

/// The envelope around a payload, as an attacker would make it.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let (length, checksum) = ((payload.len() as u64).to_le_bytes(), crc32fast::hash(payload).to_le_bytes());
    [&b"BACKFLOWoptstate"[..], &2_u32.to_le_bytes(), &length, &checksum, payload].concat()
}

#[test]
fn a_damaged_file_is_refused() {
    for spec in ["adam", "lbfgs"] {
        let (_folder, path, model) = saved(spec);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(sealed(&bytes[HEADER..]), bytes);
        assert!(load_bytes(spec, &path, &bytes, &model).is_ok());
        for length in (0..bytes.len()).step_by(7) {
            assert!(load_bytes(spec, &path, &bytes[..length], &model).is_err(), "{spec}: cut at {length}");
        }
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 0x10;
            assert!(load_bytes(spec, &path, &bytes, &model).is_err(), "{spec}: byte {index}");
        }
        assert!(load_bytes(spec, &path, &[&bytes[..], b"x"].concat(), &model).is_err());
    }
}

/// With the checksum right, a changed payload is either refused or a state that could have been: it never
/// panics, and asks for no memory that the file does not have (room for 2⁵⁶ items would end the process).
#[test]
fn a_forged_payload_does_no_harm() {
    for spec in ["adam", "nadam", "lbfgs:history_size=3,max_iter=2"] {
        let (_folder, path, model) = saved(spec);
        let payload = std::fs::read(&path).unwrap()[HEADER..].to_vec();
        let mut refused = 0;
        for index in 0..payload.len() {
            for value in [0x00, 0x01, 0x7f, 0xff] {
                let mut forged = payload.clone();
                forged[index] = value;
                refused += usize::from(load_bytes(spec, &path, &sealed(&forged), &model).is_err());
            }
            if index % 5 == 0 {
                assert!(
                    load_bytes(spec, &path, &sealed(&payload[..index]), &model).is_err(),
                    "{spec}: {index}"
                );
            }
        }
        assert!(refused > 100, "{spec}: {refused}");
        let longer = [&payload[..], &[0; 8]].concat();
        let message = load_bytes(spec, &path, &sealed(&longer), &model).unwrap_err().to_string();
        assert!(message.ends_with("not a valid optimizer state: 8 bytes too many"), "{message}");
    }
}

#[test]
fn a_state_of_something_else_is_refused() {
    let (_folder, path, model) = saved("adam");
    let message = |spec: &str, model: &Vec<Tensor>| {
        let mut optimizer = Optimizer::from_spec(spec, None).unwrap();
        let message = optimizer_state::load(&mut optimizer, model, &path).unwrap_err().to_string();
        let message = message.strip_prefix(&format!("{}: ", path.display())).unwrap().to_owned();
        message.strip_suffix("; the optimizer is unchanged").unwrap().to_owned()
    };
    assert_eq!(
        message("rmsprop", &model),
        "0: the state is adam (version 1)'s, this optimizer's rule is rmsprop (version 1); continue with the \
         same optimizer"
    );
    assert_eq!(
        message("amsgrad", &model),
        "0: the state holds exp_avg, exp_avg_sq; adam, as it is set, keeps exp_avg, exp_avg_sq, \
         max_exp_avg_sq"
    );
    let shorter = model[..3].to_vec();
    assert_eq!(message("adam", &shorter), "the state holds 3, which is not a parameter of this model");
    let mut longer = model.clone();
    longer.push(Tensor::from(1.0_f32).requires_grad());
    assert_eq!(message("adam", &longer), "the state does not hold 4, a trainable parameter of this model");
    let mut other = model.clone();
    other[1] = Tensor::zeros([5], DType::F32).requires_grad();
    assert_eq!(message("adam", &other), "1 is [4] f32 in the state; this model needs [5] f32");

    let bytes = std::fs::read(&path).unwrap();
    let of = |bytes: &[u8]| load_bytes("adam", &path, bytes, &model).unwrap_err().to_string();
    assert!(of(b"PK\x03\x04").ends_with("not a valid optimizer state: it does not begin as one"));
    let mut newer = bytes.clone();
    newer[16] = 9;
    assert!(of(&newer).ends_with("its format is version 9; this program reads version 2"));
    assert!(of(&bytes[..40]).contains("it is 40 bytes long and should be"));
}

/// What was seen of a state that is lost, and of updates near the rounding of the weights, goes with the state; files of
/// the first version, which had neither, are read.
#[test]
fn what_was_seen_of_a_state_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.bin");
    let begin =
        || (Tensor::ones([2], DType::F32).requires_grad(), Optimizer::from_spec("adam", Some(1e-9)).unwrap());
    let step = |w: &mut Tensor, optimizer: &mut Optimizer, slope: f32| {
        let slopes = Tensor::from([1.0, slope]);
        let _ = optimizer.step_with(w, |w| (w * &slopes).sum(..));
    };
    let (mut w, mut optimizer) = begin();
    step(&mut w, &mut optimizer, 1e30);
    step(&mut w, &mut optimizer, 1.0);
    optimizer_state::save(&optimizer, &path).unwrap();
    let (_, mut continued) = begin();
    optimizer_state::load(&mut continued, &w, &path).unwrap();
    let of = |optimizer: &Optimizer| {
        let state = &optimizer.state().parameters[""];
        (state.lost.clone(), state.is_near_rounding)
    };
    let (lost, is_near_rounding) = of(&optimizer);
    assert!(lost.is_some_and(|lost| (lost.share, lost.since) == (0.5, 1)) && is_near_rounding);
    assert_eq!(of(&continued), of(&optimizer));

    // Of a parameter without either, the first version lacks two bytes, before the one that says that there is no L-BFGS.
    let (mut w, mut optimizer) = begin();
    let mut gradients = backflow_tensor::Gradients::new();
    gradients.insert(&w, Tensor::zeros([2], DType::F32));
    let _ = Optimizer::step(&mut optimizer, &mut w, &gradients);
    optimizer_state::save(&optimizer, &path).unwrap();
    let payload = std::fs::read(&path).unwrap()[HEADER..].to_vec();
    let (before, last) = payload.split_at(payload.len() - 3);
    assert!(last[1..] == [0, 0]);
    let first = [before, &last[2..]].concat();
    let (length, checksum) = ((first.len() as u64).to_le_bytes(), crc32fast::hash(&first).to_le_bytes());
    let file = [&b"BACKFLOWoptstate"[..], &1_u32.to_le_bytes(), &length, &checksum, &first].concat();
    #[allow(clippy::disallowed_methods, reason = "a file of an earlier version")]
    std::fs::write(&path, file).unwrap();
    optimizer_state::load(&mut optimizer, &w, &path).unwrap();
    assert_eq!((optimizer.state().steps, of(&optimizer)), (1, (None, false)));
}
