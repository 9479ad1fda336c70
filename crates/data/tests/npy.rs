//! Laws of NPY and NPZ: what NumPy wrote is read as NumPy means it, what is written is what NumPy writes, and damage of any
//! kind is told.

mod allocations;

use allocations::with_peak;
use backflow_data::formats::array::Array;
use backflow_data::formats::npy::{self, Npy, NpyError};
use backflow_data::formats::npz::Npz;
use backflow_data::formats::numbers::{ByteOrder, NumberType, Numbers};
use backflow_testkit::require_message;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const ARRAYS: &[u8] = include_bytes!("files/arrays.npz");
const STORED: &[u8] = include_bytes!("files/stored.npz");
const DEFLATED: &[u8] = include_bytes!("files/deflated.npz");
const REFUSED: &[u8] = include_bytes!("files/refused.npz");

/// The numbers that `scripts/golden_data.py` puts into an array of this type.
fn expected(code: &str, len: usize) -> Numbers {
    let v = (0..len as i64).map(|i| i * 37 % 227);
    match code {
        "b1" => Numbers::Bool(v.map(|v| v % 3 == 0).collect()),
        "u1" => Numbers::U8(v.map(|v| v as u8).collect()),
        "u2" | "u4" | "u8" => Numbers::I64(v.collect()),
        "i1" | "i2" | "i4" | "i8" => Numbers::I64(v.map(|v| v - 100).collect()),
        "f2" | "f4" => Numbers::F32(v.map(|v| (v - 100) as f32 / 8.0).collect()),
        "f8" => Numbers::F64(v.map(|v| (v - 100) as f64 / 8.0).collect()),
        _ => panic!("no type {code}"),
    }
}

/// Type, byte order, shape and order of an array, as its name says them.
fn parts(name: &str) -> (&str, &str, Vec<usize>, &str) {
    let parts: Vec<&str> = name.split('_').collect();
    let shape = parts[2].split('x').filter(|size| !size.is_empty()).map(|size| size.parse().expect("a size"));
    (parts[0], parts[1], shape.collect(), parts[3])
}

#[test]
fn every_type_order_and_shape_is_read_as_numpy_wrote_it() {
    let npz = Npz::parse(ARRAYS).expect("valid");
    let mut written = 0;
    for name in npz.names() {
        let (code, byte_order, shape, order) = parts(name);
        let array = npz.array(name).expect("it is there").expect(name);
        let len = shape.iter().product();
        assert_eq!(array, Array { numbers: expected(code, len), shape: shape.clone() }, "{name}");
        let file = npz.npy(name).expect("it is there").expect("unpacked");
        let streamed = npy::read(&mut &file[..], file.len()).expect("memory can be read");
        assert_eq!(streamed.as_ref(), Ok(&array), "{name}");
        // What is written is what NumPy wrote, of the types that there are here.
        if ["b1", "u1", "i8", "f4", "f8"].contains(&code) && byte_order == "little" && order == "c" {
            let file = npz.npy(name).expect("it is there").expect("unpacked");
            assert_eq!(npy::write(&array.numbers, &shape).expect("it fits"), file.into_owned(), "{name}");
            written += 1;
        }
    }
    assert_eq!((npz.names().len(), written), (12 * 2 * (6 + 4) + 3, 5 * 6));
}

#[test]
fn archives_are_read_stored_and_deflated() {
    let x = Array { numbers: expected("f4", 24), shape: vec![6, 4] };
    let y = Array { numbers: Numbers::I64(vec![0, 1, 2, 0, 1, 2]), shape: vec![6] };
    for file in [STORED, DEFLATED] {
        let npz = Npz::parse(file).expect("valid");
        assert_eq!(npz.names().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(format!("{npz:?}"), r#"["x", "y"]"#);
        for (name, expected) in [("x", &x), ("y", &y)] {
            assert_eq!(&npz.array(name).expect("it is there").expect("valid"), expected);
        }
        assert!(npz.array("z").is_none());
    }
}

#[test]
fn what_are_no_numbers_is_refused_with_what_to_do() {
    let npz = Npz::parse(REFUSED).expect("valid");
    for (name, told) in [
        ("objects", "Python objects, which only Python reads; convert them with x.astype(np.float32)"),
        ("text", "elements of type <U1;"),
        ("complex", "elements of type <c16;"),
        ("records", "elements of type record;"),
        ("dates", "elements of type <M8[s];"),
    ] {
        let error = npz.array(name).expect("it is there").expect_err(name).to_string();
        require_message(&error);
        assert!(error.starts_with(&format!("{name}: ")) && error.contains(told), "{error}");
    }
}

/// An NPY file with this dictionary.
fn file(dictionary: &str, elements: &[u8]) -> Vec<u8> {
    let len = (dictionary.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], dictionary.as_bytes(), elements].concat()
}

#[test]
fn headers_are_python_and_nothing_else() {
    // Python 2's sizes, other spaces, the keys in any order, no comma at the end.
    for taken in [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }\n",
        "{ \"shape\":(1,),\n'fortran_order' : True,'descr':'<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
    ] {
        let file = file(taken, &1.5_f32.to_le_bytes());
        let npy = Npy::parse(&file).unwrap_or_else(|error| panic!("{taken}: {error}"));
        assert_eq!(npy.numbers(), Ok(Numbers::F32(vec![1.5])), "{taken}");
    }
    for (refused, told) in [
        ("", "no '{'"),
        ("{", "no string"),
        ("{'descr': '<f4', 'fortran_order': False}", "the keys are not"),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "the keys are not"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", "the keys are not"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "neither True nor False"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "no ','"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "no size of an axis"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1.0,)}", "no ','"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "no size of an axis"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} + 1", "something stands behind"),
        ("{'descr': '<f\\x34', 'fortran_order': False, 'shape': (1,)}", "no string"),
        ("{'descr': 'f4', 'fortran_order': False, 'shape': (1,)}", "elements of type f4;"),
        ("{'descr': '=f4', 'fortran_order': False, 'shape': (1,)}", "elements of type =f4;"),
        ("{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", "elements of type <f16;"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", "the data end here"),
        ("{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}", "go on to byte"),
        // A size of 0 does not excuse the others, and products do not wrap.
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807)}",
            "too large for this machine",
        ),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
            "too large for this machine",
        ),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
            "33 axes; this reader takes up to 32",
        ),
    ] {
        let error = Npy::parse(&file(refused, &[0; 4])).expect_err(refused).to_string();
        require_message(&error);
        assert!(error.contains(told), "{refused}: {error}");
    }
}

