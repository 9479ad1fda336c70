//! `backflow inspect FILE --flow`: what flows in a network whose weights are in a file.

mod program;

use backflow_data::{Loader, Mnist};
use backflow_nn::{Activation, BatchNorm2d, Conv2d, Flatten, Init, Linear, Mlp, Module, Sequential};
use backflow_probe::GradFlow;
use backflow_store::weights;
use backflow_tensor::{DType, Rng};
use program::{backflow, text};
use serde_json::Value;
use std::path::Path;

fn mlp(dtype: DType) -> Mlp {
    Mlp::new(&[784, 16, 10], Activation::Relu, Init::TorchLinear, dtype, &mut Rng::seed_from_u64(3))
}

fn inspect(arguments: &[&str], folder: &Path) -> std::process::Output {
    backflow(&[&["inspect", "model.safetensors", "--flow"], arguments].concat(), folder)
}

fn object(arguments: &[&str], folder: &Path) -> Value {
    let output = inspect(&[arguments, &["--json"]].concat(), folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_is_the_flow_of_the_network_that_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    for (dtype, named) in [(DType::F32, "f32"), (DType::F64, "f64")] {
        let model = mlp(dtype);
        weights::save(&model, folder.path().join("model.safetensors")).unwrap();
        let batch = Loader::new(&Mnist::embedded().train.first(20), 20).dtype(dtype).batch(0, 0);
        let flow = GradFlow::record(&model, || model.forward(&batch.inputs).cross_entropy(&batch.targets));
        let shown = object(&["--model", "mlp:16", "--batch-size", "20"], folder.path());
        assert_eq!(shown["layers"], serde_json::to_value(flow.rows()).unwrap(), "{named}");
        assert_eq!(shown["record"]["loss"], flow.step().loss);
        assert_eq!(shown["loading"], serde_json::json!(["4 tensors loaded"]));
        let output = inspect(&["--model", "mlp:16", "--batch-size", "20"], folder.path());
        let shown = text(&output.stdout);
        assert!(shown.contains(&format!("mlp:16, {named}; on 20 examples of embedded\n")), "{shown}");
        let table: Vec<String> = flow.lines(None);
        assert!(table.iter().all(|line| shown.contains(line)), "{shown}");
    }
}

#[test]
fn names_of_another_program_are_found_and_a_page_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::seed_from_u64(3);
    let (conv, fc) = (Conv2d::new(1, 4, 3, &mut rng), Linear::new(4 * 26 * 26, 10, &mut rng));
    let net = std::collections::BTreeMap::from([
        ("model.bn", Box::new(BatchNorm2d::new(4)) as Box<dyn Module>),
        ("model.conv1", Box::new(conv.clone())),
        ("model.fc", Box::new(fc.clone())),
    ]);
    weights::save(&net, folder.path().join("model.safetensors")).unwrap();
    let line = ["--model", "conv:4/batchnorm/relu/flatten/linear:10"];
    let names =
        ["--prefix", "model.", "--rename", "conv1.*=0.*", "--rename", "bn.*=1.*", "--rename", "fc.*=4.*"];
    let shown = object(&[&line[..], &names].concat(), folder.path());
    assert_eq!(shown["loading"][0], "9 tensors loaded");
    // The same network under the names that it has here.
    let same = Sequential::new().add(conv).add(BatchNorm2d::new(4)).add(Activation::Relu);
    weights::save(&same.add(Flatten::new()).add(fc), folder.path().join("model.safetensors")).unwrap();
    let arguments = [&line[..], &["--report", "page.html", "--svg", "figures"]].concat();
    assert_eq!(object(&arguments, folder.path())["layers"], shown["layers"]);
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("A network from a file") && page.contains("conv:4/batchnorm"));
    assert!(folder.path().join("figures/deltas.svg").is_file());
}

#[test]
fn what_cannot_be_loaded_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    weights::save(&mlp(DType::F32), folder.path().join("model.safetensors")).unwrap();
    let refused = |arguments: &[&str], code: i32, part: &str| {
        let output = inspect(arguments, folder.path());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.starts_with("backflow: ") && said.lines().count() == 1 && said.contains(part), "{said}");
    };
    let wide = "layers.0.weight is [16, 784] F32, the model's is [8, 784] f32; layers.0.bias is [16] F32";
    refused(&["--model", "mlp:8"], 1, wide);
    refused(&["--model", "mlp:16", "--prefix", "net."], 1, "missing: layers.0.weight, layers.0.bias, ");
    refused(&[], 2, "--model <LINE> is missing");
    refused(&["--model", "mlp:16", "--rename", "a=*"], 2, "TO has more * than FROM");
    refused(&["--model", "mlp:16", "--step", "3"], 2, "are for the folder of a run");
    let no_weights = ["--model", "adaptiveavgpool:2x5/flatten", "--ignore", "*"];
    refused(&no_weights, 2, "adaptiveavgpool:2x5/flatten has no weights");
    refused(&["--model", "mlp:16", "."], 2, "--flow: model.safetensors is not the one file of weights");
}
