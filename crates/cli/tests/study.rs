//! `backflow study` as a person or a script meets it: what it prints, what it leaves behind, how it fails.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn backflow(arguments: &str, folder: &Path) -> Output {
    let arguments = arguments.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_backflow")).args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a study with `--json` and these options, into `out`.
fn quick(options: &str, out: &str, folder: &Path) -> Value {
    let output = backflow(&format!("study --json --out {out} {options}"), folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{options}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    let saved = std::fs::read(folder.join(out).join("study.json")).unwrap();
    assert_eq!(object, serde_json::from_slice::<Value>(&saved).unwrap(), "what is printed is what is saved");
    object
}

#[test]
fn the_object_has_every_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let object = quick(
        "--activation tanh,relu --init xavier-uniform,orthogonal --depth 1,3 --width 8,16 --seeds 2",
        "out",
        folder.path(),
    );
    let configurations = object["configurations"].as_array().unwrap();
    let mut expected = Vec::new();
    for activation in ["tanh", "relu"] {
        for init in ["xavier-uniform", "orthogonal"] {
            for width in [8, 16] {
                expected.extend([1, 3].map(|depth| (activation, init, depth, width)));
            }
        }
    }
    assert_eq!(configurations.len(), expected.len());
    assert_eq!((&object["planned_configurations"], &object["interrupted"]), (&16.into(), &false.into()));
    assert_eq!(object["config"]["steps"], 0);
    for (configuration, (activation, init, depth, width)) in configurations.iter().zip(expected) {
        assert_eq!(
            (&configuration["activation"], &configuration["init"]),
            (&activation.into(), &init.into())
        );
        assert_eq!((&configuration["depth"], &configuration["width"]), (&depth.into(), &width.into()));
        for list in ["delta_rms", "activation_rms", "theory_delta_rms"] {
            let list = configuration[list].as_array().unwrap();
            assert_eq!(list.len(), depth + 1, "one for each linear layer: {configuration}");
            assert!(list[..depth].iter().all(|figure| figure.as_f64().unwrap() > 0.0));
        }
        for figure in ["slope_decades_per_layer", "theory_slope"] {
            assert_eq!(configuration[figure].is_number(), depth > 1, "{figure} in {configuration}");
        }
        let ratio = configuration["weight_gradient_ratio"].as_f64();
        assert_eq!(
            ratio.is_some_and(|ratio| ratio > 0.0),
            depth > 2,
            "of the second hidden layer and the last"
        );
        assert_eq!(configuration["saturated_share"].is_number(), activation == "tanh");
        assert!(configuration["verdict"].is_string());
        assert_eq!(configuration.get("training"), None);
    }
}

#[test]
fn measured_slopes_are_those_of_theory() {
    let folder = tempfile::tempdir().unwrap();
    let options = "--activation sigmoid,relu --init xavier-normal --depth 20 --width 256";
    let object = quick(options, "out", folder.path());
    let [sigmoid, relu] = [0, 1].map(|idx| &object["configurations"][idx]);
    let factor = 10_f64.powf(sigmoid["slope_decades_per_layer"].as_f64().unwrap());
    assert!((factor / 0.2361 - 1.0).abs() < 0.03, "{factor}");
    assert_eq!(sigmoid["verdict"], "VANISHING");
    // Xavier's weights with relu's gain are He's where layers are square. See the library's test for the
    // tolerance.
    assert!(relu["slope_decades_per_layer"].as_f64().unwrap().abs() < 0.015, "{relu}");
    assert_eq!(relu["verdict"], "HEALTHY");
}

#[test]
fn figures_are_the_same_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let figures = |threads: &str| {
        let options = format!(
            "--activation tanh,relu --depth 4 --width 32 --seeds 2 --steps 20 --optimizer muon --threads \
             {threads}"
        );
        let mut object = quick(&options, threads, folder.path());
        assert_eq!(object["config"]["threads"].to_string(), threads);
        [object["configurations"].take(), object["notes"].take()]
    };
    assert_eq!(figures("1"), figures("2"));
}

