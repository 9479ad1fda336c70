//! Files of models whose fields hold one tensor twice.

use backflow_store::weights::Stored;
use backflow_store::{StoreError, atomic, weights};
use backflow_tensor::{DType, Module, Tensor};
use std::path::PathBuf;

/// A tied weight at 0 and 2, and another parameter.
fn tied(w: f64, other: f64) -> Vec<Tensor> {
    let w = Tensor::from([w]).requires_grad();
    vec![w.clone(), Tensor::from([other]).requires_grad(), w]
}

/// The same paths, all different tensors.
fn apart(values: [f64; 3]) -> Vec<Tensor> {
    values.map(|value| Tensor::from([value]).requires_grad()).into()
}

fn values(model: &[Tensor]) -> Vec<f64> {
    model.iter().map(Tensor::item).collect()
}

/// A model at some of the paths 0, 1, 2.
struct Part(Vec<(&'static str, Tensor)>);

impl Module for Part {
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

fn file(model: &impl Module) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    weights::save(model, &path).unwrap();
    (folder, path)
}

#[test]
fn a_tied_weight_is_in_the_file_under_all_its_names() {
    let (_folder, path) = file(&tied(1.0, 2.0));
    let names: Vec<String> = weights::read(&path).unwrap().into_iter().map(|stored| stored.name).collect();
    assert_eq!(names, ["0", "1", "2"]);
}

#[test]
fn a_tied_model_is_read_from_one_name_or_from_all() {
    let constant = |value: f64| Tensor::from([value]);
    let files = [
        file(&tied(5.0, 6.0)),
        file(&apart([5.0, 6.0, 5.0])),
        file(&Part(vec![("0", constant(5.0)), ("1", constant(6.0))])),
        file(&Part(vec![("1", constant(6.0)), ("2", constant(5.0))])),
    ];
    for (idx, (_folder, path)) in files.iter().enumerate() {
        for is_frozen in [false, true] {
            let mut model = tied(1.0, 2.0);
            if is_frozen {
                model.freeze();
            }
            weights::load(&mut model, path).unwrap_or_else(|error| panic!("file {idx}: {error}"));
            assert_eq!(values(&model), [5.0, 6.0, 5.0], "file {idx}");
            assert!(
                model[0].is_alias_of(&model[2]) && model[0].shares_elements_with(&model[2]),
                "file {idx}"
            );
            assert_eq!(model.parameters().len(), if is_frozen { 0 } else { 2 }, "file {idx}");
        }
    }
}

#[test]
fn different_numbers_for_one_weight_are_refused() {
    let (_folder, path) = file(&apart([5.0, 6.0, 7.0]));
    let mut model = tied(1.0, 2.0);
    let error = weights::load(&mut model, &path).unwrap_err();
    assert!(error.to_string().contains("0 and 2 are one tensor of the model and two in the file"), "{error}");
    assert_eq!(values(&model), [1.0, 2.0, 1.0]);
    assert!(model[0].is_alias_of(&model[2]));
    // Constants that happen to be one tensor, as zeros that were cloned, become two.
    model.freeze();
    weights::load(&mut model, &path).unwrap();
    assert_eq!(values(&model), [5.0, 6.0, 7.0]);
}

#[test]
fn a_name_that_is_missing_altogether_is_named() {
    let (_folder, path) = file(&Part(vec![("1", Tensor::from([6.0]))]));
    let error = weights::load(&mut tied(1.0, 2.0), &path).unwrap_err();
    assert!(error.to_string().contains("missing: 0, 2; the file holds 1;"), "{error}");
}

#[test]
fn two_tensors_with_one_path_are_neither_saved_nor_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Part(vec![("w", Tensor::from([1.0])), ("w", Tensor::from([2.0]))]);
    let path = folder.path().join("model.safetensors");
    let error = weights::save(&model, &path).unwrap_err();
    let source = std::error::Error::source(&error).expect("a reason").to_string();
    assert_eq!(source, "two different tensors have the path w");
    assert!(!path.exists());
    weights::save(&Part(vec![("w", Tensor::from([1.0]))]), &path).unwrap();
    let error = weights::load(&mut model, &path).unwrap_err();
    assert!(error.to_string().contains("two different tensors of the model have the path w"), "{error}");
}

/// One thing differs each time, and the model is as it was.
#[test]
fn another_shape_or_type_or_one_tensor_more_is_refused() {
    let tensor = |shape: &[usize], dtype: DType| Tensor::full(shape, 2.0, dtype).requires_grad();
    let bias = || tensor(&[3], DType::F32);
    let others = [
        ("shape", vec![tensor(&[3, 2], DType::F32), bias()]),
        ("type", vec![tensor(&[2, 3], DType::F64), bias()]),
        ("one more", vec![tensor(&[2, 3], DType::F32), bias(), bias()]),
        ("one less", vec![tensor(&[2, 3], DType::F32)]),
    ];
    for (what, other) in others {
        let mut model: Vec<Tensor> =
            [&[2, 3][..], &[3]].map(|shape| Tensor::ones(shape, DType::F32).requires_grad()).into();
        let (_folder, path) = file(&other);
        let error = weights::load(&mut model, &path).unwrap_err();
        assert!(matches!(error, StoreError::OtherModel { .. }), "{what}: {error}");
        assert!(model.iter().all(|tensor| tensor.to_f64_vec().iter().all(|&x| x == 1.0)), "{what}");
    }
}

/// Files that another program wrote.
#[test]
fn any_tensor_that_there_is_here_is_read_and_the_others_are_told() {
    use safetensors::tensor::{Dtype, TensorView};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let read = |dtype, shape: &[usize], bytes: &[u8]| {
        let view = |bytes| TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        let one = Tensor::ones([1], DType::F64);
        let beside = TensorView::new(Dtype::F64, vec![1], &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]).unwrap();
        let file = safetensors::serialize([("x", view(bytes)), ("y", beside)], None).unwrap();
        atomic::write(&path, &file).unwrap();
        let [x, y]: [Stored; 2] = weights::read(&path).unwrap().try_into().unwrap();
        assert_eq!(
            (y.name.as_str(), y.tensor.unwrap().item()),
            ("y", one.item()),
            "{dtype:?} hides the next"
        );
        assert_eq!((x.name.as_str(), &x.shape[..]), ("x", shape));
        (x.dtype, x.tensor)
    };
    let (dtype, tensor) = read(Dtype::BOOL, &[4], &[0, 1, 1, 0]);
    assert_eq!((dtype.as_str(), tensor.unwrap().to_vec::<bool>()), ("BOOL", vec![false, true, true, false]));
    let (dtype, tensor) = read(Dtype::I64, &[1, 2], &[[5_u8, 0, 0, 0, 0, 0, 0, 0], [0xff; 8]].concat());
    assert_eq!((dtype.as_str(), tensor.unwrap().to_vec::<i64>()), ("I64", vec![5, -1]));
    assert_eq!(read(Dtype::F32, &[1; 8], &1.5_f32.to_le_bytes()).1.unwrap().rank(), 8);
    // In the type that holds all of theirs.
    let f32s = |tensor: Option<Tensor>| tensor.unwrap().to_vec::<f32>();
    let halves = [0x3c00_u16, 0x8001, 0xfc00].map(u16::to_le_bytes).concat();
    assert_eq!(f32s(read(Dtype::F16, &[3], &halves).1), [1.0, -5.960_464_5e-8, f32::NEG_INFINITY]);
    let bf16 = [0x3f80_u16, 0x8001, 0x7f7f].map(u16::to_le_bytes).concat();
    assert_eq!(f32s(read(Dtype::BF16, &[3], &bf16).1), [1.0, -9.183_55e-41, 3.389_531_4e38]);
    let ones = |dtype, bytes: &[u8]| read(dtype, &[1], bytes).1.map(|tensor| tensor.to_vec::<i64>()[0]);
    for (dtype, bytes, value) in [(Dtype::I32, 4, -1), (Dtype::I16, 2, -1), (Dtype::I8, 1, -1)] {
        assert_eq!(ones(dtype, &[0xff; 8][..bytes]), Some(value), "{dtype:?}");
    }
    for (dtype, bytes, value) in
        [(Dtype::U8, 1, 255), (Dtype::U16, 2, 65_535), (Dtype::U32, 4, i64::from(u32::MAX))]
    {
        assert_eq!(ones(dtype, &[0xff; 8][..bytes]), Some(value), "{dtype:?}");
    }
    assert_eq!(ones(Dtype::U64, &[1, 0, 0, 0, 0, 0, 0, 0]), Some(1));
    // Numbers, types and shapes that there are not here.
    let (told, tensor) = read(Dtype::C64, &[1], &[0; 8]);
    assert!(ones(Dtype::U64, &[0xff; 8]).is_none() && told == "C64" && tensor.is_none(), "{told}");
    assert!(read(Dtype::F32, &[1; 9], &1.5_f32.to_le_bytes()).1.is_none());
    assert!(read(Dtype::F32, &[usize::MAX, 0], &[]).1.is_none());
}
