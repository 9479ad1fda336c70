//! Files whose names, types or number of tensors are not the model's: what is loaded, what is said, and that a model into
//! which nothing can be loaded is as it was.

use backflow_store::weights::{self, CastTensor, Difference, Loading};
use backflow_store::{StoreError, atomic};
use backflow_tensor::{DType, Module, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Named = BTreeMap<&'static str, Tensor>;

/// Parameters of one number each.
fn model(values: &[(&'static str, f32)]) -> Named {
    values.iter().map(|&(name, value)| (name, Tensor::from([value]).requires_grad())).collect()
}

fn value(tensor: &Tensor) -> f64 {
    tensor.to_f64_vec()[0]
}

fn folder_with(state: &impl Module) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    weights::save(state, &path).unwrap();
    (folder, path)
}

/// A file of these tensors, each of one element of these bytes.
fn foreign(tensors: &[(&str, Dtype, &[u8])]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let view = |&(name, dtype, bytes)| (name, TensorView::new(dtype, vec![1], bytes).unwrap());
    let file = safetensors::serialize(tensors.iter().map(view).collect::<Vec<_>>(), None).unwrap();
    atomic::write(&path, &file).unwrap();
    (folder, path)
}

/// Loads what cannot be, and holds the model to be as it was.
#[track_caller]
fn refused(model: &mut Named, path: &Path, loading: &Loading) -> (Difference, String) {
    let before: Vec<f64> = model.values().map(value).collect();
    let error = weights::load_with(model, path, loading).unwrap_err();
    let same = model.values().map(value).zip(before).all(|(now, before)| now == before);
    assert!(same, "{error}");
    let text = error.to_string();
    match error {
        StoreError::OtherModel { difference, .. } => (*difference, text),
        other => panic!("{other}"),
    }
}

#[test]
fn all_that_differs_is_told_at_once() {
    let (_folder, path) = folder_with(&Named::from([
        ("a", Tensor::from([1.0_f32, 2.0])),
        ("b", Tensor::from([1.0])),
        ("d", Tensor::from([1.0_f32])),
        ("e", Tensor::from([1.0_f32])),
        ("right", Tensor::from([5.0_f32])),
    ]));
    let mut model = model(&[("a", 0.0), ("b", 0.0), ("c", 0.0), ("f", 0.0), ("right", 0.0)]);
    let (difference, text) = refused(&mut model, &path, &Loading::new());
    let mismatched = [
        "a is [2] F32, the model's is [1] f32",
        "b is [1] F64, the model's is [1] f32, which a cast would make of it",
    ];
    assert_eq!(difference.missing, ["c", "f"]);
    assert_eq!(difference.extra, ["d", "e"]);
    assert_eq!(difference.mismatched, mismatched);
    assert_eq!(difference.holds, ["a", "b", "d", "e", "right"]);
    let expected =
        format!("missing: c, f; the model has no d, e; {}; the model is unchanged", mismatched.join("; "));
    assert!(text.ends_with(&expected), "{text}");
    // In part, types and shapes must agree all the same.
    let (difference, _) = refused(&mut model, &path, &Loading::new().partial());
    assert_eq!((difference.missing.len(), difference.extra.len(), difference.mismatched.len()), (0, 0, 2));
}

/// The message has what a line bears, the error all.
#[test]
fn of_many_names_all_are_in_the_error() {
    let names: Vec<&'static str> =
        (0..300).map(|n| &*Box::leak(format!("layer.{n}").into_boxed_str())).collect();
    let (_folder, path) = folder_with(&model(&[("x", 1.0)]));
    let mut many = names.iter().map(|name| (*name, Tensor::from([0.0_f32]))).collect();
    let (difference, text) = refused(&mut many, &path, &Loading::new());
    assert_eq!(difference.missing.len(), 300);
    assert!(text.contains("missing: layer.0, ") && text.contains(" more; the model has no x"), "{text}");
    backflow_testkit::require_message(text.rsplit('/').next().unwrap());
}

#[test]
fn names_lose_a_prefix_and_are_renamed() {
    let file = [("net.a.gamma", 1.0), ("net.a.beta", 2.0), ("net.b.gamma", 3.0), ("head.w", 4.0)];
    let (_folder, path) = folder_with(&model(&file));
    let mut small = model(&[("a.weight", 0.0), ("a.bias", 0.0), ("b.weight", 0.0)]);
    let loading = Loading::new().prefix("net.").rename("*.gamma", "*.weight").rename("*.beta", "*.bias");
    let report = weights::load_with(&mut small, &path, &loading).unwrap();
    assert_eq!(small.values().map(value).collect::<Vec<_>>(), [2.0, 1.0, 3.0]);
    assert!(small.values().all(Tensor::is_parameter));
    assert_eq!((report.loaded, &*report.left), (3, &["head.w".to_owned()][..]));
    assert_eq!(report.to_string(), "3 tensors loaded\nleft in the file: head.w");
    // Names of the file are told as they are there.
    let mut wider = Named::from([("a.weight", Tensor::from([0.0_f32; 2]))]);
    let (difference, _) = refused(&mut wider, &path, &loading);
    assert_eq!(difference.extra, ["net.a.beta", "net.b.gamma"]);
    assert_eq!(
        difference.mismatched,
        ["net.a.gamma (a.weight of the model) is [1] F32, the model's is [2] f32"]
    );
    // Two names become one.
    let (difference, _) = refused(&mut small, &path, &Loading::new().rename("net.*.gamma", "a.weight"));
    assert_eq!(difference.mismatched, ["net.a.gamma and net.b.gamma of the file both become a.weight"]);
    // What the user has probably forgotten.
    let (difference, text) = refused(&mut model(&[("a.gamma", 0.0)]), &path, &Loading::new());
    assert_eq!(difference.prefix.as_deref(), Some("net."));
    assert!(text.contains("with the prefix \"net.\" all would be there"), "{text}");
    let (difference, _) = refused(&mut model(&[("a.gamma", 0.0), ("z", 0.0)]), &path, &Loading::new());
    assert_eq!(difference.prefix, None);
}

#[test]
fn other_types_are_cast_when_asked_for_and_said() {
    let [two, ten] = [2.5_f64, 0.1].map(f64::to_le_bytes);
    let (_folder, path) = foreign(&[
        ("bf16", Dtype::BF16, &[0xc0, 0x3f]),
        ("f16", Dtype::F16, &[0, 0xbe]),
        ("f64", Dtype::F64, &ten),
        ("f64 of few digits", Dtype::F64, &two),
        ("i32", Dtype::I32, &[7, 0, 0, 0]),
        ("steps", Dtype::I32, &[9, 0, 0, 0]),
        ("u8", Dtype::U8, &[200]),
    ]);
    let mut all = model(&[
        ("bf16", 0.0),
        ("f16", 0.0),
        ("f64", 0.0),
        ("f64 of few digits", 0.0),
        ("i32", 0.0),
        ("u8", 0.0),
    ]);
    all.insert("steps", Tensor::from([0_i64]).buffer());
    let (difference, _) = refused(&mut all, &path, &Loading::new());
    assert_eq!(difference.mismatched.len(), 7, "{difference:?}");
    let report = weights::load_with(&mut all, &path, &Loading::new().cast()).unwrap();
    let values: Vec<f64> = all.values().map(value).collect();
    assert_eq!(values, [1.5, -1.5, f64::from(0.1_f32), 2.5, 7.0, 9.0, 200.0]);
    assert!(all["bf16"].is_parameter() && all["steps"].is_buffer() && all["steps"].dtype() == DType::I64);
    let cast = |name: &str, from: &str, rounded| CastTensor {
        name: name.to_owned(),
        from: from.to_owned(),
        to: DType::F32,
        rounded,
    };
    assert_eq!(report.cast[..3], [cast("bf16", "BF16", 0), cast("f16", "F16", 0), cast("f64", "F64", 1)]);
    let said = "cast from F64 to f32, 1 number rounded: f64, f64 of few digits\ncast from I32 to f32, no number \
                changed: i32\ncast from I32 to i64, no number changed: steps";
    assert!(report.to_string().contains(said), "{report}");
}

#[test]
fn no_cast_makes_infinities_or_integers_of_fractions() {
    let (_folder, path) = folder_with(&Named::from([
        ("fraction", Tensor::from([0.5])),
        ("large", Tensor::from([1e39])),
        ("truth", Tensor::from([true])),
    ]));
    let mut all = model(&[("large", 0.0), ("truth", 0.0)]);
    all.insert("fraction", Tensor::from([0_i64]).buffer());
    let (difference, _) = refused(&mut all, &path, &Loading::new().cast());
    assert_eq!(
        difference.mismatched,
        [
            "fraction is [1] F64, the model's is [1] i64, and there is no cast",
            "large is [1] F64, the model's is [1] f32, which does not hold its 1e39",
            "truth is [1] BOOL, the model's is [1] f32, and there is no cast",
        ]
    );
}

#[test]
fn what_is_ignored_is_neither_read_nor_missed() {
    let (_folder, path) = folder_with(&model(&[("a", 1.0), ("position_ids", 2.0), ("steps", 3.0)]));
    let mut some = model(&[("a", 0.0), ("b.count", 7.0), ("steps", 8.0)]);
    let loading = Loading::new().ignore("position_ids").ignore("*.count").ignore("steps");
    let report = weights::load_with(&mut some, &path, &loading).unwrap();
    assert_eq!(some.values().map(value).collect::<Vec<_>>(), [1.0, 7.0, 8.0]);
    assert_eq!(report.to_string(), "1 tensor loaded\nignored: position_ids, steps, b.count");
    let (difference, _) = refused(&mut some, &path, &Loading::new().ignore("*count"));
    assert_eq!(difference.extra, ["position_ids"]);
}

#[test]
fn in_part_something_is_loaded_or_it_is_an_error() {
    let (_folder, path) = folder_with(&model(&[("a", 1.0), ("head", 2.0)]));
    let mut other = model(&[("a", 0.0), ("new", 7.0)]);
    let report = weights::load_with(&mut other, &path, &Loading::new().partial()).unwrap();
    assert_eq!(other.values().map(value).collect::<Vec<_>>(), [1.0, 7.0]);
    assert_eq!((report.loaded, &*report.kept[0], &*report.left[0]), (1, "new", "head"));
    assert_eq!(
        report.to_string(),
        "1 tensor loaded\nnot in the file, as before: new\nleft in the file: head"
    );
    let (difference, text) = refused(&mut model(&[("x", 0.0)]), &path, &Loading::new().partial());
    assert_eq!(difference.missing, ["x"]);
    assert!(text.contains("missing: x; the file holds a, head;"), "{text}");
}

/// A tie holds whatever is ignored of it, and under the name that is there.
#[test]
fn a_tied_weight_stays_one() {
    let (_folder, path) = folder_with(&model(&[("embedding", 1.0), ("decoder", 2.0)]));
    let w = Tensor::from([0.0_f32]).requires_grad();
    let mut tied = Named::from([("embedding", w.clone()), ("decoder", w)]);
    let (difference, _) = refused(&mut tied, &path, &Loading::new());
    let expected = ["decoder and embedding are one tensor of the model and two in the file"];
    assert_eq!(difference.mismatched, expected);
    let report = weights::load_with(&mut tied, &path, &Loading::new().ignore("decoder")).unwrap();
    assert!(tied["embedding"].is_alias_of(&tied["decoder"]) && value(&tied["decoder"]) == 1.0);
    assert_eq!(report.loaded, 2);
}

#[test]
fn a_sequential_is_counted_as_the_model_counts() {
    let (_folder, path) = folder_with(&model(&[("0.weight", 1.0), ("3.weight", 2.0), ("3.bias", 3.0)]));
    let mut list = model(&[("layers.0.weight", 0.0), ("layers.1.weight", 0.0), ("layers.1.bias", 0.0)]);
    weights::load(&mut list, &path).unwrap();
    assert_eq!(list.values().map(value).collect::<Vec<_>>(), [1.0, 3.0, 2.0]);
    let report = weights::load_with(&mut list, &path, &Loading::new()).unwrap();
    assert_eq!(report.to_string(), "3 tensors loaded\nnumbers of a Sequential: 0 is layers.0, 3 is layers.1");
    let mut other = model(&[("layers.0.weight", 0.0), ("layers.1.weight", 0.0)]);
    let (difference, _) = refused(&mut other, &path, &Loading::new());
    assert_eq!(difference.extra, ["0.weight", "3.bias", "3.weight"]);
}

#[test]
fn a_pickle_is_called_one_with_the_python_that_makes_a_file_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    for bytes in
        [&b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl"[..], b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."]
    {
        atomic::write(&path, bytes).unwrap();
        for error in
            [weights::load(&mut model(&[("x", 1.0)]), &path).unwrap_err(), weights::read(&path).unwrap_err()]
        {
            let said = r#"torch.load("model.pt", weights_only=True).items()}, "model.safetensors")"#;
            assert!(
                matches!(error, StoreError::Pickle { .. }) && error.to_string().ends_with(said),
                "{error}"
            );
        }
    }
    // The length of a header, 640, which begins as a pickle does.
    atomic::write(&path, &[&640_u64.to_le_bytes()[..], b"{}"].concat()).unwrap();
    assert!(matches!(weights::read(&path).unwrap_err(), StoreError::Weights { .. }));
}
