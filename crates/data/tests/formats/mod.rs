//! What people and their programs write: arrays, tables, pictures, and a path that says not which.

use crate::allocations::with_peak;
use crate::{BESIDES, packed, write};
use backflow_data::formats::array::Array;
use backflow_data::formats::csv::{CsvOptions, Table, is_table};
use backflow_data::formats::npy::{self, Npy, NpyError};
use backflow_data::formats::npz::Npz;
use backflow_data::formats::numbers::Numbers;
use backflow_data::formats::picture::Picture;
use backflow_data::formats::safetensors::Safetensors;
use backflow_data::formats::targets::Targets;
use backflow_data::{LoadOptions, load};
use backflow_testkit::{Seed, fuzz, require_message};
use std::path::Path;

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    std::fs::read(folder.join(name)).expect("a file of the tests")
}

/// An NPY file with this dictionary.
fn of_dictionary(dictionary: &str, elements: &[u8]) -> Vec<u8> {
    let len = (dictionary.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], dictionary.as_bytes(), elements].concat()
}

/// Numbers of a byte become some of eight, and lie in memory twice while axes change places.
const WIDEST: usize = 24;

#[test]
fn numpy_arrays_are_read_to_the_last_byte_or_refused() {
    let written = |numbers: Numbers, shape: &[usize]| npy::write(&numbers, shape).expect("it fits");
    let small = "{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }";
    let of_shape = |shape: &str| {
        of_dictionary(&format!("{{'descr':'<f4','fortran_order':False,'shape':{shape}}}"), &[7; 12])
    };
    let seeds = [
        Seed::taken("floats", written(Numbers::F32(vec![1.0, f32::NAN, -0.0]), &[3])),
        Seed::taken("doubles, four axes", written(Numbers::F64(vec![0.5; 16]), &[2, 2, 2, 2])),
        Seed::taken("one truth value", written(Numbers::Bool(vec![true]), &[])),
        Seed::taken("no bytes", written(Numbers::U8(vec![]), &[0, 5])),
        Seed::taken("small integers in Fortran's order", of_dictionary(small, &[1, 2, 3, 4, 5, 6])),
        Seed::taken(
            "halves, from the other end",
            of_dictionary("{'descr':'>f2','fortran_order':False,'shape':(3,)}", &[9; 6]),
        ),
        Seed::taken(
            "large integers",
            of_dictionary("{'descr':'<u8','fortran_order':False,'shape':(1,)}", &[0x7f; 8]),
        ),
        Seed::refused("empty", []),
        Seed::refused("2⁶⁴ bytes, which wrap to 0", of_shape("(4294967296, 4294967296)")),
        Seed::refused("a zero that hides absurd sizes", of_shape("(0, 9223372036854775807)")),
        Seed::refused("terabytes", of_shape("(1099511627776,)")),
        Seed::refused("many axes", of_shape(&format!("({})", "1,".repeat(10_000)))),
        Seed::refused(
            "objects",
            of_dictionary("{'descr':'|O','fortran_order':False,'shape':(1,)}", b"\x80\x04."),
        ),
        Seed::refused(
            "records",
            of_dictionary("{'descr':[('a','<f4')],'fortran_order':False,'shape':(1,)}", &[0; 4]),
        ),
    ];
    fuzz("npy", &seeds, 6000, |bytes| {
        let (array, peak) = with_peak(|| Array::of_npy(bytes));
        assert!(peak <= WIDEST * bytes.len() + BESIDES, "{} bytes made the parser hold {peak}", bytes.len());
        // A stream of them is the same array, or wrong for the same reason.
        let streamed = npy::read(&mut &bytes[..], bytes.len()).expect("memory can be read");
        let told = |array: &Result<Array, NpyError>| format!("{array:?}");
        assert_eq!(told(&streamed), told(&array));
        let Array { numbers, shape } = array.map_err(|error| error.to_string())?;
        assert_eq!(numbers.len(), shape.iter().product::<usize>());
        let again = npy::write(&numbers, &shape).expect("as many as the shape says");
        let again = Npy::parse(&again).expect("what was written").numbers().expect("what was written");
        assert_eq!(again.to_bytes(), numbers.to_bytes());
        Ok(())
    });
}

