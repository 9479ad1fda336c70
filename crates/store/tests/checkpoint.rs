//! A checkpoint comes back as it was, or an error says what is wrong with it: of every bit, and cut off anywhere.

use backflow_optim::{Adam, Optimizer};
use backflow_store::lock::Lock;
use backflow_store::{Checkpoint, Checkpoints, StoreError, atomic};
use backflow_tensor::{DType, Rng, Tensor};
use std::path::Path;

fn model() -> (Vec<Tensor>, Optimizer) {
    let mut model = vec![Tensor::from([1.0_f32, -2.0]).requires_grad(), Tensor::from(3_i64).buffer()];
    let mut optimizer = Optimizer::new(Adam::new(0.1));
    optimizer.step_with(&mut model, |model| model[0].square().sum(..));
    (model, optimizer)
}

fn checkpoint() -> Checkpoint {
    let (model, optimizer) = model();
    let mut checkpoint = Checkpoint::new(7);
    checkpoint.put_model("model", &model).unwrap();
    checkpoint.put_optimizer("optimizer", &optimizer).unwrap();
    let mut rng = Rng::seed_from_u64(3);
    let _ = rng.below(5);
    checkpoint.put_rng("rng", &rng);
    checkpoint.put_numbers("position", [4, u64::MAX]);
    checkpoint.put_tensors("more", [("x".to_owned(), Tensor::from([f64::NAN, -0.0]))]).unwrap();
    checkpoint.put("empty", "");
    checkpoint
}

fn bits(model: &[Tensor]) -> Vec<u64> {
    model.iter().flat_map(Tensor::to_f64_vec).map(f64::to_bits).collect()
}

#[test]
fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    checkpoint().save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    let names = ["empty", "model", "more", "optimizer", "position", "rng"];
    assert!(loaded.step() == 7 && loaded.names().eq(names) && loaded.path() == path);
    for name in names {
        assert_eq!(loaded.get(name).unwrap(), checkpoint().get(name).unwrap(), "{name}");
    }
    let (expected, _) = model();
    let mut found = vec![Tensor::zeros([2], DType::F32).requires_grad(), Tensor::from(0_i64).buffer()];
    loaded.load_model("model", &mut found).unwrap();
    assert!(bits(&found) == bits(&expected) && found[0].is_parameter());
    let mut optimizer = Optimizer::new(Adam::new(0.1));
    loaded.load_optimizer("optimizer", &mut optimizer, &found).unwrap();
    assert_eq!(optimizer.state().steps, 1);
    let mut rng = Rng::seed_from_u64(3);
    let _ = rng.below(5);
    assert!(loaded.rng("rng").unwrap() == rng);
    assert_eq!(loaded.numbers("position").unwrap(), [4, u64::MAX]);
    let x = loaded.tensors("more").unwrap()["x"].to_vec::<f64>();
    assert_eq!(
        x.into_iter().map(f64::to_bits).collect::<Vec<_>>(),
        [f64::NAN.to_bits(), (-0.0_f64).to_bits()]
    );
}

#[test]
fn what_is_not_there_or_is_something_else_is_told() {
    let mut checkpoint = checkpoint();
    let (mut model, mut optimizer) = model();
    let before = bits(&model);
    let mut messages = vec![
        checkpoint.get("nothing").unwrap_err().to_string(),
        checkpoint.rng("position").unwrap_err().to_string(),
        checkpoint.numbers::<3>("position").unwrap_err().to_string(),
        checkpoint.numbers::<1>("empty").unwrap_err().to_string(),
        checkpoint.tensors("rng").unwrap_err().to_string(),
        checkpoint.load_model("rng", &mut model).unwrap_err().to_string(),
        checkpoint.load_model("more", &mut model).unwrap_err().to_string(),
        checkpoint.load_optimizer("model", &mut optimizer, &model).unwrap_err().to_string(),
    ];
    checkpoint.put("long", [[7; 40], [255; 40]].concat());
    messages.push(checkpoint.rng("long").unwrap_err().to_string());
    let [nothing, rng, three, one, ..] = &messages[..] else { panic!() };
    assert_eq!(nothing, "checkpoint of step 7: section nothing: the checkpoint has none of this name");
    assert_eq!(rng, "checkpoint of step 7: section position: not the state of a random stream");
    assert_eq!(three, "checkpoint of step 7: section position: not 3 whole numbers");
    assert_eq!(one, "checkpoint of step 7: section empty: not 1 whole numbers");
    assert!(messages.iter().all(|message| message.starts_with("checkpoint of step 7: ")), "{messages:?}");
    assert!(bits(&model) == before && optimizer.state().steps == 1);
}

