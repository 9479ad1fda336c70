//! `backflow inspect RUN RUN …`: runs over each other, and what differs in their configurations.

use super::{InspectOptions, RunFacts, config_of, epochs, event_file, read, record_at};
use crate::config::RunConfig;
use crate::events;
use crate::failure::Failure;
use crate::terminal::{self, line, object};
use backflow_probe::text::clipped;
use backflow_probe::{FlowStep, GradFlow};
use backflow_report::{FlowRun, RunsPage, runs_table};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Settings that change no result, or follow from others.
const ASIDE: [&str; 3] = ["threads", "input_mean_square", "predictor"];

/// Of a setting in words, in characters.
const WIDEST: usize = 60;

/// The object of `--json`.
#[derive(Serialize)]
struct RunsFacts<'a> {
    /// The names of the settings that differ.
    differing: &'a [String],
    runs: Vec<RunFacts<'a>>,
}

/// What was read of a run.
struct Read {
    path: PathBuf,
    flow: Vec<FlowStep>,
    /// The record that was asked for.
    index: usize,
    config: Option<RunConfig>,
}

pub(super) fn show(options: &InspectOptions, paths: &[PathBuf]) -> Result<(), Failure> {
    let mut all = Vec::new();
    for path in paths {
        if std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            let path = path.display();
            return Err(Failure::Usage(format!("{path}: of several paths, each is the folder of a run")));
        }
        let flow = read(path)?;
        let index = record_at(path, &flow, options.step)?;
        all.push(Read { path: path.clone(), flow, index, config: config_of(path) });
    }
    let names = names(paths)?;
    let configs: Vec<Map<String, Value>> = all.iter().map(|read| settings(read.config.as_ref())).collect();
    let differing = differing(&configs);
    let shown: Vec<GradFlow> =
        all.iter().map(|read| super::shown(&read.path, &read.flow, read.index, options.step)).collect();
    let mut runs = Vec::new();
    for (((read, name), config), shown) in all.iter().zip(&names).zip(&configs).zip(&shown) {
        runs.push(FlowRun {
            name: name.clone(),
            steps: &read.flow,
            settings: differing.iter().map(|name| (name.clone(), text(config.get(name)))).collect(),
            verdicts: shown.verdicts(),
            epochs: epochs(&read.path),
        });
    }
    let page = RunsPage { setup: shared(&configs, &differing), runs: &runs, step: options.step };
    if options.json {
        let facts = |(read, shown)| {
            let Read { path, flow, index, config }: &Read = read;
            RunFacts::of(path, flow, *index, config.as_ref(), shown)
        };
        object(&RunsFacts { differing: &differing, runs: all.iter().zip(&shown).map(facts).collect() })?;
    } else {
        page.setup.iter().for_each(|text| line(text));
        runs_table(&page).lines(terminal::width()).iter().for_each(|text| line(text));
    }
    options.write(&|| page.html(), &|| page.svgs(), &|folder| {
        let mut taken: Vec<String> = Vec::new();
        Failure::of_any(all.iter().zip(&names).map(|(read, name)| {
            // A name with parts of a path is no folder's, and without them it may be another's.
            let plain = name.replace(std::path::is_separator, "-");
            let numbered = (2..).map(|number| format!("{plain}-{number}"));
            let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken.contains(name));
            let to = events::path_of_inspect(folder, free.as_deref().unwrap_or(&plain));
            taken.extend(free);
            events::make_parent(&to)?;
            options.write_file(&to, &event_file(&read.path, &read.flow).into_bytes())
        }))
    })
}