#[test]
fn without_options_the_textbooks_pair_is_concluded_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let output = backflow("study", folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no bar where there is no terminal");
    let printed = text(&output.stdout);
    let sentence = |start: &str| {
        printed.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {printed}"))
    };
    let sigmoid = sentence("sigmoid + xavier-uniform, 20 × 64: gradients vanish, to 0.2");
    assert!(sigmoid.contains("theory says -0.627"), "{sigmoid}");
    assert!(sigmoid.ends_with("it does not learn."), "{sigmoid}");
    let relu = sentence("relu + he-normal, 20 × 64: gradients neither vanish nor explode");
    assert!(relu.contains("theory says +0.000") && relu.ends_with("it learns."), "{relu}");
    sentence("A network counts as learning if");
    let row = sentence("sigmoid     xavier-uniform     20");
    assert!(row.contains("VANISHING") && row.ends_with("no"), "{row}");
    assert!(printed.ends_with("Curves and all figures: runs/study-embedded/study.html\n"), "{printed}");
    assert!(folder.path().join("runs/study-embedded/study.json").is_file());
}

#[test]
fn many_configurations_are_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        "--activation sigmoid,tanh --depth 2,6,8 --width 16 --seeds 1 --steps 2 --optimizer sgd --lr 1e-6";
    let object = quick(options, "out", folder.path());
    assert_eq!((&object["config"]["optimizer"], &object["config"]["lr"]), (&"sgd".into(), &1e-6.into()));
    let notes = object["notes"].to_string();
    for part in [
        "Of 6 configurations gradients vanish in 2",
        "most is lost by sigmoid",
        "Theory is off by",
        "0 of 2 learn where gradients vanish, and 0 of 4 elsewhere",
    ] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    for configuration in object["configurations"].as_array().unwrap() {
        let training = &configuration["training"];
        for figure in ["initial_loss", "final_loss", "initial_accuracy", "chance"] {
            assert!(training[figure].is_number(), "{figure} in {training}");
        }
        assert_eq!(
            training["flow"]["delta_rms"].as_array().unwrap().len() as u64,
            configuration["depth"].as_u64().unwrap() + 1
        );
        assert_eq!(training["learns"], false);
    }
}

#[test]
fn what_is_not_finite_is_null_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let object =
        quick("--activation sigmoid,tanh --init zeros --depth 5 --width 8 --seeds 1", "zeros", folder.path());
    let configuration = &object["configurations"][0];
    assert_eq!(configuration["verdict"], "CUT", "weights of 0 let nothing through in any type");
    for figure in ["slope_decades_per_layer", "theory_slope", "weight_gradient_ratio"] {
        assert_eq!(configuration[figure], Value::Null, "{figure}");
    }
    assert!(
        object["notes"][0].as_str().unwrap().contains("deltas are 0 or no numbers"),
        "{}",
        object["notes"]
    );
    // 0.2361 to the power of 100 is 10⁻⁶³, far below what an f32 can be; an f64 can.
    let object = quick("--activation sigmoid --depth 100 --width 8 --seeds 1", "deep", folder.path());
    assert_eq!(object["configurations"][0]["verdict"], "UNDERFLOW");
    assert_eq!(object["configurations"][0]["slope_decades_per_layer"], Value::Null);
    assert!(object["configurations"][0]["theory_slope"].is_number());
    // The evidence: the same deltas in f64, and where f32 loses them.
    let deep = &object["configurations"][0];
    let (own, shadow) = (&deep["delta_rms"], &deep["shadow_delta_rms"]);
    assert_eq!(shadow.as_array().unwrap().len(), 101);
    assert!(own[0] == 0.0 && shadow[0].as_f64().unwrap() > 0.0, "{own} {shadow}");
    let evidence = &deep["verdicts"][0]["shadow"];
    let layer = deep["verdicts"][0]["layer"].as_str().unwrap().strip_prefix("layers.").unwrap();
    let layer: usize = layer.parse().unwrap();
    assert_eq!((&evidence["delta_rms"], &evidence["delta_rms_f64"]), (&own[layer], &shadow[layer]));
    let note = object["notes"][0].as_str().unwrap();
    assert!(note.contains("gradients vanish") && note.contains("in f64 the first"), "{note}");
    assert!(note.contains("are too small for f32, which has") && !note.contains("guess"), "{note}");
    let object =
        quick("--activation sigmoid --depth 100 --width 8 --seeds 1 --dtype f64", "precise", folder.path());
    assert!(object["configurations"][0]["slope_decades_per_layer"].is_number());
    assert_eq!(object["configurations"][0]["verdict"], "VANISHING");
    assert_eq!(object["configurations"][0].get("shadow_delta_rms"), None);
    let object = quick(
        "--activation relu --depth 2 --width 8 --seeds 2 --steps 5 --optimizer sgd:lr=1e30",
        "lost",
        folder.path(),
    );
    let training = &object["configurations"][0]["training"];
    assert_eq!(
        (&training["diverged"], &training["final_loss"], &training["flow"]),
        (&2.into(), &Value::Null, &Value::Null)
    );
    assert!(object["notes"][0].as_str().unwrap().ends_with("diverged."), "{}", object["notes"]);
}

