//! Model lines: what they are built into, and what is said of wrong ones.

use backflow_nn::{Activation, Init, LineError, Mlp, ModelLine, Module, Plan, SettingKind, WORDS};
use backflow_tensor::observe::{Announcement, Observer, Site, observe};
use backflow_tensor::{DType, LayerId, Rng, Tensor};
use std::collections::BTreeMap;

fn plan(line: &str, input: &[usize], classes: usize) -> Result<Plan, LineError> {
    line.parse::<ModelLine>()?.plan(input, classes)
}

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

/// Lines with the shape of their inputs, all to 10 outputs.
const LINES: &[(&str, &[usize])] = &[
    ("mlp:32", &[784]),
    ("mlp:16,8,activation=leaky-relu:0.2", &[2, 5, 5]),
    ("linear:10", &[1, 6, 6]),
    ("[linear:7/tanh]*3/linear:10,bias=false", &[12]),
    ("[[linear:4/relu]*2/dropout]*2/[linear:3]*0/linear:10", &[4]),
    ("conv:4,kernel=3x2,stride=2,padding=1/relu/flatten/linear:10", &[3, 9, 8]),
    (
        "conv:6,padding=same,groups=3,dilation=2/dropout2d:0.1/conv:2,1,bias=false/flatten/linear:10",
        &[3, 7, 7],
    ),
    ("linear:8/residual:factor=0.5(linear:8/selu/linear:8)/residual(tanh/linear:10)", &[8]),
    ("residual(conv:4,3,padding=1/relu/residual(conv:4,padding=1))/flatten/linear:10", &[4, 5, 5]),
    ("residual(conv:6,stride=2,padding=1,bias=false/batchnorm)/relu/flatten/linear:10", &[4, 7, 8]),
    (
        "batchnorm/layernorm/rmsnorm/groupnorm:2/instancenorm/flatten/batchnorm/layernorm/linear:10",
        &[4, 3, 5],
    ),
    ("cnn", &[1, 12, 11]),
    ("cnn", &[3, 28, 28]),
    ("resnet:8", &[3, 9, 12]),
    ("maxpool:3,stride=2,padding=1/avgpool/adaptiveavgpool:2x1/flatten/linear:10", &[2, 9, 11]),
    ("residual(conv:6,stride=2,padding=1/relu/conv:6,padding=1)/flatten/linear:10", &[4, 7, 8]),
];

/// The shapes of outputs, by layer.
#[derive(Default)]
struct Shapes(BTreeMap<LayerId, Vec<usize>>);

impl Observer for Shapes {
    fn output(&mut self, site: &Site, _: &Announcement, y: &Tensor) {
        let Site::Layer(id) = site else { panic!("{site:?} is no layer") };
        self.0.insert(*id, y.shape()[1..].to_vec());
    }

    fn gradient(&mut self, _: &Site, _: Option<u64>, _: &Tensor) {}
}

/// Rows are the layers of the network: their paths, the shapes of their outputs, their parameters.
#[test]
fn tables_say_what_is_built() {
    for (line, input) in LINES {
        let plan = plan(line, input, 10).unwrap_or_else(|error| panic!("{line}: {error}"));
        let model = plan.build(Init::TorchLinear, DType::F64, &mut rng());
        let batch: Vec<usize> = std::iter::once(3).chain(input.iter().copied()).collect();
        let (shapes, y) = observe(Shapes::default(), || model.forward(&Tensor::ones(batch, DType::F64)));
        assert_eq!(y.shape(), [3, 10], "{line}");
        let layers: Vec<(String, Vec<usize>)> =
            model.layers().into_iter().map(|(path, id)| (path, shapes.0[&id].clone())).collect();
        let mut rows = plan.rows();
        // It only looks at its input in another way, and announces nothing.
        rows.retain(|row| row.layer != "flatten");
        // The layers of a perceptron come before its activations in the fields.
        rows.sort_by_key(|row| layers.iter().position(|(path, _)| *path == row.path));
        let planned: Vec<_> = rows.iter().map(|row| (row.path.clone(), row.shape.clone())).collect();
        assert_eq!(planned, layers, "{line}");
        for row in rows {
            let own = |path: &String| path.rsplit_once('.').is_some_and(|(parent, _)| parent == row.path);
            let parameters = model.parameters().into_iter().filter(|(path, _)| own(path));
            let (mut count, mut multiply_adds) = (0, 0);
            for (path, parameter) in parameters {
                count += parameter.elements();
                let places: usize = row.shape[1..].iter().product();
                let is_map = path.ends_with("weight") && !row.layer.contains("norm");
                multiply_adds += if is_map { parameter.elements() * places } else { 0 };
            }
            assert_eq!((row.parameters, row.multiply_adds), (count, multiply_adds), "{line}: {}", row.path);
        }
    }
}