#[test]
fn elements_that_are_none_are_refused() {
    let truth = file("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", &[1, 0, 2]);
    let error = Npy::parse(&truth).expect("valid so far").numbers().expect_err("2 is no truth value");
    assert_eq!(error.to_string(), "element 2: 2 as a truth value, which is 0 or 1; the file is damaged");
    let large = (1_u64 << 63).to_be_bytes();
    let large = file("{'descr': '>u8', 'fortran_order': False, 'shape': (1,)}", &large);
    let error = Npy::parse(&large).expect("valid so far").numbers().expect_err("beyond i64").to_string();
    assert!(error.starts_with("element 0: 9223372036854775808, above"), "{error}");
}

#[test]
fn numbers_are_as_many_as_the_shape_says_or_not_written() {
    let numbers = Numbers::U8(vec![0; 6]);
    assert!(matches!(npy::write(&numbers, &[2, 4]), Err(NpyError::Count { numbers: 6, .. })));
    assert!(matches!(npy::write(&Numbers::U8(vec![]), &[usize::MAX, 0]), Err(NpyError::Count { .. })));
    assert!(matches!(npy::write(&Numbers::U8(vec![0]), &[1; 33]), Err(NpyError::Rank { rank: 33 })));
    assert!(npy::write(&Numbers::U8(vec![0]), &[1; 32]).is_ok());
}

/// What comes of a file: all its arrays, or why not.
fn read(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let npz = Npz::parse(bytes).map_err(|error| error.to_string())?;
    let array = |name: &str| {
        let array = npz.array(name).expect("it is there").map_err(|error| error.to_string())?;
        Ok((name.to_owned(), array))
    };
    npz.names().map(array).collect()
}