/// In notes, table, page and JSON alike: finite width, flat weight gradients, depth scales, and two words for
/// one network.
#[test]
fn what_figures_do_not_say_by_themselves_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let object = quick("--activation silu --init xavier-uniform --depth 80 --seeds 1", "silu", folder.path());
    let (configuration, note) = (&object["configurations"][0], object["notes"][0].as_str().unwrap());
    assert!(
        note.contains("theory leaves it to finite width") && note.contains("finite width decides"),
        "{note}"
    );
    assert_eq!(
        (&configuration["theory_slope"], &configuration["depth_in_scales"]),
        (&Value::Null, &Value::Null)
    );
    let measured = configuration["slope_decades_per_layer"].as_f64().unwrap();
    let [low, high] = [0, 1].map(|end| configuration["finite_width"]["slopes"][end].as_f64().unwrap());
    assert!(low < measured && measured < high, "{configuration}");
    let page = std::fs::read_to_string(folder.path().join("silu/study.html")).unwrap();
    for part in ["finite width decides", "-0.08 to +0.07"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("id=\"delta-80-64-t0\""), "no curve that contradicts");

    let options = "--activation gelu,sigmoid --init he-normal,lecun-normal:gain=1,xavier-normal --depth 20 --seeds 3 \
                   --width 64";
    let object = quick(options, "words", folder.path());
    let configurations = object["configurations"].as_array().unwrap();
    let gelu = &configurations[0];
    assert!(gelu["verdicts"][0]["flat_weight_gradients"].is_number(), "{gelu}");
    assert_eq!(configurations[3]["verdicts"][0].get("flat_weight_gradients"), None);
    assert!(gelu["depth_in_scales"].as_f64().unwrap() < 1.0 && gelu["depth_scale"].as_f64().unwrap() > 20.0);
    assert!((configurations[3]["depth_in_scales"].as_f64().unwrap() - 57.7).abs() < 0.5);
    let same = |key: &str| -> Vec<Option<u64>> {
        configurations.iter().map(|configuration| configuration.get(key).and_then(Value::as_u64)).collect()
    };
    assert_eq!(same("same_network_as"), [None, None, None, None, Some(3), None]);
    assert_eq!(same("same_hidden_layers_as"), [None, None, Some(0), None, None, Some(3)]);
    let notes = object["notes"].to_string();
    for part in [
        "sigmoid + he-normal, 20 × 64 and sigmoid + σ_w 1, 20 × 64 are the same network here",
        "gelu + he-normal, 20 × 64 and gelu + xavier-normal, 20 × 64 differ in the first and the last layer only",
        "so that weight gradients stay flat)",
    ] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    let few = quick("--activation gelu --init he-normal --depth 20", "few", folder.path());
    let note = few["notes"][0].as_str().unwrap();
    assert!(note.contains("may learn all the same") && !note.contains("gradients vanish"), "{note}");
}