/// PyTorch's example for MNIST, and He et al.'s for CIFAR: numbers of parameters as PyTorch counts them. Ours of 20
/// layers has 2,752 more than with shortcuts without parameters: two projections of 16 · 32 and 32 · 64 weights, and
/// their norms.
#[test]
fn whole_networks_are_those_of_the_field() {
    let parameters = |line: &str, input: &[usize]| -> usize {
        plan(line, input, 10).unwrap().rows().iter().map(|row| row.parameters).sum()
    };
    assert_eq!(parameters("cnn", &[1, 28, 28]), 1_199_882);
    let shapes: Vec<_> =
        plan("cnn", &[1, 28, 28], 10).unwrap().rows().into_iter().map(|row| row.shape).collect();
    assert_eq!(shapes[4..7], [vec![64, 12, 12], vec![64, 12, 12], vec![9216]]);
    let without_projections = 269_722;
    assert_eq!(parameters("resnet:20", &[3, 32, 32]), without_projections + 2752);
    let rows = plan("resnet:20", &[3, 32, 32], 10).unwrap().rows();
    let layers = rows.iter().filter(|row| row.layer.starts_with("conv") || row.layer.starts_with("linear"));
    assert_eq!(layers.count(), 20);
    let projected: Vec<_> =
        rows.iter().filter(|row| row.layer == "projection").map(|row| row.path.as_str()).collect();
    assert_eq!(projected, ["9.shortcut.0", "15.shortcut.0"]);
}

/// A table has a row for each layer, and one with sums.
#[test]
fn a_plan_is_shown_as_a_table() {
    let shown = plan("conv:8,stride=2/relu/flatten/linear:10", &[1, 28, 28], 10).unwrap().to_string();
    let expected = "\
path  layer            shape        parameters  multiply-adds
0     conv:8,stride=2  [8, 13, 13]          80          12168
1     relu             [8, 13, 13]           0              0
2     flatten          [1352]                0              0
3     linear:10        [10]              13530          13520
all                                      13610          25688
";
    assert_eq!(shown, expected);
    // Settings that have no room in 80 columns go on below.
    let shown = plan("resnet:8", &[1, 28, 28], 10).unwrap().to_string();
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let expected = "\
3.0           conv:16,stride=1,          [16, 28, 28]        2304        1806336
              padding=1,bias=false
";
    assert!(shown.contains(expected), "{shown}");
}

/// The word is the network of the same sizes, with its paths; written out it has the same numbers.
#[test]
fn a_perceptron_is_one_however_it_is_written() {
    let numbers = |model: &dyn backflow_nn::Layer| -> Vec<_> {
        model.state().into_iter().map(|(_, tensor)| tensor.to_vec::<f32>()).collect()
    };
    for init in [Init::HeNormal, Init::Orthogonal, Init::TorchLinear] {
        let built = |line: &str| plan(line, &[1, 4, 5], 10).unwrap().build(init, DType::F32, &mut rng());
        let word = built("mlp:16,12,activation=tanh");
        let model = Mlp::new(&[20, 16, 12, 10], Activation::Tanh, init, DType::F32, &mut rng());
        let paths = |model: &dyn backflow_nn::Layer| -> Vec<_> {
            model.state().into_iter().map(|(path, _)| path).collect()
        };
        assert_eq!((paths(&*word), numbers(&*word)), (paths(&model), numbers(&model)));
        assert_eq!(numbers(&*built("linear:16/tanh/linear:12/tanh/linear:10")), numbers(&model));
        // It takes images as they are.
        let x = Tensor::randn([3, 1, 4, 5], DType::F32, &mut rng());
        let y = word.forward(&x).to_vec::<f32>();
        assert_eq!(y, model.forward(&x.flatten(1)).to_vec::<f32>());
    }
}

