//! What the sources of this workspace do not do.

use backflow::nn::Activation;
use backflow::tensor::catalogue::CATALOGUE;
use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates")
}

/// The Rust files of `src` of these crates, by their path from the folder of crates, without comments and
/// inline tests.
fn sources(names: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = names.iter().map(|name| crates().join(name).join("src")).collect();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("text");
                let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                let code: Vec<&str> =
                    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
                let name = path.strip_prefix(crates()).expect("below it").to_string_lossy();
                found.push((name.replace('\\', "/"), code.join("\n")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The sources of every crate.
fn all_sources() -> Vec<(String, String)> {
    let entries = fs::read_dir(crates()).expect("the folder of crates");
    let names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    let found = sources(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(found.len() > 100, "{} files were read", found.len());
    found
}

#[test]
fn the_core_does_not_know_who_looks_on() {
    let mut broken = Vec::new();
    for (path, code) in sources(&["tensor"]) {
        let is_core = !path.starts_with("tensor/src/watch/") && path != "tensor/src/lib.rs";
        if is_core && code.contains("watch::") {
            broken.push(path);
        }
    }
    assert!(broken.is_empty(), "{broken:?} import from watch/");
}

/// Where names are compared all the same: logs of the first version have the names of layers and not their
/// roles.
const BORDER: &str = "probe/src/layer_kind.rs";

/// The files that compare one of these names, each with the name.
fn comparisons(sources: Vec<(String, String)>, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, code) in sources {
        let compared = names.iter().filter(|name| is_compared(&code, name));
        found.extend(compared.map(|name| format!("{path} compares {name:?}")));
    }
    found
}

/// An op is a value: whoever wants to know which it is asks [`backflow::tensor::Op`].
#[test]
fn no_name_is_compared_to_learn_what_an_op_is() {
    let names: Vec<&str> = CATALOGUE.iter().map(|op| op.name).chain(["leaf", "checkpoint"]).collect();
    let mut found = comparisons(sources(&["tensor", "probe", "train"]), &names);
    found.retain(|found| !found.starts_with(BORDER));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A layer has a role, which says how it is to be treated.
#[test]
fn no_name_is_compared_to_learn_what_a_layer_is() {
    let names: Vec<&str> = Activation::ALL.iter().map(|it| it.name()).chain(["linear", "named"]).collect();
    let found = comparisons(all_sources(), &names);
    let (at_the_border, elsewhere): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| found.starts_with(BORDER));
    assert!(!at_the_border.is_empty(), "{BORDER} reads no old logs");
    assert!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
}

/// Whether a string is matched or compared with this literal, or looked for in a list that holds it.
fn is_compared(code: &str, name: &str) -> bool {
    let literal = format!("\"{name}\"");
    code.match_indices(&literal).any(|(place, _)| {
        let (before, after) = (&code[..place], &code[place + literal.len()..]);
        let before = before.trim_end_matches(|c: char| c.is_whitespace() || c == '&');
        // A pattern or an expression `Some("…")` stands for the literal.
        let (before, after) = match before.strip_suffix("Some(") {
            Some(before) => (before.trim_end(), after.strip_prefix(')').unwrap_or(after)),
            None => (before, after),
        };
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
        "match name { Some(\"relu\") => 1, _ => 2 }",
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
