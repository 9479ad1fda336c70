//! Laws of the IDX parser: it inverts the writer, accepts nothing else, and never panics.

use backflow_data::formats::array::Array;
use backflow_data::formats::idx::{ElementType, Idx, IdxError, MAX_HEADER_LEN, MAX_RANK, declared_len};
use backflow_data::formats::numbers::Numbers;
use backflow_tensor::Rng;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::Rng as _;

const TYPES: [(u8, ElementType, usize); 6] = [
    (0x08, ElementType::U8, 1),
    (0x09, ElementType::I8, 1),
    (0x0b, ElementType::I16, 2),
    (0x0c, ElementType::I32, 4),
    (0x0d, ElementType::F32, 4),
    (0x0e, ElementType::F64, 8),
];

/// A header of these sizes, right or wrong.
fn header(magic: [u8; 4], sizes: &[u32]) -> Vec<u8> {
    magic.into_iter().chain(sizes.iter().flat_map(|size| size.to_be_bytes())).collect()
}

/// Whether a reader of the format's description would accept the file, in arithmetic that cannot overflow.
fn is_valid(file: &[u8]) -> bool {
    let Some((&[0, 0, code, rank], rest)) = file.split_first_chunk::<4>() else { return false };
    let Some((_, _, size)) = TYPES.into_iter().find(|&(known, ..)| known == code) else { return false };
    let rank = usize::from(rank);
    if rank == 0 || rank > MAX_RANK || rest.len() < 4 * rank {
        return false;
    }
    let sizes = rest[..4 * rank].as_chunks().0.iter().map(|&size| u128::from(u32::from_be_bytes(size)));
    let elements = sizes.fold(1, |product: u128, size| product.saturating_mul(size));
    elements > 0 && elements.saturating_mul(size as u128) == (rest.len() - 4 * rank) as u128
}

/// The laws that hold for any bytes whatever.
#[track_caller]
fn check(file: &[u8]) -> bool {
    match Idx::parse(file) {
        Ok(idx) => {
            assert!(is_valid(file), "accepted an invalid file: {file:02x?}");
            assert_eq!(idx.to_bytes(), file, "writing what was read gives other bytes");
            assert_eq!(declared_len(file), Ok(file.len()));
            true
        }
        Err(error) => {
            assert!(!is_valid(file), "refused a valid file: {file:02x?}: {error}");
            assert_eq!(Idx::parse(file), Err(error), "the same bytes fail in two ways");
            false
        }
    }
}

fn small_file() -> Vec<u8> {
    let elements: Vec<u8> = (0..3 * 5 * 2).collect();
    Idx::new(ElementType::U8, &[3, 5, 2], &elements).expect("valid").to_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn parse_inverts_print(
        kind in 0_usize..6,
        shape in prop::collection::vec(1_u32..6, 1..=MAX_RANK),
        fill: u8,
    ) {
        let (_, element_type, size) = TYPES[kind];
        let len = shape.iter().product::<u32>() as usize * size;
        let elements: Vec<u8> = (0..len).map(|i| fill.wrapping_add(i as u8)).collect();
        let idx = Idx::new(element_type, &shape, &elements).expect("valid");
        let file = idx.to_bytes();
        prop_assert!(check(&file));
        let again = Idx::parse(&file).expect("what was written can be read");
        prop_assert_eq!(&again, &idx);
        let parts = (again.element_type(), again.shape(), again.as_bytes());
        prop_assert_eq!(parts, (element_type, &shape[..], &elements[..]));
        prop_assert_eq!(again.to_f64().len() * size, len);
    }

    #[test]
    fn arbitrary_bytes_are_no_danger(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        check(&bytes);
    }
}

/// Every type code and rank, and every pair of first bytes, with sizes that tempt a parser to overflow.
#[test]
fn exhaustive_header_sweep() {
    const SIZES: [u32; 5] = [0, 1, (1 << 31) - 1, 1 << 31, u32::MAX];
    let mut accepted = 0_u32;
    let mut sweep = |magic: [u8; 4]| {
        for combination in 0..SIZES.len().pow(3) {
            let sizes = [SIZES[combination % 5], SIZES[combination / 5 % 5], SIZES[combination / 25]];
            accepted += u32::from(check(&header(magic, &sizes)));
            // One element of the type, so that some headers are right.
            if let Some((.., size)) = TYPES.iter().find(|(code, ..)| *code == magic[2]) {
                let axes = usize::from(magic[3]).min(3);
                let file = [header(magic, &sizes[..axes]), vec![1; *size]].concat();
                accepted += u32::from(check(&file));
            }
        }
    };
    for variant in 0..=u16::MAX {
        let [high, low] = variant.to_be_bytes();
        sweep([0, 0, high, low]);
        if variant != 0 {
            sweep([high, low, 0x08, 3]);
        }
    }
    // Right are the arrays of one element. With an element behind the header, of each of six types: shapes
    // [1], [1, 1] and [1, 1, 1], met 25, 5 and 1 times, because the sizes left over run on.
    let one_element = 6 * (25 + 5 + 1);
    // And with the sizes left over as the element: two of them under an f64 of shape [1], one under an i32 or
    // f32 of [1, 1].
    let sizes_as_element = 25 + 2 * 5;
    assert_eq!(accepted, one_element + sizes_as_element);
}