#[test]
fn the_page_needs_nothing_from_outside_and_shows_every_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let options = "--activation sigmoid,tanh,leaky-relu:0.2 --init orthogonal,constant:0.1 --depth 2,5 \
                   --width 8 --seeds 1 --steps 1";
    quick(options, "out", folder.path());
    let page = std::fs::read_to_string(folder.path().join("out/study.html")).unwrap();
    let (page, script) = page.split_once("<script>").unwrap();
    assert!(!["http", "fetch(", "import", "<script"].iter().any(|outside| script.contains(outside)));
    for outside in ["http:", "https:", "url(h", "<script", "<link", "@import", "src=", "NaN", "inf "] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<tr class=\"r").count(), 12);
    // Slopes and accuracies against depth, slopes against theory, and for each depth three over layers.
    assert_eq!(page.matches("<figure ").count(), 9);
    for size in [1, 2] {
        for series in 0..6 {
            let measured = format!("id=\"delta-{size}-s{series}\"");
            assert!(page.contains(&measured), "{measured}");
            let theory = format!("id=\"delta-{size}-t{series}\"");
            assert_eq!(page.contains(&theory), series % 2 == 0, "constant weights have no theory: {theory}");
        }
    }
    assert!(page.contains("leaky-relu:0.2"));
}

#[test]
fn bad_input_ends_with_one_line_and_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::fs::create_dir(folder.path().join("other")).unwrap();
    std::fs::write(folder.path().join("other/precious.txt"), "").unwrap();
    let cases = [
        ("--activation rellu", 2, "rellu"),
        ("--activation relu,,tanh", 2, "nothing between two commas"),
        ("--activation relu,relu", 2, "relu is there twice"),
        ("--init he", 2, "there is no initialiser `he`"),
        (
            "--init he-normal:gain=-1",
            2,
            "he-normal: gain=-1 is not possible; expected 0, or a number from 1e-100 to 1e100",
        ),
        ("--init he-normal:gain=1,bias=2", 2, "he-normal has no setting \"bias\"; it has gain"),
        ("--depth 0", 2, "'0' is not a number of hidden layers; write whole numbers from 1 to 10000"),
        ("--depth -3", 2, "'-3' is not a number of hidden layers"),
        ("--depth 2,x", 2, "'x' is not a number of hidden layers"),
        ("--depth 99999999999999999999", 2, "is not a number of hidden layers"),
        ("--width 0", 2, "'0' is not a number of units"),
        ("--width 4000000000", 2, "is not a number of units"),
        (
            "--depth 10000 --width 1048576",
            2,
            "--depth 10000 --width 1048576: more than 1,000,000,000 weights",
        ),
        ("--seeds 0", 2, "expected a whole number from 1 up"),
        ("--steps -1", 2, "expected a whole number from 0 up"),
        ("--steps 1 --optimizer adamx", 2, "--optimizer: there is no optimizer \"adamx\""),
        ("--steps 1 --lr 0", 2, "expected a positive number"),
        (
            "--steps 1 --optimizer sgd:lr=1 --lr 2",
            2,
            "--lr: --optimizer sgd:lr=1 states the learning rate already",
        ),
        ("--depth 2 --optimizer sgd", 2, "--optimizer: only a training has one; say how long with --steps"),
        ("--steps 0 --batch-size 3", 2, "--batch-size: only a training has one"),
        ("--steps 0 --accumulate 3", 2, "--accumulate: only a training has one"),
        ("--data nowhere", 1, "nowhere"),
        ("--depth 2 --out file", 1, "file: is a file; choose another name for the folder of the study"),
        ("--depth 2 --out other", 1, "other: is not empty and holds no earlier study"),
        ("--dpeth 2", 2, "--dpeth"),
    ];
    for (options, code, part) in cases {
        let output = backflow(&format!("study {options}"), folder.path());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options}: {error}");
        assert!(error.starts_with("backflow: ") && error.contains(part), "{options}: {error}");
        assert_eq!(error.lines().count(), 1, "{options}: {error}");
        assert_eq!(text(&output.stdout), "", "{options}");
    }
    assert!(!folder.path().join("runs").exists(), "nothing is left behind by a wrong command line");
}

