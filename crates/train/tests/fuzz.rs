//! Whatever bytes the log of a flow holds, it is read as far as it goes or refused by its line, and holds no more memory
//! than the bytes are worth; what is read and written again is the same. `backflow_testkit::fuzz` says how a long run is
//! made.

#[path = "../../data/tests/allocations/mod.rs"]
mod allocations;

use allocations::with_peak;
use backflow_testkit::{Seed, fuzz};
use backflow_train::RunFolder;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read, Write};
use std::path::Path;

/// As 0.1 wrote it.
const OLDER: &str = include_str!("../../probe/tests/logs/version-0.1.jsonl");
/// With all that there is to record.
const PRESENT: &str = include_str!("../../probe/tests/logs/version-2.jsonl");

/// The most memory that may be held for so many bytes of text: the text itself, its records, and of one line what serde
/// keeps of values whose type is not known yet, 32 bytes for two, in a list that doubles.
fn allowance(text: usize) -> usize {
    80 * text + (1 << 17)
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Whole logs and hostile ones.
fn logs() -> Vec<Seed> {
    let lines: Vec<&str> = PRESENT.lines().collect();
    let changed = |from: &str, to: &str| {
        assert!(PRESENT.contains(from), "{from}");
        PRESENT.replace(from, to)
    };
    let bins = |count: usize| format!(r#""counts":[{}1]"#, "1,".repeat(count - 1));
    vec![
        Seed::taken("of this version", PRESENT),
        Seed::taken("of version 0.1", OLDER),
        Seed::taken("of both", OLDER.to_owned() + PRESENT),
        Seed::taken("empty", ""),
        Seed::taken("a mark before it", format!("\u{feff}{PRESENT}")),
        Seed::taken("blank lines", format!("\n{}\n  \n\r\n{}\r\n\n", lines[0], lines[1])),
        Seed::taken("the last line is cut off", &PRESENT[..PRESENT.len() - 40]),
        Seed::taken("the last character is cut off", [PRESENT.as_bytes(), b"{\"\xe2\x82"].concat()),
        Seed::taken("a layer of 70,000 bytes", changed("activations.0", &"l".repeat(70_000))),
        Seed::taken("a layer that a terminal would obey", changed("layers.1", r"a\u001b[31m\u202e\nb")),
        Seed::taken("numbers at the end of their types", changed(":4,", ":18446744073709551615,")),
        Seed::taken("a bin for every exponent", changed(r#""counts":[3,9,4]"#, &bins(2098))),
        Seed::refused("a bin more", changed(r#""counts":[3,9,4]"#, &bins(2099))),
        Seed::refused("a million bins", changed(r#""counts":[3,9,4]"#, &bins(1_000_000))),
        Seed::refused("an exponent that no number has", changed(r#""first":-20"#, r#""first":2147483647"#)),
        Seed::refused("a number that is none", changed(r#""NaN""#, r#""nothing\u001b\n""#)),
        Seed::refused("a number beyond its type", changed("2.3,", "1e999,")),
        Seed::refused("a role of 70,000 letters", changed("weighted-map", &"w".repeat(70_000))),
        Seed::refused("a role that a terminal would obey", changed("weighted-map", r"a\u001b[31m\u202e\nb")),
        Seed::refused("of a later version", changed(r#""version":2"#, r#""version":3"#)),
        Seed::refused("a damaged line", PRESENT.replacen('}', "", 1)),
        Seed::refused("lists in lists", format!(r#"{{"loss":{}"#, "[".repeat(10_000)) + "\n"),
        Seed::refused(
            "a list in the place of a number",
            changed("2.3,", &format!("[{}0],", "0,".repeat(5000))),
        ),
        Seed::refused("no text", [PRESENT.as_bytes(), b"\xff\n"].concat()),
    ]
}

/// Reads the log, and holds what comes to what is promised.
#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn read(folder: &Path, name: &str, bytes: &[u8], text: usize, written: &RunFolder) -> Result<(), String> {
    std::fs::write(folder.join(name), bytes).unwrap();
    let (log, peak) = with_peak(|| RunFolder::read_flow(folder));
    assert!(peak <= allowance(bytes.len() + text), "{} bytes made the reader hold {peak}", bytes.len());
    let log = log.map_err(|error| error.to_string())?;
    written.save_flow(&log.steps, "").expect("what was read is written");
    let again = RunFolder::read_flow(written.path()).expect("what was written is read");
    assert_eq!(again.cut_off, None);
    // NaN is not equal to itself.
    assert_eq!(format!("{:?}", again.steps), format!("{:?}", log.steps));
    Ok(())
}

#[test]
fn logs_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let written = RunFolder::create(&folder.path().join("written"), &()).unwrap();
    fuzz("flow log", &logs(), 500, |bytes| read(folder.path(), "flow.jsonl", bytes, 0, &written));
}

/// What is compressed is the same text, as far as it goes.
#[test]
fn packed_logs_are_read_or_refused() {
    let whole = packed(PRESENT.as_bytes());
    let bomb = packed(&vec![b'\n'; 1 << 20]);
    let mut damaged = whole.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let seeds = [
        Seed::taken("whole", whole.clone()),
        Seed::taken("two members", whole.repeat(2)),
        Seed::taken("cut off", &whole[..whole.len() / 2]),
        Seed::taken("nothing", packed(b"")),
        Seed::taken("a mebibyte of blank lines", bomb),
        Seed::refused("damaged", damaged),
        Seed::refused("a mebibyte of nothing", packed(&vec![0; 1 << 20])),
        Seed::refused("packed twice", packed(&whole)),
    ];
    let folder = tempfile::tempdir().unwrap();
    let written = RunFolder::create(&folder.path().join("written"), &()).unwrap();
    fuzz("packed flow log", &seeds, 500, |bytes| {
        let mut text = Vec::new();
        let _ = MultiGzDecoder::new(bytes).take(1 << 28).read_to_end(&mut text);
        read(folder.path(), "flow.jsonl.gz", bytes, text.len(), &written)
    });
}