/// `{…}` stands for text that is not known yet.
/// Weights are drawn for the function that follows, and the identity is none.
#[test]
fn the_identity_has_no_gain_of_its_own() {
    let gains = |line: &str| -> Vec<f64> {
        let plan = plan(line, &[6], 3).unwrap();
        plan.rows().into_iter().filter(|row| row.layer.starts_with("linear")).map(|row| row.gain).collect()
    };
    let relu = Activation::Relu.gain();
    assert_eq!(gains("linear:8/identity/relu/linear:3"), [relu; 2]);
    assert_eq!(gains("linear:8/identity/linear:3"), [1.0; 2]);
    assert_eq!(
        plan("linear:8/identity/relu/linear:3", &[6], 3).unwrap().activation(),
        Some(Activation::Relu)
    );
}

#[test]
fn placeholders_are_filled_with_text() {
    let text = "[conv:{width},padding=1/{function}]*{depth}/flatten/linear:10 {open";
    assert_eq!(ModelLine::placeholders(text), ["width", "function", "depth"]);
    let value = |name: &str| match name {
        "width" => Some("8".to_owned()),
        "function" => Some("leaky-relu:0.1".to_owned()),
        _ => None,
    };
    let filled = ModelLine::filled(text, value);
    assert_eq!(filled, "[conv:8,padding=1/leaky-relu:0.1]*{depth}/flatten/linear:10 {open");
    let several = ModelLine::several("mlp:64 ; linear:7/relu/linear:10").unwrap();
    assert_eq!(
        several.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["mlp:64", "linear:7/relu/linear:10"]
    );
}

