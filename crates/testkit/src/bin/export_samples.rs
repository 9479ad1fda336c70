//! Prints every question to PyTorch, one JSON object a line, for `scripts/golden_ops.py`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for question in backflow_testkit::catalogue().iter().chain(&backflow_testkit::kinks()) {
        let mut line = question.to_json();
        line["fingerprint"] = question.fingerprint().into();
        writeln!(out, "{line}")?;
    }
    out.flush()
}