/// The ends of the paths that tell the runs apart: their last parts, or as many more as that takes.
fn names(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let absolute: Vec<PathBuf> =
        paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect();
    for (idx, path) in absolute.iter().enumerate() {
        if absolute[..idx].contains(path) {
            return Err(Failure::Usage(format!("{}: is there twice", paths[idx].display())));
        }
    }
    let end = |path: &Path, parts: usize| {
        let all: Vec<_> = path.components().collect();
        let end: PathBuf = all[all.len().saturating_sub(parts)..].iter().collect();
        end.display().to_string()
    };
    let longest = absolute.iter().map(|path| path.components().count()).max().unwrap_or(1);
    let tells = |parts: &usize| {
        let mut names: Vec<String> = absolute.iter().map(|path| end(path, *parts)).collect();
        names.sort_unstable();
        names.windows(2).all(|pair| pair[0] != pair[1])
    };
    let parts = (1..=longest).find(tells).unwrap_or(longest);
    Ok(absolute.iter().map(|path| end(path, parts)).collect())
}

pub(super) fn settings(config: Option<&RunConfig>) -> Map<String, Value> {
    let value = config.and_then(|config| serde_json::to_value(config).ok());
    let mut settings = value.and_then(|value| value.as_object().cloned()).unwrap_or_default();
    ASIDE.iter().for_each(|name| {
        settings.remove(*name);
    });
    // How data were treated, each by its own name.
    if let Some(Value::Object(options)) = settings.remove("data_options") {
        settings.extend(options);
    }
    settings
}

/// The settings that not all runs have alike.
pub(super) fn differing(configs: &[Map<String, Value>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in configs.iter().flat_map(|config| config.keys()) {
        let differs = configs.iter().any(|config| config.get(name) != configs[0].get(name));
        if differs && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// What all runs have alike, a line.
pub(super) fn shared(configs: &[Map<String, Value>], differing: &[String]) -> Vec<String> {
    let alike = configs[0].iter().filter(|(name, value)| !differing.contains(name) && !value.is_null());
    let whole = |value: &Value| line_of(value).map_or_else(|| text(Some(value)), str::to_owned);
    let words: Vec<String> = alike.map(|(name, value)| format!("{name} {}", whole(value))).collect();
    if words.is_empty() { Vec::new() } else { vec![format!("alike: {}", words.join(", "))] }
}

/// The line of a model.
fn line_of(setting: &Value) -> Option<&str> {
    setting.get("line").and_then(Value::as_str)
}

/// A setting in words.
fn text(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            let same = values.chunk_by(|a, b| a == b);
            let part = |values: &[Value]| match (text(values.first()), values.len()) {
                // As sizes of layers are written.
                (value, count @ 3..) => format!("{value}*{count}"),
                (value, count) => vec![value; count].join("-"),
            };
            same.map(part).collect::<Vec<_>>().join("-")
        }
        Some(value) => line_of(value).map_or_else(|| value.to_string(), str::to_owned),
    };
    clipped(&text, WIDEST).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{differing, names, text};
    use serde_json::{Map, Value, json};
    use std::path::PathBuf;

    #[test]
    fn runs_are_called_by_as_much_of_their_paths_as_tells_them_apart() {
        let of = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["/runs/a", "/runs/b/"]).ok().unwrap(), ["a", "b"]);
        assert_eq!(of(&["/x/run", "/y/run", "/y/other"]).ok().unwrap(), ["x/run", "y/run", "y/other"]);
        assert!(of(&["/runs/a", "/runs/./a"]).is_err());
    }

    #[test]
    fn layers_that_are_alike_are_counted() {
        let of = |value: Value| text(Some(&value));
        assert_eq!(of(json!([784, 8, 8, 8, 8, 16, 16, 10])), "784-8*4-16-16-10");
        assert_eq!([of(json!("adam")), of(json!(null)), of(json!([]))], ["adam", "-", ""]);
        let many: Vec<u32> = (0..1000).collect();
        assert!(of(json!(many)).chars().count() < 80);
    }

    #[test]
    fn what_one_run_does_not_say_differs_too() {
        let object = |value: Value| -> Map<String, Value> { value.as_object().unwrap().clone() };
        let configs = [
            object(json!({"lr": 0.1, "seed": 1, "layers": [2, 3]})),
            object(json!({"lr": 0.2, "seed": 1, "layers": [2, 3], "clip": 1})),
        ];
        assert_eq!(differing(&configs), ["lr", "clip"]);
        assert!(differing(&configs[..1]).is_empty());
    }
}