/// Each says where it is in the text and what would be right, before anything is computed.
#[test]
fn errors_point_at_the_place() {
    // The line, the marked part, and how the message begins.
    let image: &[usize] = &[3, 8, 8];
    let cases: &[(&str, &[usize], &str, &str)] = &[
        (
            "linear:8/rellu",
            image,
            "rellu",
            "there is no word \"rellu\"; did you mean relu? There are mlp, cnn, ",
        ),
        ("linear:8//relu", image, "", "a word is missing here"),
        ("", image, "", "a word is missing here"),
        (
            "linear:8/{norm}/relu",
            image,
            "{norm}",
            "nothing stands for this placeholder: only `study` fills them",
        ),
        (
            "[linear:{width}/relu]*2",
            image,
            "{width}",
            "nothing stands for this placeholder: only `study` fills",
        ),
        ("linear", image, "linear", "linear needs outputs, an integer from 1 to 1048576"),
        ("linear:0", image, "0", "outputs of linear is an integer from 1 to 1048576"),
        (
            "conv:8,kernal=3",
            image,
            "kernal=3",
            "conv has no setting \"kernal\"; did you mean kernel? It has channels, ",
        ),
        ("relu:1", image, "1", "relu has no settings; write it alone"),
        ("dropout:0.5,2", image, "2", "dropout has p, and no more settings"),
        ("relu:slope=1", image, "slope=1", "relu has no setting \"slope\"; it has none"),
        ("conv:8,channels=9", image, "channels=9", "channels is given twice"),
        (
            "conv:8,padding=sane",
            image,
            "padding=sane",
            "padding of conv is an integer from 0 to 1048576, rows and columns as in padding=1x0, or padding=same",
        ),
        (
            "conv:8,padding:same",
            image,
            "padding:same",
            "kernel of conv is an integer from 1 to 1048576, or rows and columns as in 3x5; padding is written padding=same",
        ),
        (
            "conv:8,same",
            image,
            "same",
            "kernel of conv is an integer from 1 to 1048576, or rows and columns as in 3x5; padding is written padding=same",
        ),
        (
            "mlp:8*0",
            image,
            "8*0",
            "sizes of mlp is integers from 1 to 1048576, of which 64*8 are eight of 64",
        ),
        (
            "conv:8,padding:sane",
            image,
            "padding:sane",
            "kernel of conv is an integer from 1 to 1048576, or rows and columns as in 3x5",
        ),
        ("mlp:8*4000,8*1000", image, "8*1000", "more than 4999 sizes of mlp"),
        ("mlp:8*5000", image, "8*5000", "more than 4999 sizes of mlp"),
        ("mlp:8*99999999999999", image, "8*99999999999999", "more than 4999 sizes of mlp"),
        (
            "resnet:9002",
            image,
            "resnet:9002",
            "more than 10000 words when it is written out; make the network shallower",
        ),
        ("dropout:1.5", image, "1.5", "p of dropout is a number from 0 to 1"),
        ("linear:8,bias=no", image, "bias=no", "bias of linear is true or false"),
        ("relu(tanh)", image, "relu", "relu takes nothing in parentheses"),
        (
            "residual/relu",
            image,
            "residual",
            "its layers are missing, as in residual(linear:64/tanh/linear:64)",
        ),
        ("residual(tanh/relu", image, "", "`)` is missing, which ends what stands in residual"),
        ("[tanh/relu*3", image, "*", ""),
        ("[tanh]/relu", image, "", "`*` is missing, as in [linear:64/tanh]*20"),
        ("[tanh]*many", image, "many", "a group is repeated 0 to 10000 times"),
        ("[[tanh]*500]*500", image, "500", "more than 10000 words in all"),
        (
            "sequential([tanh]*9000)/sequential([tanh]*9000)",
            image,
            "sequential",
            "more than 10000 words in all, repetitions written out; repeat less",
        ),
        ("residual([tanh]*9000)/residual([tanh]*9000)", image, "residual", "more than 10000 words in all"),
        ("[sequential([sequential([tanh]*99)]*99)]*2", image, "2", "more than 10000 words in all"),
        ("relu)", image, ")", "this does not belong here"),
        ("relu/mlp:3", image, "mlp:3", "mlp is a whole network, and stands alone"),
        (
            "conv:8/linear:10",
            image,
            "linear:10",
            "a linear layer takes rows of numbers, and gets [8, 6, 6]; put flatten",
        ),
        ("linear:10/conv:8", image, "conv:8", "it takes images [channels, rows, columns], and gets [10]"),
        ("conv:8,kernel=9", image, "conv:8,kernel=9", "no room: windows of 9 × 9 on images of 8 × 8"),
        ("conv:8,groups=2", image, "conv:8,groups=2", "3 channels in and 8 out cannot be cut into 2 groups"),
        (
            "conv:8,stride=2,padding=same",
            image,
            "conv:8,stride=2,padding=same",
            "padding=same is for strides of 1",
        ),
        ("linear:12", image, "linear:12", "the network ends in [12], and the data need [10]"),
        (
            "residual(conv:3)",
            image,
            "residual",
            "no projection makes [3, 6, 6] of [3, 8, 8], as the branch does; let the branch keep rows and columns",
        ),
        (
            "residual(flatten)",
            image,
            "residual",
            "no projection makes [192] of [3, 8, 8], as the branch does",
        ),
        ("groupnorm:2", image, "groupnorm:2", "3 channels cannot be cut into 2 groups"),
        ("maxpool:8/instancenorm", image, "instancenorm", "one pixel is its own mean"),
        ("resnet:18", image, "resnet:18", "the depth is 6n + 2: 8, 14, 20"),
        ("cnn", &[1, 5, 5], "cnn", "no room: windows of 2 × 2 on images of 1 × 1; make kernel"),
        ("cnn", &[784], "cnn", "it takes images [channels, rows, columns], and gets [784]; write it before"),
        ("conv:8/maxpool:7", image, "maxpool:7", "no room: windows of 7 × 7 on images of 6 × 6"),
        ("maxpool:2,padding=2", image, "maxpool:2,padding=2", "the padding is more than half a window"),
        (
            "[conv:1,1,padding=1048576]*9/linear:10",
            image,
            "conv:1,1,padding=1048576",
            "more than 4000000000 numbers of a sample up to this layer of [1, ",
        ),
        // None by itself, and all together.
        (
            "conv:64,padding=1000/[relu]*99/flatten/linear:10",
            image,
            "relu",
            "more than 4000000000 numbers of a sample up to this layer of [64, 2006, 2006]; make the network smaller",
        ),
        (
            "linear:30000/residual(linear:30000/relu)/linear:30000/linear:10",
            &[1],
            "linear:30000",
            "more than 1000000000 parameters up to this layer of [30000]; make the network smaller",
        ),
    ];
    for (line, input, part, what) in cases {
        let error = plan(line, input, 10).map(|_| ()).expect_err(line);
        let (before, length) = error.place();
        if *part != "*" {
            assert_eq!((error.part(), error.what().starts_with(what)), (*part, true), "{line}: {error}");
        }
        let at: String = line.chars().skip(before).take(length).collect();
        assert_eq!(at, error.part(), "{line}");
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("column {}", before + 1)) && !shown.contains('\n'), "{shown}");
        assert_eq!(error.marked().unwrap().lines().count(), 2, "{line}");
    }
    // Columns are characters.
    let error = "relu/ βηta".parse::<ModelLine>().unwrap_err();
    assert_eq!((error.place(), error.part()), ((6, 4), "βηta"));
    assert_eq!("\u{1b}[31m".parse::<ModelLine>().unwrap_err().marked(), None);
}

