//! How fast files become numbers, beside a plain copy of as many bytes.
//!
//! ```text
//! cargo bench -p backflow-data --bench reading             arrays and a table in memory
//! cargo bench -p backflow-data --bench reading -- DIR      the files of a folder that benches/peers/reading.py has made
//! cargo bench -p backflow-data --bench reading -- DIR csv  of these the table alone
//! ```
//!
//! Prints one JSON line each: medians over interleaved rounds, and of arrays the bandwidth, bytes read and written, and its
//! share of the copy's. Compare with pandas, NumPy and Pillow by `benches/peers/reading.py`, which runs this program and
//! theirs in turn.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(clippy::print_stdout, reason = "a benchmark shows its results")]

use backflow_data::formats::array::Array;
use backflow_data::formats::csv::{CsvOptions, Table};
use backflow_data::formats::idx::{ElementType, Idx};
use backflow_data::formats::npy;
use backflow_data::formats::numbers::Numbers;
use backflow_data::{Dataset, PictureOptions, Pictures};
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// So many numbers lie in no cache.
const NUMBERS: usize = 1 << 24;
const ROUNDS: usize = 15;

struct Contestant {
    name: &'static str,
    /// Bytes read and written, where that is known.
    bytes: Option<usize>,
    read: Box<dyn FnMut()>,
    seconds: Vec<f64>,
}

fn contestant(name: &'static str, bytes: Option<usize>, read: impl FnMut() + 'static) -> Contestant {
    Contestant { name, bytes, read: Box::new(read), seconds: Vec::new() }
}

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let mut contestants = words.next().map_or_else(in_memory, |folder| in_files(&PathBuf::from(folder)));
    let wanted: Vec<String> = words.collect();
    contestants.retain(|contestant| wanted.is_empty() || wanted.iter().any(|name| name == contestant.name));
    contestants.iter_mut().for_each(|contestant| (contestant.read)());
    // In turn, so that a slow moment of a shared machine meets all of them.
    for _ in 0..ROUNDS {
        for Contestant { read, seconds, .. } in &mut contestants {
            let start = Instant::now();
            read();
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let mut copy = None;
    for Contestant { name, bytes, mut seconds, .. } in contestants {
        seconds.sort_unstable_by(f64::total_cmp);
        let median = seconds[ROUNDS / 2];
        let bandwidth = bytes.map(|bytes| bytes as f64 / median / 1e9);
        copy = copy.or(bandwidth);
        let share = bandwidth.zip(copy).map_or(String::new(), |(own, copy)| {
            format!(",\"gb_per_s\":{own:.2},\"of_copy\":{:.2}", own / copy)
        });
        println!("{{\"peer\":\"backflow\",\"w\":\"{name}\",\"med_ms\":{:.3}{share}}}", median * 1e3);
    }
}

/// Numbers that are never the same ones in a row.
fn numbers(count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(|i| (i * 7919 % 4001) as f32 / 1000.0 - 2.0)
}

fn in_memory() -> Vec<Contestant> {
    let values: Vec<f32> = numbers(NUMBERS).collect();
    let big: Vec<u8> = values.iter().flat_map(|x| x.to_be_bytes()).collect();
    let shape = [NUMBERS / 1024, 1024];
    let file = npy::write(&Numbers::F32(values), &shape).expect("it fits");
    let (plain, read) = (big.clone(), 8 * NUMBERS);
    let fortran = String::from_utf8_lossy(&file[..128]).replace("False", "True ");
    // The magic number is no text.
    let fortran = [&file[..10], &fortran.as_bytes()[fortran.len() - 118..], &file[128..]].concat();
    let sizes = shape.map(|size| size as u32);
    let idx = Idx::new(ElementType::F32, &sizes, &big).expect("it fits").to_bytes();
    let pixels = Idx::new(ElementType::U8, &[NUMBERS as u32, 4], &big).expect("it fits").to_bytes();
    let mut table = String::new();
    let row: Vec<f32> = numbers(30 * 20_000).collect();
    row.chunks(30).for_each(|row| {
        let cells: Vec<String> = row.iter().map(|x| format!("{:.6}", x * 1.234_567)).collect();
        let _ = writeln!(table, "{}", cells.join(","));
    });
    let options = CsvOptions::default();
    vec![
        contestant("copy", Some(read), move || drop(black_box(black_box(&plain).to_vec()))),
        contestant("npy f32", Some(read), move || drop(black_box(Array::of_npy(&file).expect("valid")))),
        contestant("npy f32, Fortran's order", Some(read), move || {
            drop(black_box(Array::of_npy(&fortran).expect("valid")));
        }),
        contestant("idx f32", Some(read), move || {
            drop(black_box(Array::of_idx(&Idx::parse(&idx).expect("valid"))));
        }),
        contestant("idx u8", Some(read), move || {
            drop(black_box(Array::of_idx(&Idx::parse(&pixels).expect("valid"))));
        }),
        contestant("csv 20,000 by 30", None, move || {
            drop(black_box(Table::parse(table.as_bytes(), &options).expect("valid")));
        }),
    ]
}

fn in_files(folder: &Path) -> Vec<Contestant> {
    let (csv, png, jpeg) = (folder.join("table.csv"), folder.join("png"), folder.join("jpeg"));
    let (x, y) = (folder.join("x.npy"), folder.join("y.npy"));
    let pictures = |folder: PathBuf| {
        move || drop(black_box(Pictures::load(&folder, &PictureOptions::default()).expect("pictures")))
    };
    vec![
        contestant("csv", None, move || {
            drop(black_box(Dataset::from_csv(&csv, &CsvOptions::default()).expect("a table")));
        }),
        contestant("npy", None, move || drop(black_box(Dataset::from_npy(&x, &y, None).expect("arrays")))),
        contestant("png", None, pictures(png)),
        contestant("jpeg", None, pictures(jpeg)),
    ]
}
