//! ARCHITECTURE.md says what is: its arrows are those of the manifests, and its paths lead to files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Who uses whom.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn page() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap()
}

/// The lines of the first block of code behind this sentence.
fn block<'a>(page: &'a str, sentence: &str) -> Vec<&'a str> {
    let (_, rest) = page.split_once(sentence).unwrap_or_else(|| panic!("no \"{sentence}\""));
    rest.split("```").nth(1).unwrap().trim().lines().collect()
}

/// The arrows of the picture, from the top down.
fn drawn() -> Vec<(String, BTreeSet<String>)> {
    let page = page();
    let lines = block(&page, "Arrows point down only");
    let arrows = lines.into_iter().map(|line| {
        let (user, used) = line.split_once('→').unwrap_or_else(|| panic!("no arrow in \"{line}\""));
        (user.trim().to_owned(), used.split(',').map(|name| name.trim().to_owned()).collect())
    });
    arrows.collect()
}

/// What the manifests say, without what only tests and builds need.
fn real() -> Arrows {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let question = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let answer = Command::new(cargo).args(question).current_dir(ROOT).output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let short = |name: &str| name.strip_prefix("backflow-").unwrap_or(name).to_owned();
    let packages = answer["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let used = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let normal = all.filter(|used| used["kind"].is_null()).map(|used| used["name"].as_str().unwrap());
        normal.filter(|name| names.contains(name)).map(short).collect::<BTreeSet<String>>()
    };
    let arrows = packages.iter().map(|package| (short(package["name"].as_str().unwrap()), used(package)));
    arrows.filter(|(_, used)| !used.is_empty()).collect()
}

#[test]
fn the_arrows_are_those_of_the_manifests() {
    let (drawn, real): (Arrows, Arrows) = (drawn().into_iter().collect(), real());
    let pairs = |arrows: &Arrows| -> BTreeSet<String> {
        let of = |(user, used): (&String, &BTreeSet<String>)| {
            used.iter().map(|used| format!("{user} → {used}")).collect::<Vec<_>>()
        };
        arrows.iter().flat_map(of).collect()
    };
    let (drawn, real) = (pairs(&drawn), pairs(&real));
    let missing = real.difference(&drawn).map(|arrow| {
        format!("{arrow} is in a manifest and not in ARCHITECTURE.md: do without it, or decide to draw it")
    });
    let superfluous = drawn
        .difference(&real)
        .map(|arrow| format!("{arrow} is in ARCHITECTURE.md and in no manifest: take it out of the picture"));
    let wrong: Vec<String> = missing.chain(superfluous).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn arrows_point_down() {
    let drawn = drawn();
    for (place, (user, used)) in drawn.iter().enumerate() {
        let up = drawn[..=place].iter().find(|(above, _)| used.contains(above));
        assert!(up.is_none(), "{user} uses {}, which stands above it in ARCHITECTURE.md", up.unwrap().0);
    }
}

#[test]
fn paths_lead_to_files() {
    let page = page();
    let words = page.split('`').skip(1).step_by(2);
    let paths = words.filter(|word| word.contains('/') && !word.contains(' '));
    let absent: Vec<&str> = paths
        .filter(|path| ["crates/", "tests/", "src/", "scripts/"].iter().any(|begin| path.starts_with(begin)))
        .filter(|path| !Path::new(ROOT).join(path).exists())
        .collect();
    assert!(absent.is_empty(), "ARCHITECTURE.md names what is not there: {}", absent.join(", "));
}

/// What two branches wrote in one place is put together, and not left side by side.
#[test]
fn no_document_is_left_half_merged() {
    let entries = std::fs::read_dir(ROOT).expect("the folder of the workspace");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let documents: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    assert!(documents.len() >= 4, "{documents:?}");
    for path in documents {
        let text = std::fs::read_to_string(&path).expect("text");
        let marks = ["<<<<<<< ", ">>>>>>> "];
        let left = text.lines().find(|line| marks.iter().any(|mark| line.starts_with(mark)));
        assert_eq!(left, None, "{}", path.display());
    }
}