/// Once a configuration is complete it is kept; before that, an earlier study stays as it was.
#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_complete_and_nothing_less() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    let earlier = quick("--activation tanh --depth 2 --width 4 --seeds 1", "out", folder.path());
    let saved = || -> Value {
        serde_json::from_slice(&std::fs::read(folder.path().join("out/study.json")).unwrap())
            .expect("never half a file")
    };
    // The narrow network is done in a moment, the wide one takes minutes.
    for (widths, complete) in [("2048", 0), ("1,2048", 1)] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
        let options =
            format!("study --activation relu --depth 2 --seeds 1 --steps 2000 --out out --width {widths}");
        program.args(options.split(' ')).current_dir(folder.path());
        let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        let mut conclusion = String::new();
        // Ctrl-C is listened to before the first line is printed.
        printed.read_line(&mut conclusion).unwrap();
        while complete == 1 && saved() == earlier {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        printed.read_to_string(&mut conclusion).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        let (message, sentence) = if complete == 0 {
            ("no configuration was finished, and nothing was written", "No configuration was finished")
        } else {
            ("1 of 2 configurations is complete, and kept in out", "Interrupted: 1 of 2 configurations")
        };
        assert_eq!(text(&output.stderr), format!("backflow: interrupted; {message}\n"));
        assert!(conclusion.contains(sentence), "{conclusion}");
        let object = saved();
        if complete == 0 {
            assert_eq!(object, earlier);
        } else {
            assert_eq!(object["interrupted"], true);
            assert_eq!(object["configurations"].as_array().unwrap().len(), 1);
        }
    }
}

/// Ranges stand for their values, and standard deviations for initial weights.
#[test]
fn a_walk_over_the_phase_diagram() {
    let folder = tempfile::tempdir().unwrap();
    let object = quick(
        "--activation tanh --sigma-w 0.5..2@4 --sigma-b 0,0.05 --depth 2..6:2 --width 8 --seeds 1 --limit 100",
        "walk",
        folder.path(),
    );
    let configurations = object["configurations"].as_array().unwrap();
    let inits: Vec<&str> = configurations.iter().map(|of| of["init"].as_str().unwrap()).step_by(3).collect();
    let gains = ["0.5", "1", "1.5", "2"];
    let expected: Vec<String> = gains
        .iter()
        .map(|gain| format!("lecun-normal:gain={gain}"))
        .chain(gains.iter().map(|gain| format!("lecun-normal:gain={gain},bias_var=0.0025")))
        .collect();
    assert_eq!(inits, expected);
    let depths: Vec<u64> = configurations[..3].iter().map(|of| of["depth"].as_u64().unwrap()).collect();
    assert_eq!((configurations.len(), depths), (24, vec![2, 4, 6]));
    // A map for each variance of biases, and where trainable networks end.
    assert_eq!(object["trainable_depths"].as_array().unwrap().len(), 2);
    let page = std::fs::read_to_string(folder.path().join("walk/study.html")).unwrap();
    assert_eq!(page.matches("<figure data-name=\"map-slope-").count(), 2);
    // At σ_w = 1 without biases tanh is critical.
    let slope = |of: &Value| of["theory_slope"].as_f64().unwrap();
    assert!(slope(&configurations[0]) < -0.2 && slope(&configurations[9]) > 0.05, "{configurations:?}");
}
