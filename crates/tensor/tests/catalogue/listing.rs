//! The catalogue is complete, and says what it must.

use backflow_tensor::catalogue::CATALOGUE;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files of `ops/` that hold no op but what several share.
const SHARED: [&str; 9] = [
    "mod",
    "binary",
    "elementwise",
    "formula",
    "normalization",
    "operators",
    "recurrent",
    "reduction",
    "zero_gradient",
];

/// The files by name, each with those of its folder, if it has one.
fn op_files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops");
    let files = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
    };
    let text = |path: &PathBuf| std::fs::read_to_string(path).expect("text");
    let mut found: Vec<(String, String)> = files(&folder)
        .iter()
        .map(|path| {
            let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
            let parts: String = files(&folder.join(&name)).iter().map(text).collect();
            (name, parts + &text(path))
        })
        .filter(|(name, _)| !SHARED.contains(&name.as_str()))
        .collect();
    found.sort();
    found
}

#[test]
fn every_file_of_ops_is_in_the_catalogue_under_its_name() {
    let files: BTreeSet<String> = op_files().into_iter().map(|(name, _)| name).collect();
    let listed: BTreeSet<String> = CATALOGUE.iter().map(|op| op.name.to_owned()).collect();
    assert_eq!(listed.len(), CATALOGUE.len(), "two ops share a name");
    assert_eq!(files, listed);
}

#[test]
fn every_entry_says_what_it_computes() {
    for op in CATALOGUE {
        assert!(
            op.formula.starts_with('y') && op.formula.contains('='),
            "{}: formula {:?}",
            op.name,
            op.formula
        );
        assert_eq!(op.orders == 0, op.gradient == "none", "{}: gradient {:?}", op.name, op.gradient);
    }
}

/// What a file offers, it samples: otherwise a method could hide in a file of the catalogue from all the
/// laws.
#[test]
fn every_public_method_of_an_op_file_is_sampled() {
    let mut missing = Vec::new();
    for (name, text) in op_files() {
        let (code, samples) =
            text.split_once("\nfn samples(").unwrap_or_else(|| panic!("{name} has no samples"));
        let methods = code.lines().filter_map(|line| line.strip_prefix("    pub fn "));
        for method in methods.map(|line| line.split(['(', '<']).next().unwrap_or_default()) {
            if !samples.contains(&format!(".{method}(")) && !samples.contains(&format!("::{method}")) {
                missing.push(format!("{name}::{method}"));
            }
        }
    }
    assert!(missing.is_empty(), "no sample calls {missing:?}");
}

#[test]
fn samples_have_labels_of_their_own_and_never_change() {
    let mut labels = BTreeSet::new();
    for op in CATALOGUE {
        let (samples, again) = (op.samples(), op.samples());
        assert!(!samples.is_empty(), "{} has no samples", op.name);
        for (sample, again) in samples.iter().zip(&again) {
            assert!(labels.insert(sample.label.clone()), "{} names two samples", sample.label);
            let elements =
                |inputs: &[backflow_tensor::Tensor]| inputs.iter().map(crate::bits).collect::<Vec<_>>();
            assert_eq!(elements(&sample.inputs), elements(&again.inputs), "{}", sample.label);
        }
    }
}