/// The longest lines are planned and built; what is longer is refused by its words or its letters.
#[test]
fn lines_are_as_long_as_may_be() {
    let long = plan("[linear:1]*9999/linear:1", &[1], 1).unwrap();
    assert_eq!(long.rows().len(), 10_000);
    assert_eq!(long.build(Init::Zeros, DType::F32, &mut rng()).parameter_count(), 20_000);
    let perceptron = plan("mlp:8*3,4", &[5], 2).unwrap();
    assert_eq!(perceptron.perceptron().unwrap().0, [5, 8, 8, 8, 4, 2]);
    let deepest = plan("mlp:1*4999", &[1], 1).unwrap();
    assert_eq!(deepest.perceptron().unwrap().0.len(), 5001);
    let zeros = "0".repeat(200);
    let error = format!("[linear:{zeros}8]*9999").parse::<ModelLine>().unwrap_err();
    assert!(error.what().starts_with("more than 1000000 letters in all"), "{error}");
}

/// Every word has settings that are read as they stand in the table, and a help of one line.
#[test]
fn words_are_a_table() {
    for word in WORDS {
        assert!(!word.help.is_empty() && !word.help.contains('\n'), "{}", word.name);
        assert_eq!(WORDS.iter().filter(|other| other.name == word.name).count(), 1, "{}", word.name);
        let example = |kind: SettingKind| match kind {
            SettingKind::Count | SettingKind::Counts | SettingKind::Pair => "8",
            SettingKind::Zeros | SettingKind::Padding => "1",
            SettingKind::Probability | SettingKind::Number => "0.5",
            SettingKind::Flag => "true",
            SettingKind::Function => "relu",
            SettingKind::FlagOrAuto => "auto",
            SettingKind::Init => "orthogonal",
        };
        let branch = if ["residual", "sequential"].contains(&word.name) { "(relu)" } else { "" };
        let of = |settings: Vec<String>| format!("{}:{}{branch}", word.name, settings.join(","));
        let values = word.settings.iter().map(|setting| example(setting.kind).to_owned()).collect();
        let named = word.settings.iter().map(|setting| format!("{}={}", setting.name, example(setting.kind)));
        let required = word.settings.iter().filter(|setting| setting.default.is_none());
        let least = required.map(|setting| example(setting.kind).to_owned()).collect::<Vec<_>>();
        let mut lines = vec![of(named.collect())];
        if !word.settings.iter().any(|setting| setting.kind == SettingKind::Counts) {
            lines.push(of(values));
        }
        lines.push(if least.is_empty() { format!("{}{branch}", word.name) } else { of(least) });
        for line in lines.iter().filter(|line| !line.ends_with(':') && !line.contains(":(")) {
            line.parse::<ModelLine>().unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