/// Each of the words that a file may be refused by, so that the laws below do not all meet one.
fn is_typed(error: &StoreError) -> bool {
    matches!(error, StoreError::Checkpoint { .. })
}

#[allow(clippy::disallowed_methods, reason = "files are damaged on purpose")]
fn load(path: &Path, bytes: &[u8]) -> Result<Checkpoint, StoreError> {
    std::fs::write(path, bytes).unwrap();
    Checkpoint::load(path)
}

#[test]
fn no_bit_is_changed_unseen_and_no_part_is_taken_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    checkpoint().save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for len in 0..whole.len() {
        assert!(load(&path, &whole[..len]).is_err_and(|error| is_typed(&error)), "cut off at {len}");
    }
    let error = load(&path, &[&whole[..], b"\0"].concat()).unwrap_err().to_string();
    assert!(error.contains("cut off, or more was added"), "{error}");
    // A small one: its bits are many.
    let mut small = Checkpoint::new(3);
    small.put("model", [7, 0, 255]);
    small.put("rng", [0; 2]);
    small.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(load(&path, &flipped).is_err_and(|error| is_typed(&error)), "bit {bit}");
    }
    let mut damaged = whole;
    *damaged.last_mut().unwrap() ^= 1;
    let error = load(&path, &damaged).unwrap_err().to_string();
    assert!(error.ends_with("the checksum of its section rng is wrong: it was damaged"), "{error}");
}

#[test]
fn limits_are_checked_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    let mut many = Checkpoint::new(1);
    (0..1001).for_each(|number| many.put(&number.to_string(), ""));
    let mut long = Checkpoint::new(1);
    long.put(&"n".repeat(256), "");
    for checkpoint in [many, long, Checkpoint::new(u64::MAX)] {
        assert!(matches!(checkpoint.save(&path), Err(StoreError::Write { .. })));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The newest that can be read is taken, and what is passed over is told, and stays.
#[test]
fn a_damaged_checkpoint_is_passed_over_and_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path()).keep(2);
    let save = |step| assert!(checkpoints.save(&Checkpoint::new(step), Some(2)).unwrap().is_empty());
    (1..=5).for_each(save);
    assert_eq!(checkpoints.steps().unwrap(), [2, 4, 5]);
    let path = |step: u64| folder.path().join(format!("step-{step:012}.ckpt"));
    assert!(load(&path(5), b"").is_err());
    Checkpoint::new(3).save(path(6)).unwrap();
    let newest = checkpoints.newest().unwrap();
    assert_eq!(newest.checkpoint.unwrap().step(), 4);
    let skipped: Vec<String> = newest.skipped.iter().map(ToString::to_string).collect();
    assert!(skipped[0].ends_with("it is of step 3, and its name is another's"), "{skipped:?}");
    assert!(skipped[1].contains("step-000000000005.ckpt: not a valid checkpoint"), "{skipped:?}");
    // A run that goes on from 4 does not take the broken ones for its newest.
    checkpoints.save(&Checkpoint::new(4), None).unwrap();
    assert_eq!(checkpoints.steps().unwrap(), [2, 4, 5, 6]);
    assert_eq!(checkpoints.newest().unwrap().checkpoint.unwrap().step(), 4);
}

#[test]
fn what_a_kill_leaves_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let names = [".backflow.17.3.tmp", ".backflow.17.x.tmp", ".backflow..tmp", "a.tmp", "step-1.ckpt"];
    names.iter().for_each(|name| atomic::write(&folder.path().join(name), b"").unwrap());
    atomic::remove_leftovers(folder.path());
    let left = names.map(|name| folder.path().join(name).exists());
    assert_eq!(left, [false, true, true, true, true]);
    assert_eq!(Checkpoints::new(folder.path()).steps().unwrap(), [0; 0]);
}

#[test]
fn a_lock_ends_with_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    atomic::write(&path, &[0xff; 300]).unwrap();
    let lock = Lock::take(&path).unwrap();
    assert!(matches!(Lock::take(&path), Err(StoreError::Locked { .. })));
    drop(lock);
    let _lock = Lock::take(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("process {}\n", std::process::id()));
    assert!(matches!(Lock::take(&folder.path().join("no/lock")), Err(StoreError::Write { .. })));
}
