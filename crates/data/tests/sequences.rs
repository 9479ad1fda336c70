//! Laws of made sequences, and of texts in windows.

use backflow_data::{DataError, Dataset, Loader, Text, adding, copying};
use backflow_tensor::{DType, Rng};

fn rng(seed: u64) -> Rng {
    Rng::seed_from_u64(seed)
}

/// Examples are a function of stream and index: the same again, another set by another stream, and the first of many are
/// those of few.
#[test]
fn examples_are_a_function_of_stream_and_index() {
    for make in [adding, copying] {
        let data = make(30, 40, &rng(7));
        assert!(data == make(30, 40, &rng(7)) && data.first(9) == make(30, 9, &rng(7)));
        assert!(data != make(30, 40, &rng(8)) && data != make(30, 40, &rng(7).split(1)));
        assert_eq!(make(30, 0, &rng(7)).len(), 0);
    }
}

/// The numbers of an example, step by step, and its target.
fn added(data: &Dataset, index: usize) -> (Vec<[f32; 2]>, f32) {
    let batch = Loader::new(data, data.len()).batch(0, 0);
    let steps = data.row(index).chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    (steps, batch.targets.to_vec::<f32>()[index])
}

/// Two marks, one in each half, and the sum of what they mark, at the shortest and at odd lengths, too.
#[test]
fn two_numbers_are_marked_and_added() {
    for steps in [2, 3, 11, 100] {
        let data = adding(steps, 60, &rng(3));
        let mut places = vec![0; steps];
        for index in 0..60 {
            let (numbers, sum) = added(&data, index);
            assert!(
                numbers
                    .iter()
                    .all(|&[number, mark]| (0.0..1.0).contains(&number) && mark * (1.0 - mark) == 0.0)
            );
            let marked: Vec<usize> = (0..steps).filter(|&step| numbers[step][1] == 1.0).collect();
            assert!(marked.len() == 2 && marked[0] < steps / 2 && marked[1] >= steps / 2, "{marked:?}");
            assert_eq!(sum, numbers[marked[0]][0] + numbers[marked[1]][0]);
            marked.into_iter().for_each(|step| places[step] += 1);
        }
        // Of 60 draws from at most 6 places, one that is missed has a probability of 6 (5/6)^60 < 2e-4.
        assert!(steps > 12 || places.iter().all(|&count| count > 0), "{places:?}");
    }
}

/// The sum of two uniform numbers has the mean 1 and the variance 1/6, which is what a guess of 1 gets. Of 4,000, the mean
/// has a standard error of √(1/6/4000) = 0.0065, the variance of (κ − 1)^½/6/√4000 = 0.0031 with κ = 2.4: five of each.
#[test]
fn a_guess_gets_a_sixth() {
    let batch = Loader::new(&adding(4, 4000, &rng(5)), 4000).batch(0, 0);
    let errors: Vec<f64> = batch.targets.to_f64_vec().into_iter().map(|sum| sum - 1.0).collect();
    let mean = |of: &dyn Fn(f64) -> f64| errors.iter().map(|&x| of(x)).sum::<f64>() / 4000.0;
    assert!(mean(&|x| x).abs() < 0.033 && (mean(&|x| x * x) - 1.0 / 6.0).abs() < 0.016);
}

#[test]
fn symbols_come_again_after_the_pause() {
    for pause in [1, 2, 50] {
        let data = copying(pause, 400, &rng(3));
        assert_eq!((data.input_dtype(), data.target_dtype()), (DType::I64, Some(DType::I64)));
        let batch = Loader::new(&data, 400).batch(0, 0);
        let [inputs, targets] = [&batch.inputs, &batch.targets].map(|ids| ids.to_vec::<i64>());
        let steps = pause + 20;
        let mut counts = [0_usize; 8];
        for (input, target) in inputs.chunks(steps).zip(targets.chunks(steps)) {
            let (symbols, rest) = input.split_at(10);
            symbols.iter().for_each(|&symbol| counts[usize::try_from(symbol).unwrap()] += 1);
            let expected = [vec![8; pause - 1], vec![9], vec![8; 10]].concat();
            assert_eq!(rest, expected);
            assert_eq!(target, [vec![8; pause + 10], symbols.to_vec()].concat());
        }
        // 4,000 draws: 500 of each, with a standard deviation of √(4000 · 1/8 · 7/8) = 21.
        assert!(counts.iter().all(|&count| count.abs_diff(500) < 105), "{counts:?}");
    }
}

/// Put together again, windows are the text, but for what fills none.
#[test]
fn windows_are_the_text() {
    let bytes: Vec<u8> = (0..1003_u32).map(|nth| (nth * nth % 251) as u8).collect();
    for steps in [1, 7, 64] {
        let text = Text::of(&bytes, steps).unwrap();
        for (set, part) in [(&text.train, &bytes[..903]), (&text.test, &bytes[903..])] {
            assert_eq!((set.classes(), set.target_shape()), (256, None));
            let ids = Loader::new(set, set.len()).batch(0, 0).inputs.to_vec::<i64>();
            let mut joined = vec![ids[0]];
            for window in ids.chunks(steps + 1) {
                assert_eq!(window[0], joined[joined.len() - 1]);
                joined.extend(&window[1..]);
            }
            let expected: Vec<i64> = part.iter().map(|&byte| i64::from(byte)).collect();
            assert_eq!(joined, expected[..joined.len()]);
            assert!(part.len() - joined.len() < steps);
        }
    }
}

#[test]
fn a_text_that_is_too_short_or_not_there_is_told() {
    assert!(Text::of(&[7; 40], 3).is_some() && Text::of(&[7; 39], 3).is_none() && Text::of(b"", 1).is_none());
    assert!(Text::of(&[7; 40], 0).is_none() && Text::of(&[7; 40], usize::MAX).is_none());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poem.txt");
    let told = || Text::load(&path, 3).unwrap_err().to_string();
    assert!(matches!(Text::load(&path, 3), Err(DataError::Missing { .. })));
    assert!(told().contains("no file with the text; looked for poem.txt"), "{}", told());
    #[allow(clippy::disallowed_methods, reason = "a file that the reader must find")]
    std::fs::write(&path, [b'a'; 39]).unwrap();
    assert!(told().contains("holds 39 bytes, expected at least 40 bytes"), "{}", told());
}
