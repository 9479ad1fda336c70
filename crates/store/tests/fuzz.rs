//! Whatever bytes a file holds, it is read or refused with a reason: never a panic, never more memory than the bytes are
//! worth, and what was to be loaded into is as it was. What is read and written again is the same.
//! `backflow_testkit::fuzz` says how a long run is made.

#[path = "../../data/tests/allocations/mod.rs"]
mod allocations;

use allocations::with_peak;
use backflow_optim::{Averaging, Optimizer, Plateau};
use backflow_store::weights::{self, Loading, Stored};
use backflow_store::{Checkpoint, StoreError, optimizer_state};
use backflow_tensor::{DType, Module, Tensor};
use backflow_testkit::{Seed, fuzz};
use std::path::Path;

/// The most memory that may be held for a file of so many bytes. The header of a file of weights is JSON: of `"d":[2],` it
/// keeps two values of 32 bytes in a list that doubles, and a list of four for one, until it knows what they are.
fn allowance(bytes: &[u8]) -> usize {
    64 * bytes.len() + (1 << 16)
}

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a writable directory");
}

/// Tensors by name.
struct Named(Vec<(String, Tensor)>);

impl Module for Named {
    fn visit(&self, path: &mut backflow_tensor::Path, visitor: &mut dyn backflow_tensor::Visitor) {
        for (name, tensor) in &self.0 {
            path.inside(name, |path| tensor.visit(path, visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut backflow_tensor::Path, visitor: &mut dyn backflow_tensor::VisitorMut) {
        for (name, tensor) in &mut self.0 {
            path.inside(name, |path| tensor.visit_mut(path, visitor));
        }
    }
}

/// Numbers to the bit, whatever their type.
fn bits(tensor: &Tensor) -> Vec<u64> {
    match tensor.dtype() {
        DType::I64 => tensor.to_vec::<i64>().into_iter().map(|x| x as u64).collect(),
        DType::F32 => tensor.to_vec::<f32>().into_iter().map(|x| u64::from(x.to_bits())).collect(),
        DType::F64 => tensor.to_vec::<f64>().into_iter().map(f64::to_bits).collect(),
        DType::Bool => tensor.to_vec::<bool>().into_iter().map(u64::from).collect(),
    }
}

/// What the file of [`model`] holds, with a buffer behind its header.
const WEIGHTS: &str = r#"{"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}"#;

fn model() -> Named {
    let tensors = [("w", Tensor::ones([2, 1], DType::F32)), ("b", Tensor::ones([1], DType::F64))];
    Named(tensors.map(|(name, tensor)| (name.to_owned(), tensor.requires_grad())).into())
}

/// Headers with what is behind them.
fn headers() -> Vec<Seed> {
    let with = |header: &str, bytes: &[u8]| [header.as_bytes(), bytes].concat();
    let one = |name: &str, dtype: &str, shape: &str, len: usize| {
        let header =
            format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{len}]}}}}"#);
        with(&header, &vec![1; len])
    };
    let two = |offsets: [&str; 2]| {
        let [a, b] =
            offsets.map(|offsets| format!(r#"{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}"#));
        with(&format!(r#"{{"a":{a},"b":{b}}}"#), &[0; 8])
    };
    let metadata = r#"{"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
    vec![
        Seed::taken("a model", with(WEIGHTS, &[7; 16])),
        Seed::taken("nothing", "{}"),
        Seed::taken("metadata", with(metadata, &[0; 4])),
        Seed::taken("integers", one("i", "I64", "[1,2]", 16)),
        Seed::taken("switches", one("mask", "BOOL", "[3]", 3)),
        Seed::taken("two tensors", two(["[0,4]", "[4,8]"])),
        Seed::taken("BF16", one("x", "BF16", "[2]", 4)),
        Seed::taken("F16", one("x", "F16", "[2]", 4)),
        Seed::taken("I32", one("x", "I32", "[2]", 8)),
        Seed::taken("U8", one("x", "U8", "[2]", 2)),
        Seed::taken("the shape [2⁶⁴ − 1, 0]", one("x", "F32", "[18446744073709551615,0]", 0)),
        Seed::taken(
            "the shape [0, 2⁶³, 2⁶³]",
            one("x", "F32", "[0,9223372036854775808,9223372036854775808]", 0),
        ),
        Seed::taken("nine axes", one("x", "F32", "[1,1,1,1,1,1,1,1,1]", 4)),
        Seed::taken("a name of 65,536 bytes", one(&"n".repeat(65_536), "F32", "[1]", 4)),
        Seed::taken("a name that a terminal would obey", one(r"a\u001b[31m\u202e\nb", "F32", "[1]", 4)),
        Seed::taken("no name", one("", "F64", "[1]", 8)),
        Seed::refused("a shape whose product is 2⁶⁴", one("x", "F32", "[9223372036854775808,2]", 0)),
        Seed::refused("a shape whose bytes are 2⁶⁴", one("x", "F32", "[4611686018427387904]", 0)),
        Seed::refused("a size below 0", one("x", "F32", "[-1]", 4)),
        Seed::refused("an unknown type of 70,000 letters", one("x", &"F".repeat(70_000), "[1]", 4)),
        Seed::refused("a tensor twice in one place", two(["[0,8]", "[0,8]"])),
        Seed::refused("a hole", two(["[0,4]", "[5,8]"])),
        Seed::refused("offsets that fall", two(["[4,0]", "[4,8]"])),
        Seed::refused(
            "a name that a terminal would obey, without bytes",
            one(r"\u001b[31m\u202e\n", "F32", "[2]", 4),
        ),
        Seed::taken(
            "U64 beyond I64",
            with(r#"{"x":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}"#, &[255; 8]),
        ),
        Seed::taken("complex numbers", one("x", "C64", "[1]", 8)),
        Seed::refused("lists in lists", "[".repeat(10_000)),
    ]
}

/// Reads the file, and holds what comes to what is promised.
fn read_and_load(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write(path, bytes);
    let (read, peak) = with_peak(|| weights::read(path));
    assert!(peak <= allowance(bytes), "{} bytes made the reader hold {peak}", bytes.len());
    let lenient = Loading::new().prefix("m.").rename("*.v", "*").cast().ignore("x*").partial();
    let (loaded, peak) = with_peak(|| weights::load_with(&mut model(), path, &lenient));
    assert!(peak <= allowance(bytes), "{} bytes made the lenient loader hold {peak}", bytes.len());
    loaded.err().iter().for_each(|error| backflow_testkit::require_message(&without(path, error)));
    let mut model = model();
    let (loaded, peak) = with_peak(|| weights::load(&mut model, path));
    assert!(peak <= allowance(bytes), "{} bytes made the loader hold {peak}", bytes.len());
    let values: Vec<Vec<u64>> = model.0.iter().map(|(_, tensor)| bits(tensor)).collect();
    match (&read, &loaded) {
        (Ok(tensors), Ok(())) => {
            let of = |name: &str| {
                tensors.iter().find(|stored| stored.name == name).unwrap().tensor.as_ref().unwrap()
            };
            assert_eq!(values, ["w", "b"].map(|name| bits(of(name))), "loaded as it is read");
        }
        (_, Err(error)) => {
            assert_eq!(
                values,
                [vec![u64::from(1_f32.to_bits()); 2], vec![1_f64.to_bits()]],
                "a refused file changed it"
            );
            assert_eq!(read.is_ok(), matches!(error, StoreError::OtherModel { .. }), "{error}");
            backflow_testkit::require_message(&without(path, error));
        }
        (Err(error), Ok(())) => panic!("loaded what cannot be read: {error}"),
    }
    let stored = read.map_err(|error| without(path, &error))?;
    let known = |stored: &Stored| Some((stored.name.clone(), stored.tensor.clone()?));
    let known = Named(stored.iter().filter_map(known).collect());
    weights::save(&known, path).expect("what was read is written");
    let again = weights::read(path).expect("what was written is read");
    assert_eq!(again.len(), known.0.len());
    for (again, (name, tensor)) in again.iter().zip(&known.0) {
        let back = again.tensor.as_ref().expect("a type and a shape that there are");
        assert_eq!((&again.name, back.shape(), back.dtype()), (name, tensor.shape(), tensor.dtype()));
        assert_eq!(bits(back), bits(tensor), "{name}");
    }
    Ok(())
}

/// The message without the file's name, which is as long as it is.
fn without(path: &Path, error: &StoreError) -> String {
    error.to_string().replacen(&path.display().to_string(), "FILE", 1)
}

/// A file with this header, which ends with the last brace.
fn sealed_header(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.iter().rposition(|&byte| byte == b'}').map_or(bytes.len(), |last| last + 1);
    [&(len as u64).to_le_bytes(), bytes].concat()
}

#[test]
fn weights_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut seeds = headers();
    seeds.iter_mut().for_each(|seed| seed.bytes = sealed_header(&seed.bytes));
    seeds.extend([
        Seed::refused("empty", []),
        Seed::refused("a header of 2⁶⁴ − 1 bytes", [0xff; 16]),
        Seed::refused(
            "a header of 99 MB that is not there",
            [&99_000_000_u64.to_le_bytes()[..], b"{}"].concat(),
        ),
        Seed::refused("what torch.save writes", *b"PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl"),
        Seed::refused("what it wrote before", *b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."),
    ]);
    fuzz("safetensors", &seeds, 700, |bytes| read_and_load(&path, bytes));
    // Most of these are refused for their length; here that is always right.
    fuzz("safetensors, header", &headers(), 700, |bytes| read_and_load(&path, &sealed_header(bytes)));
}

fn parameters() -> Vec<Tensor> {
    vec![
        Tensor::from([[0.5_f32, -1.0, 2.0], [1.0, 0.25, -0.5]]).requires_grad(),
        Tensor::from([1.0_f32]).requires_grad(),
    ]
}

fn loss(model: &[Tensor]) -> Tensor {
    model[0].square().sum(..) * &model[1].sum(..).square() + model[0].sum(..)
}

/// States after no, one and three steps.
fn states(path: &Path, make: &dyn Fn() -> Optimizer) -> Vec<Vec<u8>> {
    let (mut optimizer, mut model) = (make(), parameters());
    let state = |steps: u64| {
        for _ in 0..steps {
            let report = optimizer.step_with(&mut model, |model| loss(model));
            optimizer.observe(report.loss.unwrap());
        }
        optimizer_state::save(&optimizer, path).unwrap();
        std::fs::read(path).unwrap()
    };
    [0, 1, 2].map(state).into()
}

/// The envelope around a payload, as an attacker would make it.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let (length, checksum) = ((payload.len() as u64).to_le_bytes(), crc32fast::hash(payload).to_le_bytes());
    [&b"BACKFLOWoptstate"[..], &2_u32.to_le_bytes(), &length, &checksum, payload].concat()
}

/// Loads the file, and holds what comes to what is promised.
fn continued(path: &Path, make: &dyn Fn() -> Optimizer, bytes: &[u8]) -> Result<(), String> {
    write(path, bytes);
    let (mut optimizer, mut model) = (make(), parameters());
    let (loaded, peak) = with_peak(|| optimizer_state::load(&mut optimizer, &model, path));
    assert!(peak <= allowance(bytes), "{} bytes made it hold {peak}", bytes.len());
    if let Err(error) = loaded {
        let state = optimizer.state();
        assert_eq!((state.steps, state.parameters.len()), (0, 0), "a refused file changed it");
        return Err(without(path, &error));
    }
    optimizer_state::save(&optimizer, path).expect("what was read is written");
    let written = std::fs::read(path).unwrap();
    let mut again = make();
    optimizer_state::load(&mut again, &model, path).expect("what was written is read");
    optimizer_state::save(&again, path).expect("what was read is written");
    assert_eq!(std::fs::read(path).unwrap(), written);
    // A state that could have been: what its numbers lead to is no panic.
    let report = optimizer.step_with(&mut model, |model| loss(model));
    optimizer.observe(report.loss.unwrap_or(0.0));
    Ok(())
}

#[test]
fn states_of_optimizers_are_read_or_refused() {
    let spec = |spec: &'static str| move || Optimizer::from_spec(spec, Some(0.01)).unwrap();
    let [adam, nadam, lbfgs] = ["adam", "nadam", "lbfgs:history_size=3,max_iter=2"].map(spec);
    let surrounded = || {
        spec("sgd:momentum=0.9")()
            .average(Averaging::Ema(0.9))
            .schedule(Plateau::new().patience(1).factor(0.5))
    };
    let subjects: [(&str, &dyn Fn() -> Optimizer); 4] =
        [("adam", &adam), ("nadam", &nadam), ("lbfgs", &lbfgs), ("surrounded sgd", &surrounded)];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.bin");
    for (name, make) in subjects {
        let files = states(&path, make);
        let [none, first, last] = [0, 1, 2].map(|state| files[state][HEADER..].to_vec());
        let count = |number: u64| [&number.to_le_bytes()[..], &last[8..]].concat();
        let seeds = [
            Seed::taken("before the first step", none),
            Seed::taken("after a step", first),
            Seed::taken("after three steps", last.clone()),
            Seed::taken("a whole file", files[2].clone()),
            Seed::refused("a whole file that is cut", &files[2][..files[2].len() - 1]),
            Seed::refused("a whole file of another kind", [b"BACKFLOW", &files[2][16..]].concat()),
            Seed::refused("empty", []),
            Seed::refused("2⁶⁴ − 1 steps", count(u64::MAX)),
            Seed::refused("a byte more", [&last[..], &[0]].concat()),
            Seed::refused(
                "2⁵⁶ numbers of the schedule",
                [&[0; 16][..], &(1_u64 << 56).to_le_bytes()].concat(),
            ),
        ];
        // What begins like a file is taken as one; of the others the checksum is always right.
        fuzz(&format!("state of {name}"), &seeds, 300, |bytes| match bytes.starts_with(b"BACKFLOW") {
            true => continued(&path, make, bytes),
            false => continued(&path, make, &sealed(bytes)),
        });
    }
}

const HEADER: usize = 32;

/// A file of a checkpoint with this table, and these bytes of sections.
fn checkpoint(table: &[u8], sections: &[u8]) -> Vec<u8> {
    let (length, checksum) = ((table.len() as u64).to_le_bytes(), crc32fast::hash(table).to_le_bytes());
    [&b"BACKFLOWcheckpnt"[..], &1_u32.to_le_bytes(), &length, &checksum, table, sections].concat()
}

/// A table of sections, each with its length and checksum.
fn table(step: u64, rows: &[(&str, u64, u32)]) -> Vec<u8> {
    let mut table = [step.to_le_bytes(), (rows.len() as u64).to_le_bytes()].concat();
    for (name, len, checksum) in rows {
        table.extend((name.len() as u64).to_le_bytes());
        table.extend(name.as_bytes());
        table.extend(len.to_le_bytes());
        table.extend(checksum.to_le_bytes());
    }
    table
}

/// Loads the checkpoint with all that its sections can be taken for, and holds what comes to what is promised.
fn loaded(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write(path, bytes);
    let (loaded, peak) = with_peak(|| Checkpoint::load(path));
    assert!(peak <= allowance(bytes), "{} bytes made it hold {peak}", bytes.len());
    let loaded = loaded.map_err(|error| without(path, &error))?;
    let mut model = model();
    let mut optimizer = Optimizer::from_spec("adam", None).unwrap();
    for name in loaded.names() {
        let _ = (loaded.tensors(name), loaded.numbers::<2>(name));
        let _ = loaded.rng(name).map(|mut rng| rng.below(7));
        let _ = (loaded.load_optimizer(name, &mut optimizer, &model), loaded.load_model(name, &mut model));
    }
    loaded.save(path).expect("what was read is written");
    let again = Checkpoint::load(path).expect("what was written is read");
    assert!(again == loaded);
    Ok(())
}

#[test]
fn checkpoints_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    let (text, zeros) = (crc32fast::hash(b"text"), crc32fast::hash(&[0; 56]));
    let mut whole = Checkpoint::new(3);
    whole.put_model("model", &model()).unwrap();
    whole.put_optimizer("optimizer", &Optimizer::from_spec("adam", None).unwrap()).unwrap();
    whole.put_numbers("position", [1, 2]);
    whole.save(&path).unwrap();
    let file = std::fs::read(&path).unwrap();
    let many: Vec<(&str, u64, u32)> = vec![("", 0, 0); 1001];
    let seeds = [
        Seed::taken("a whole file", file.clone()),
        Seed::taken("no section", checkpoint(&table(0, &[]), b"")),
        Seed::taken("a section", checkpoint(&table(7, &[("run", 4, text)]), b"text")),
        Seed::taken("a stream at its beginning", checkpoint(&table(7, &[("rng", 56, zeros)]), &[0; 56])),
        Seed::taken("in another order", checkpoint(&table(7, &[("b", 4, text), ("a", 0, 0)]), b"text")),
        Seed::refused("empty", []),
        Seed::refused("cut off", &file[..file.len() - 1]),
        Seed::refused("a byte more", [&file[..], &[0]].concat()),
        Seed::refused("of another kind", [b"BACKFLOWoptstate", &file[16..]].concat()),
        Seed::refused("2⁵⁶ sections", checkpoint(&[[0; 8], (1_u64 << 56).to_le_bytes()].concat(), b"")),
        Seed::refused("a section of 2⁶⁴ − 1 bytes", checkpoint(&table(7, &[("a", u64::MAX, text)]), b"text")),
        Seed::refused(
            "lengths whose sum is beyond its type",
            checkpoint(&table(7, &[("a", u64::MAX, text), ("b", 5, text)]), b"text"),
        ),
        Seed::refused("1001 sections", checkpoint(&table(7, &many), b"")),
        Seed::refused("a name twice", checkpoint(&table(7, &[("a", 4, text), ("a", 0, 0)]), b"text")),
        Seed::refused("a name of 256 bytes", checkpoint(&table(7, &[(&"n".repeat(256), 4, text)]), b"text")),
        Seed::refused("another checksum", checkpoint(&table(7, &[("\u{1b}[31m\n", 4, 1)]), b"text")),
        Seed::refused("more steps than can be", checkpoint(&table(u64::MAX, &[]), b"")),
    ];
    fuzz("checkpoint", &seeds, 300, |bytes| loaded(&path, bytes));
    // What has its checksum right is looked into.
    let tables = [
        Seed::taken("no section", table(0, &[])),
        Seed::taken("empty sections", table(1 << 53, &[("a", 0, 0), ("", 0, 0)])),
        Seed::refused("bytes that are not there", table(7, &[("a", 1, 0)])),
    ];
    fuzz("table of a checkpoint", &tables, 300, |bytes| loaded(&path, &checkpoint(bytes, b"")));
}