/// The most bytes that deflate makes of one.
const DEFLATED: usize = 1032;

#[test]
fn archives_give_their_arrays_or_say_why_not() {
    let seeds = [
        Seed::taken("stored", golden("stored.npz")),
        Seed::taken("deflated", golden("deflated.npz")),
        Seed::taken("nothing", *b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        Seed::refused("of other elements", golden("refused.npz")),
        Seed::refused("empty", []),
        Seed::refused("cut short", golden("stored.npz")[..300].to_vec()),
        Seed::refused("twice", golden("stored.npz").repeat(2)),
    ];
    fuzz("npz", &seeds, 4000, |bytes| {
        let (read, peak) = with_peak(|| -> Result<_, String> {
            let npz = Npz::parse(bytes).map_err(|error| error.to_string())?;
            let mut largest = 0;
            for name in npz.names() {
                let array = npz.array(name).expect("it is there").map_err(|error| error.to_string())?;
                assert_eq!(array.numbers.len(), array.shape.iter().product::<usize>());
                largest = largest.max(array.numbers.len());
            }
            Ok(largest)
        });
        let largest = *read.as_ref().unwrap_or(&0);
        let most = WIDEST * largest + 3 * DEFLATED * bytes.len() + BESIDES;
        assert!(peak <= most, "{} bytes made the parser hold {peak}", bytes.len());
        read.map(drop)
    });
}

#[test]
fn tables_are_numbers_or_a_place_where_they_are_not() {
    let seeds = [
        Seed::refused("pandas', with words before the last column", golden("table.csv")),
        Seed::taken("no header", "1,2,a\n3,4,b\n"),
        Seed::taken("other delimiters and ends", "a;b;c\r\n1;2;0.5\r\n3;4;1.5\r\n"),
        Seed::taken("quotes", "\"a\",\"b\"\n\"1\",\"x \"\"y\"\"\"\n\"2\",\"z\nz\"\n"),
        Seed::taken("a mark", "\u{feff}a\tb\n1\t2\n\n3\t4\n"),
        Seed::taken("numbers of all kinds", "x,y\n-1.5e-3,1\n+.5,2\n00012.500,3\n123456789012345678901,4\n"),
        Seed::refused("empty", ""),
        Seed::refused("a value is missing", "a,b\n1,2\n,3\n"),
        Seed::refused("a word", "a,b\n1,2\nred,3\n"),
        Seed::refused("lines of other lengths", "1,2\n3\n"),
        Seed::refused("one line of nothing", ",".repeat(1 << 14)),
        Seed::refused("a quote without end", "a,b\n\"1,2\n3,4\n"),
        Seed::refused("UTF-16", *b"\xff\xfe1\0,\x002\0"),
    ];
    fuzz("csv", &seeds, 6000, |bytes| {
        let _ = is_table(bytes);
        let (table, peak) = with_peak(|| Table::parse(bytes, &CsvOptions::default()));
        assert!(peak <= 96 * bytes.len() + 8 * BESIDES, "{} bytes made the parser hold {peak}", bytes.len());
        let Table { columns, width, features, targets, .. } = table.map_err(|error| error.to_string())?;
        let rows = match &targets {
            Targets::Classes(labels, classes) => {
                assert!(labels.iter().all(|&label| (0..classes.len() as i64).contains(&label)));
                labels.len()
            }
            Targets::Numbers(numbers) => numbers.len(),
        };
        assert!(rows > 0 && features.len() == rows * width && features.iter().all(|x| x.is_finite()));
        assert!(columns.is_none_or(|columns| columns.len() == width));
        Ok(())
    });
}

#[test]
fn tensors_are_read_or_refused() {
    let good = golden("set.safetensors");
    let of_header = |header: &str, bytes: &[u8]| {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), bytes].concat()
    };
    let seeds = [
        Seed::taken("x and y", good.clone()),
        Seed::taken(
            "bytes",
            of_header(r#"{"x":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]}}"#, &[7; 4]),
        ),
        Seed::taken("nothing", of_header("{}", &[])),
        Seed::refused("empty", []),
        Seed::refused("a header of exabytes", [&[0xff; 8][..], b"{}"].concat()),
        Seed::refused("a byte too few", good[..good.len() - 1].to_vec()),
        Seed::refused(
            "a number of two",
            of_header(r#"{"x":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#, &[2]),
        ),
        Seed::refused(
            "sizes that wrap",
            of_header(r#"{"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, &[]),
        ),
    ];
    fuzz("safetensors", &seeds, 4000, |bytes| {
        let (read, peak) = with_peak(|| -> Result<(), String> {
            let tensors = Safetensors::parse(bytes).map_err(|error| error.to_string())?;
            for name in tensors.names() {
                let array = tensors.array(name).expect("it is there").map_err(|error| error.to_string())?;
                assert_eq!(array.numbers.len(), array.shape.iter().product::<usize>());
            }
            Ok(())
        });
        assert!(
            peak <= 2 * WIDEST * bytes.len() + BESIDES,
            "{} bytes made the parser hold {peak}",
            bytes.len()
        );
        read
    });
}

#[test]
fn pictures_are_decoded_or_refused() {
    let taken = ["grey.png", "palette.png", "opaque.png", "colours.jpg", "progressive.jpg", "subsampled.jpg"];
    let seeds: Vec<Seed> = taken
        .into_iter()
        .map(|name| Seed::taken(name, golden(&format!("pictures/{name}"))))
        .chain([
            Seed::refused("transparent", golden("pictures-refused/transparent.png")),
            Seed::refused("deep", golden("pictures-refused/deep.png")),
            Seed::refused("a GIF", golden("pictures-refused/other.gif")),
            Seed::refused("empty", []),
        ])
        .collect();
    fuzz("pictures of people's own", &seeds, 3000, |bytes| {
        let (picture, peak) = with_peak(|| Picture::decode(bytes));
        // What a byte can stand for, and what decoders hold beside it: coefficients of two bytes, rows, pixels twice.
        let most = 8 * 1400 * bytes.len() + 16 * BESIDES;
        assert!(peak <= most, "{} bytes made the decoder hold {peak}", bytes.len());
        let picture = picture.map_err(|error| error.to_string())?;
        assert_eq!(picture.pixels.len(), picture.rows * picture.columns * picture.channels);
        Ok(())
    });
}

#[test]
fn whatever_lies_at_a_path_is_loaded_or_told() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let seeds = [
        Seed::taken("a table", "a,b\n1,0\n2,1\n"),
        Seed::taken("a packed table", packed(b"1,2\n3,4\n")),
        Seed::taken("an archive", golden("deflated.npz")),
        Seed::taken("tensors", golden("set.safetensors")),
        Seed::taken("a text", "To be, or not to be\n".repeat(50)),
        Seed::refused("an array without its like", golden("x.npy")),
        Seed::refused("a picture", golden("pictures/grey.png")),
        Seed::refused("Parquet", "PAR1"),
        Seed::refused("empty", ""),
        Seed::refused("bytes", vec![0x99; 40]),
    ];
    fuzz("what lies at a path", &seeds, 1500, |bytes| {
        write(directory.path(), "data", bytes);
        let path = directory.path().join("data");
        let loaded = load(&path, &LoadOptions::default()).map_err(|error| error.to_string())?;
        assert!(!loaded.train.is_empty());
        require_message(&loaded.words);
        Ok(())
    });
}
