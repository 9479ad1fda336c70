//! What the sources of this workspace do not do.

use backflow_tensor::catalogue::CATALOGUE;
use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of crates").to_owned()
}

/// Every Rust file below a folder, by its path from the folder of crates, without comments.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("text");
                let code: Vec<&str> =
                    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
                let name = path.strip_prefix(crates()).expect("below it").to_string_lossy().into_owned();
                found.push((name, code.join("\n")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn the_core_does_not_know_who_looks_on() {
    let mut broken = Vec::new();
    for (path, code) in sources(&crates().join("tensor/src")) {
        let is_core = !path.starts_with("tensor/src/watch/") && path != "tensor/src/lib.rs";
        if is_core && code.contains("watch::") {
            broken.push(path);
        }
    }
    assert!(broken.is_empty(), "{broken:?} import from watch/");
}

/// Where names are compared all the same, and why.
const ALLOWED: [(&str, &str); 1] = [(
    "probe/src/layer_kind.rs",
    "logs of the first version, which have the names of layers and not their roles",
)];

/// An op is a value: whoever wants to know which it is asks [`backflow_tensor::Op`].
#[test]
fn no_name_is_compared_to_learn_what_an_op_is() {
    let names: Vec<&str> = CATALOGUE.iter().map(|op| op.name).chain(["leaf", "checkpoint"]).collect();
    let mut broken = Vec::new();
    for folder in ["tensor/src", "probe/src", "train/src"] {
        for (path, code) in sources(&crates().join(folder)) {
            if ALLOWED.iter().all(|(allowed, _)| *allowed != path) {
                let compared = names.iter().filter(|name| is_compared(&code, name));
                broken.extend(compared.map(|name| format!("{path} compares {name:?}")));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Whether a string is matched or compared with this literal, or looked for in a list that holds it.
fn is_compared(code: &str, name: &str) -> bool {
    let literal = format!("\"{name}\"");
    code.match_indices(&literal).any(|(place, _)| {
        let (before, after) = (&code[..place], &code[place + literal.len()..]);
        let before = before.trim_end_matches(|c: char| c.is_whitespace() || c == '&');
        let before = before.strip_suffix("Some(").unwrap_or(before).trim_end();
        let (line_before, after) = (before.rsplit(';').next().unwrap_or(""), after.trim_start());
        let rest = after.split(';').next().unwrap_or("");
        let in_list = line_before.rsplit('[').next().is_some_and(|list| !list.contains(']'))
            && rest.split_once(']').is_some_and(|(_, then)| then.starts_with(".contains("));
        ["==", "!=", "|", "@", "eq("].iter().any(|sign| before.ends_with(sign)) && !before.ends_with("||")
            || ["=>", "| ", "==", "!=", "if "].iter().any(|sign| after.starts_with(sign))
            || line_before.ends_with(".contains(")
            || in_list
    })
}

#[test]
fn comparisons_are_told_from_names() {
    for compares in [
        "op == \"relu\"",
        "match op { \"relu\" => 1, _ => 2 }",
        "matches!(op, \"tanh\" | \"relu\")",
        "Some(id, kind @ \"relu\")",
        "name.as_deref() == Some(\"relu\")",
        "[\"tanh\", \"relu\"].contains(&op)",
        "names.contains(&\"relu\")",
        "if \"relu\" != op {}",
    ] {
        assert!(is_compared(compares, "relu"), "{compares}");
    }
    for names in ["Op::new(\"relu\")", "misuse(\"relu\", \"text\", &rows, \"\")", "(\"relu\", x.relu())"] {
        assert!(!is_compared(names, "relu"), "{names}");
    }
}
