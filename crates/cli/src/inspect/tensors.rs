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

fn facts(stored: &Stored) -> TensorFacts<'_> {
    TensorFacts {
        name: &stored.name,
        dtype: stored.dtype.clone(),
        shape: &stored.shape,
        stats: stored.tensor.as_ref().map(stats),
    }
}

/// One line per tensor of a file, or one object.
pub(super) fn list(path: &Path, json: bool) -> Result<(), Failure> {
    let tensors = weights::read(path)?;
    if json {
        return object(&FileFacts {
            file: path.display().to_string(),
            tensors: tensors.iter().map(facts).collect(),
        });
    }
    lines(&tensors, terminal::width()).iter().for_each(|text| line(text));
    Ok(())
}

/// The tensors as a table, and what they are together.
fn lines(tensors: &[Stored], width: Option<usize>) -> Vec<String> {
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
    let mut lines = Table { columns, rows, legend: Vec::new() }.lines(width);
    // As many as the file has bytes for: the product cannot leave its type.
    let elements: usize = tensors.iter().map(|stored| stored.shape.iter().product::<usize>()).sum();
    lines.push(format!(
        "{}, {}",
        counted(tensors.len() as u64, "tensor"),
        counted(elements as u64, "element")
    ));
    if tensors.iter().any(|stored| stored.tensor.is_none()) {
        lines.push("-: this program has no such type or shape".to_owned());
    }
    lines
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

#[cfg(test)]
mod fuzz {
    use super::{LONGEST_NAME, facts, lines};
    use backflow_store::weights;
    use backflow_testkit::{Seed, fuzz};

    /// A header, of which the last brace is the end, with what is behind it.
    #[test]
    fn tensors_of_any_file_are_listed() {
        let one = |name: &str, dtype: &str, shape: &str, len: usize| {
            let header =
                format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{len}]}}}}"#);
            [header.as_bytes(), &vec![1; len]].concat()
        };
        let seeds = [
            Seed::taken("floats", one("layers.0.weight", "F32", "[2,3]", 24)),
            Seed::taken("doubles", one("w", "F64", "[1]", 8)),
            Seed::taken("integers", one("steps", "I64", "[]", 8)),
            Seed::taken("switches", one("mask", "BOOL", "[3]", 3)),
            Seed::taken("BF16", one("x", "BF16", "[2]", 4)),
            Seed::taken("halves of bytes", one("x", "F4", "[4]", 2)),
            Seed::taken("the shape [2⁶⁴ − 1, 0]", one("x", "F32", "[18446744073709551615,0]", 0)),
            Seed::taken(
                "the shape [0, 2⁶³, 2⁶³]",
                one("x", "F32", "[0,9223372036854775808,9223372036854775808]", 0),
            ),
            Seed::taken("a name of 65,536 bytes", one(&"n".repeat(65_536), "F32", "[1]", 4)),
            Seed::taken("a name that a terminal would obey", one(r"a\u001b[31m\u202e\nb", "F32", "[1]", 4)),
            Seed::refused("a shape whose product is 2⁶⁴", one("x", "F32", "[9223372036854775808,2]", 0)),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        fuzz("tensors of a file", &seeds, 500, |bytes| {
            let len = bytes.iter().rposition(|&byte| byte == b'}').map_or(bytes.len(), |last| last + 1);
            crate::inspect::fuzz::put(&path, &[&(len as u64).to_le_bytes(), bytes].concat());
            let tensors = weights::read(&path).map_err(|error| error.to_string())?;
            let names = lines(&tensors, None)
                .iter()
                .all(|line| line.chars().take_while(|&c| c != ' ').count() <= LONGEST_NAME);
            assert!(names, "{:?}", lines(&tensors, None));
            serde_json::to_string(&tensors.iter().map(facts).collect::<Vec<_>>()).unwrap();
            Ok(())
        });
    }
}