#[test]
fn every_truncation_is_an_error() {
    let file = small_file();
    assert!(check(&file), "the whole file is valid");
    for len in 0..file.len() {
        let error = Idx::parse(&file[..len]).expect_err("cut short");
        let IdxError::Truncated { expected, found } = error else { panic!("at {len}: {error}") };
        assert_eq!(found, len);
        assert!(
            expected > len && [4, 16, file.len()].contains(&expected),
            "at {len}: {expected} bytes needed"
        );
    }
}

#[test]
fn appended_bytes_are_an_error() {
    let mut file = small_file();
    let expected = file.len();
    for found in expected + 1..expected + 100 {
        file.push(0);
        assert_eq!(Idx::parse(&file), Err(IdxError::Trailing { expected, found }));
    }
}

/// Random bytes die at the magic number; damaged valid files reach every branch.
#[test]
fn damaged_files_are_no_danger() {
    let mut rng = Rng::seed_from_u64(7);
    let mut draw = move |n: usize| rng.next_u64() as usize % n;
    let original = small_file();
    let accepted = (0..200_000).filter(|_| {
        let mut file = original.clone();
        for _ in 0..=draw(3) {
            let at = draw(60);
            match (draw(4), file.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << draw(8),
                (1, Some(byte)) if at < MAX_HEADER_LEN => *byte = draw(16) as u8,
                (2, _) => file.truncate(at),
                _ => file.extend_from_slice(&original[..at.min(original.len())]),
            }
        }
        check(&file)
    });
    // Damage to elements alone leaves a valid file: both outcomes must have been met often.
    let accepted = accepted.count();
    assert!((10_000..190_000).contains(&accepted), "{accepted} of 200,000 accepted");
}

#[test]
fn every_type_is_read_as_written() {
    let table: [(ElementType, &[u8], &[f64]); 6] = [
        (ElementType::U8, &[0, 127, 128, 255], &[0., 127., 128., 255.]),
        (ElementType::I8, &[0, 127, 128, 255], &[0., 127., -128., -1.]),
        (ElementType::I16, &[1, 2, 0xff, 0xfe], &[258., -2.]),
        (ElementType::I32, &[0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0], &[2_147_483_647., -2_147_483_648.]),
        (ElementType::F32, &[0x3f, 0x80, 0, 0, 0xff, 0x80, 0, 0], &[1., f64::NEG_INFINITY]),
        (ElementType::F64, &[0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18], &[std::f64::consts::PI]),
    ];
    for (element_type, bytes, values) in table {
        let idx = Idx::new(element_type, &[values.len() as u32], bytes).expect("valid");
        assert_eq!(idx.to_f64(), values, "{element_type:?}");
        // In its own type it is as many numbers of the same values.
        let own: Vec<f64> = match idx.numbers() {
            Numbers::U8(numbers) if element_type == ElementType::U8 => {
                numbers.into_iter().map(f64::from).collect()
            }
            Numbers::I64(numbers) => numbers.into_iter().map(|number| number as f64).collect(),
            Numbers::F32(numbers) => numbers.into_iter().map(f64::from).collect(),
            Numbers::F64(numbers) => numbers,
            other => panic!("{element_type:?} as {other:?}"),
        };
        assert_eq!(own, values, "{element_type:?}");
        assert_eq!(Array::of_idx(&idx).shape, [values.len()]);
    }
}

/// The messages say where, what was expected, and what to do.
#[test]
fn messages() {
    let message = |file: &[u8]| Idx::parse(file).expect_err("invalid").to_string();
    assert_eq!(
        message(&header([0x1f, 0x8b, 8, 0], &[])),
        "byte 0: an IDX file begins with 00 00, found 1f 8b; this is some other kind of file"
    );
    assert_eq!(
        message(&header([0, 0, 0x0a, 1], &[1])),
        "byte 2: 0a is not an IDX element type (08, 09, 0b, 0c, 0d or 0e); the file is damaged"
    );
    assert_eq!(message(&header([0, 0, 8, 5], &[1; 5])), "byte 3: 5 axes; this reader takes 1 to 4");
    assert_eq!(message(&header([0, 0, 8, 0], &[])), "byte 3: 0 axes; this reader takes 1 to 4");
    assert_eq!(
        message(&header([0, 0, 8, 3], &[7, 0, 7])),
        "byte 8: axis 1 has length 0, so the array holds nothing; use a file with data in it"
    );
    assert_eq!(
        message(&header([0, 0, 8, 3], &[u32::MAX; 3])),
        "byte 4: the shape [4294967295, 4294967295, 4294967295] is too large for this machine; the header is \
         damaged"
    );
}

#[test]
fn an_array_is_written_as_its_type_and_shape() {
    let file = [header([0, 0, 0x0b, 2], &[2, 1]), vec![0; 4]].concat();
    assert_eq!(format!("{:?}", Idx::parse(&file).unwrap()), "Idx(I16 [2, 1])");
}
