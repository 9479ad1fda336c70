//! What a file of weights holds.

use crate::failure::Failure;
use crate::terminal::{self, line, object};
use backflow_probe::text::{clipped, counted, short};
use backflow_probe::{Column, Stats, Table};
use backflow_store::weights::{self, Stored};
use backflow_tensor::{DType, Tensor};
use serde::Serialize;
use std::path::Path;

/// What is known of a file of weights.
#[derive(Serialize)]
struct FileFacts<'a> {
    file: String,
    tensors: Vec<TensorFacts<'a>>,
}

#[derive(Serialize)]
struct TensorFacts<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    dtype: String,
    shape: &'a [usize],
    /// `null` where there is no such type or shape here.
    stats: Option<Stats>,
}

/// The most characters of a tensor's name that are shown.
const LONGEST_NAME: usize = 60;

/// In f64, so that integers and switches have figures too.
fn stats(x: &Tensor) -> Stats {
    Stats::of(&x.to_dtype(DType::F64))
}

/// One line per tensor of a file, or one object.
pub(super) fn list(path: &Path, json: bool) -> Result<(), Failure> {
    let tensors = weights::read(path)?;
    if json {
        fn facts(stored: &Stored) -> TensorFacts<'_> {
            TensorFacts {
                name: &stored.name,
                dtype: stored.dtype.clone(),
                shape: &stored.shape,
                stats: stored.tensor.as_ref().map(stats),
            }
        }
        return object(&FileFacts {
            file: path.display().to_string(),
            tensors: tensors.iter().map(facts).collect(),
        });
    }
    let columns = vec![
        Column::words("tensor", Column::ALWAYS),
        Column::numbers("shape", 9),
        Column::words("type", 8),
        Column::numbers("mean", 3),
        Column::numbers("std", 4),
        Column::numbers("rms", 6),
        Column::numbers("max |x|", 5),
        Column::numbers("zeros", 2),
    ];
    let rows = tensors.iter().map(row).collect();
    Table { columns, rows, legend: Vec::new() }.lines(terminal::width()).iter().for_each(|text| line(text));
    // As many as the file has bytes for: the product cannot leave its type.
    let elements: usize = tensors.iter().map(|stored| stored.shape.iter().product::<usize>()).sum();
    line(&format!("{}, {}", counted(tensors.len() as u64, "tensor"), counted(elements as u64, "element")));
    if tensors.iter().any(|stored| stored.tensor.is_none()) {
        line("-: this program has no such type or shape");
    }
    Ok(())
}

fn row(Stored { name, dtype, shape, tensor }: &Stored) -> Vec<String> {
    let stats = tensor.as_ref().map(stats);
    let figure = |of: fn(&Stats) -> f64| short(stats.as_ref().map(of));
    vec![
        clipped(name, LONGEST_NAME).into_owned(),
        // As a shape is shown that a tensor can have.
        format!("{shape:?}"),
        dtype.to_lowercase(),
        figure(|stats| stats.mean),
        figure(|stats| stats.std),
        figure(|stats| stats.rms),
        figure(|stats| stats.max),
        stats.map_or("-".to_owned(), |stats| format!("{:.1} %", stats.zero_share * 100.0)),
    ]
}