/// Every cut and every changed byte gives one line of error, or what was there, or names that were changed; and no more
/// memory than the bytes are worth.
#[test]
fn damage_is_found_or_changes_nothing() {
    for original in [STORED, DEFLATED] {
        let whole = read(original).expect("valid");
        // Unpacked there are 6·4 f32, 6 i64 and two headers of 128 bytes.
        let most = 4 * (original.len() + 24 * 4 + 6 * 8 + 256) + (1 << 16);
        let judge = |bytes: &[u8], what: &str| {
            let (outcome, peak) = with_peak(|| read(bytes));
            assert!(peak <= most, "{what}: {peak} bytes were held");
            match outcome {
                Err(message) => {
                    require_message(&message);
                    true
                }
                Ok(arrays) => {
                    let numbers = |arrays: &[(String, Array)]| {
                        arrays.iter().map(|(_, array)| array.clone()).collect::<Vec<_>>()
                    };
                    let kept = numbers(&arrays);
                    assert!(
                        kept.iter().all(|array| numbers(&whole).contains(array)),
                        "{what}: other numbers"
                    );
                    false
                }
            }
        };
        for len in 0..original.len() {
            assert!(judge(&original[..len], &format!("the first {len}")), "the first {len} bytes were taken");
        }
        let mut found = 0;
        for at in 0..original.len() {
            for flip in [1, 0x10, 0x80, 0xff] {
                let mut bytes = original.to_vec();
                bytes[at] ^= flip;
                found += usize::from(judge(&bytes, &format!("byte {at} ^ {flip:02x}")));
            }
        }
        // Times, versions, permissions and what is written twice tell nothing.
        assert!(found > 2 * original.len(), "{found} of {} changes were found", 4 * original.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// To the bit, NaNs and zeros with a sign included.
    #[test]
    fn what_is_written_is_read_again(kind in 0..5, shape in prop::collection::vec(0_usize..5, 0..5), seed: u64) {
        let len: usize = shape.iter().product();
        let word = |i: usize| (seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let numbers = match kind {
            0 => Numbers::Bool((0..len).map(|i| word(i) >> 63 == 1).collect()),
            1 => Numbers::U8((0..len).map(|i| (word(i) >> 56) as u8).collect()),
            2 => Numbers::I64((0..len).map(|i| word(i) as i64).collect()),
            3 => Numbers::F32((0..len).map(|i| f32::from_bits((word(i) >> 32) as u32)).collect()),
            _ => Numbers::F64((0..len).map(|i| f64::from_bits(word(i))).collect()),
        };
        let file = npy::write(&numbers, &shape).expect("it fits");
        let again = Npy::parse(&file).expect("what was written can be read");
        prop_assert_eq!(again.shape(), &shape);
        // NaN is not itself: the bytes are compared.
        let numbers_again = again.numbers().expect("valid");
        prop_assert_eq!(numbers_again.to_bytes(), numbers.to_bytes());
        prop_assert_eq!(npy::write(&numbers_again, &shape).expect("it fits"), file);
    }

    #[test]
    fn any_bytes_are_no_danger(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(Npy::parse(&bytes).is_err());
        prop_assert!(Npz::parse(&bytes).is_err());
    }
}

/// Each byte of a plain file: a damaged header is told or says something else, damaged elements are other numbers.
#[test]
fn every_cut_and_every_byte_of_an_array() {
    let original = npy::write(&Numbers::F32(vec![1.0, -2.0, 0.5, 4.0]), &[2, 2]).expect("it fits");
    for len in 0..original.len() {
        let error = Npy::parse(&original[..len]).expect_err("cut short");
        assert!(matches!(error, NpyError::Truncated { found, .. } if found == len), "{len}: {error}");
    }
    for at in 0..original.len() {
        for value in 0..=255 {
            let mut bytes = original.clone();
            bytes[at] = value;
            match Array::of_npy(&bytes) {
                Ok(array) => assert_eq!(array.shape.iter().product::<usize>(), array.numbers.len()),
                Err(error) => require_message(&error.to_string()),
            }
        }
    }
}

/// The law of both orders: the element (i, j, k, …) of one is that of the other.
#[test]
fn an_element_keeps_its_indices() {
    for shape in [&[][..], &[5], &[3, 4], &[40, 17], &[2, 3, 5], &[1, 33, 1, 2], &[2, 2, 2, 2, 3], &[4, 0, 2]]
    {
        let len: usize = shape.iter().product();
        let bytes = Numbers::I64((0..len as i64).collect()).to_bytes();
        let numbers = Numbers::read_fortran(NumberType::I64, ByteOrder::Little, &bytes, shape);
        let Ok(Numbers::I64(numbers)) = numbers else { panic!("other numbers") };
        assert_eq!(numbers.len(), len);
        for (at, &number) in numbers.iter().enumerate() {
            // The indices from the last axis to the first, and then Fortran's place of them.
            let mut rest = at;
            let mut indices: Vec<usize> = Vec::new();
            for size in shape.iter().rev() {
                indices.push(rest % size);
                rest /= size;
            }
            let place =
                indices.iter().zip(shape.iter().rev()).fold(0, |place, (index, size)| place * size + index);
            assert_eq!(number, place as i64, "{shape:?} at {at}");
        }
    }
}

/// A stream that gives a byte at a time, and fails where it is cut.
struct Slowly<'a>(&'a [u8]);

impl std::io::Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(1);
        std::io::Read::read(&mut self.0, &mut buffer[..len])
    }
}

#[test]
fn a_stream_is_read_to_where_its_numbers_stay() {
    let numbers = Numbers::F32((0..1 << 18).map(|i| i as f32).collect());
    let file = npy::write(&numbers, &[1 << 9, 1 << 9]).expect("it fits");
    let (array, peak) = with_peak(|| npy::read(&mut &file[..], file.len()));
    assert_eq!(array.expect("memory can be read").expect("valid").numbers, numbers);
    assert!(peak < file.len() + (1 << 14), "{peak} bytes were held for a file of {}", file.len());
    let small = npy::write(&Numbers::I64(vec![1, -2, 3]), &[3]).expect("it fits");
    let array = npy::read(&mut Slowly(&small), small.len()).expect("memory can be read").expect("valid");
    assert_eq!(array.numbers, Numbers::I64(vec![1, -2, 3]));
    // A file that became shorter since it was asked how long it is.
    for len in 128..small.len() {
        assert!(npy::read(&mut &small[..len], small.len()).is_err());
    }
    for len in 0..small.len() {
        let error = npy::read(&mut &small[..len], len).expect("memory can be read").expect_err("cut short");
        assert_eq!(Err(error), Npy::parse(&small[..len]));
    }
}
