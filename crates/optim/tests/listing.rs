//! The lists of rules and schedules against the folders that hold them: a file that is not in its list would
//! be found by no program and held by no law.

use backflow_optim::{RULES, SCHEDULES};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names that the entries of a folder's files give themselves.
fn named_in(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a source file");
        let entries = text.split("Info = ").skip(1).filter_map(|entry| entry.split_once("name: \""));
        names.extend(entries.filter_map(|(_, rest)| rest.split('"').next()).map(str::to_owned));
    }
    names
}

#[test]
fn every_rule_of_the_folder_is_listed() {
    let listed: BTreeSet<String> = RULES.iter().map(|info| info.name.to_owned()).collect();
    assert_eq!(listed.len(), RULES.len(), "names are unique");
    assert_eq!(named_in("rules"), listed);
}

#[test]
fn every_schedule_of_the_folder_is_listed() {
    let listed: BTreeSet<String> = SCHEDULES.iter().map(|info| info.name.to_owned()).collect();
    assert_eq!(listed.len(), SCHEDULES.len(), "names are unique");
    assert_eq!(named_in("schedules"), listed);
}
