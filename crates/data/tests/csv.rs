//! Laws of CSV: however a table is written, the same numbers are read; what cannot be one is told with line and column.

mod allocations;

use allocations::with_peak;
use backflow_data::formats::csv::{CsvOptions, Table, is_table};
use backflow_data::formats::npy::Npy;
use backflow_data::formats::numbers::Numbers;
use backflow_data::formats::targets::{Classes, Goal, Targets};
use backflow_testkit::require_message;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn parse(text: &str) -> Result<Table, String> {
    parse_as(text, &CsvOptions::default())
}

fn parse_as(text: &str, options: &CsvOptions) -> Result<Table, String> {
    Table::parse(text.as_bytes(), options).map_err(|error| {
        let message = error.to_string();
        require_message(&message);
        message
    })
}

fn words(words: &[&str]) -> Classes {
    Classes::Words(words.iter().map(|&word| word.to_owned()).collect())
}

/// How a table may be written.
#[derive(Clone, Copy, Debug)]
struct Style {
    delimiter: char,
    end: &'static str,
    quotes: bool,
    mark: bool,
    header: bool,
    blank: bool,
    spaces: bool,
}

fn style() -> impl Strategy<Value = Style> {
    let delimiter = prop::sample::select(vec![',', ';', '\t', '|']);
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (delimiter, end, any::<[bool; 5]>()).prop_map(
        |(delimiter, end, [quotes, mark, header, blank, spaces])| Style {
            delimiter,
            end,
            quotes,
            mark,
            header,
            blank,
            spaces: spaces && !quotes && delimiter != '\t',
        },
    )
}

/// The text of a table in this style.
fn print(style: Style, rows: &[Vec<String>]) -> String {
    let mut text = String::from(if style.mark { "\u{feff}" } else { "" });
    let width = rows[0].len();
    let header = style.header.then(|| (0..width).map(|column| format!("no. {column}")).collect::<Vec<_>>());
    for row in header.iter().chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| match style {
                Style { quotes: true, .. } => format!("\"{}\"", cell.replace('"', "\"\"")),
                Style { spaces: true, .. } => format!(" {cell} "),
                _ => cell.clone(),
            })
            .collect();
        text += &cells.join(&style.delimiter.to_string());
        text += style.end;
    }
    if style.blank {
        text += style.end;
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// To the bit: Rust prints each number with as many digits as it takes to read it again.
    #[test]
    fn the_same_numbers_are_read_however_they_are_written(
        style in style(),
        (rows, width) in (1_usize..30, 2_usize..6),
        at in 0_usize..6,
        seed: u64,
        kind in 0..3,
    ) {
        let at = at % width;
        let word = |i: usize| (seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let float = |i: usize| {
            let float = f32::from_bits((word(i) >> 32) as u32);
            if float.is_finite() { float } else { 0.1 }
        };
        let class = |row: usize| ["dog", "a cat", "εμύ"][word(row) as usize % 3];
        let target = |row: usize| match kind {
            0 => class(row).to_owned(),
            1 => (word(row) % 3 * 5).to_string(),
            _ => format!("{:?}", float(row)),
        };
        let table: Vec<Vec<String>> = (0..rows)
            .map(|row| {
                let cell = |column| if column == at { target(row) } else { format!("{:?}", float(row * width + column)) };
                (0..width).map(cell).collect()
            })
            .collect();
        let text = print(style, &table);
        let goal = Some(if kind == 2 { Goal::Regress } else { Goal::Classify });
        let options = CsvOptions { target: Some((at + 1).to_string()), goal, ..CsvOptions::default() };
        let read = Table::parse(text.as_bytes(), &options).expect(&text);
        let is_feature = |i: &usize| i % width != at;
        let expected: Vec<u32> = (0..rows * width).filter(is_feature).map(|i| float(i).to_bits()).collect();
        prop_assert_eq!(read.features.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), expected);
        prop_assert_eq!((read.width, read.columns.is_some()), (width - 1, style.header));
        match (kind, read.targets) {
            (0, Targets::Classes(labels, Classes::Words(names))) => {
                prop_assert!(names.is_sorted());
                let again: Vec<&str> = labels.iter().map(|&label| &*names[label as usize]).collect();
                prop_assert_eq!(again, (0..rows).map(class).collect::<Vec<_>>());
            }
            (1, Targets::Classes(labels, classes)) => {
                let number = |label: i64| match &classes {
                    Classes::Count(_) => label,
                    Classes::Numbers(numbers) => numbers[label as usize],
                    Classes::Words(_) => panic!("words"),
                };
                let again: Vec<i64> = labels.into_iter().map(number).collect();
                prop_assert_eq!(again, (0..rows).map(|row| (word(row) % 3 * 5) as i64).collect::<Vec<_>>());
            }
            (_, Targets::Numbers(numbers)) => {
                let again: Vec<u32> = numbers.into_iter().map(f32::to_bits).collect();
                prop_assert_eq!(again, (0..rows).map(|row| float(row).to_bits()).collect::<Vec<_>>());
            }
            (_, other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn any_bytes_are_no_danger(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = is_table(&bytes);
        if let Err(error) = Table::parse(&bytes, &CsvOptions::default()) {
            require_message(&error.to_string());
        }
    }
}

/// What pandas wrote, with quotes, line ends and delimiters inside of cells, and what it reads of that.
#[test]
fn pandas_files_are_read_as_pandas_reads_them() {
    let (file, numbers) = (include_bytes!("files/table.csv"), include_bytes!("files/table.npy"));
    let options = CsvOptions { target: Some("kind".to_owned()), ..CsvOptions::default() };
    let table = Table::parse(file, &options).expect("valid");
    let expected = Npy::parse(numbers).expect("valid").numbers().expect("valid");
    assert_eq!(Numbers::F32(table.features), expected);
    assert_eq!(
        table.columns.as_deref(),
        Some(&["height, in m", "the \"mass\"", "count"].map(str::to_owned)[..])
    );
    assert_eq!(table.target.as_deref(), Some("kind"));
    let kinds = words(&["a \"b\"", "c; d", "e\nf", "größer"]);
    assert_eq!(table.targets, Targets::Classes((0..12).map(|i| [3, 0, 1, 2, 0][i % 5]).collect(), kinds));
}

#[test]
fn what_a_file_does_not_say_is_found() {
    let classes = |text: &str| match parse(text).expect(text).targets {
        Targets::Classes(labels, classes) => (labels, classes),
        Targets::Numbers(_) => panic!("numbers: {text}"),
    };
    // Classes: words, the numbers from 0 on, other whole numbers.
    assert_eq!(classes("1,b\n2,a\n3,b\n"), (vec![1, 0, 1], words(&["a", "b"])));
    assert_eq!(classes("1,0\n2,1\n3,2.0\n"), (vec![0, 1, 2], Classes::Count(3)));
    assert_eq!(classes("1,7\n2,-3\n3,7\n4,7\n"), (vec![1, 0, 1, 1], Classes::Numbers(vec![-3, 7])));
    assert_eq!(Classes::Numbers(vec![-3, 7]).names(), Some(vec!["-3".to_owned(), "7".to_owned()]));
    // A word among numbers makes words of all.
    assert_eq!(classes("1,10\n2,9\n3,x\n"), (vec![0, 1, 2], words(&["10", "9", "x"])));
    // A class may be called none.
    assert_eq!(classes("1,none\n2,mild\n"), (vec![1, 0], words(&["mild", "none"])));
    for numbers in ["1,0.5\n2,1\n", "1,7\n2,8\n", "1,1e3\n2,1e3\n"] {
        assert!(matches!(parse(numbers), Ok(Table { targets: Targets::Numbers(_), .. })), "{numbers}");
    }
    // A header is a line without numbers over one with some.
    for (text, columns) in [
        ("a,b,c\n1,2,3\n", Some(["a", "b"])),
        ("a,2,c\n1,2,3\n", None),
        (",b,c\n1,2,3\n", Some(["", "b"])),
        ("1,2,x\n1,2,y\n", None),
    ] {
        let columns = columns.map(|columns| columns.map(str::to_owned).to_vec());
        match parse(text) {
            Ok(table) => assert_eq!(table.columns, columns, "{text}"),
            Err(error) => assert!(columns.is_none() && error.contains("is no number"), "{text}: {error}"),
        }
    }
    let options = CsvOptions { header: Some(true), ..CsvOptions::default() };
    assert_eq!(parse_as("1,2\n3,4\n5,6\n", &options).map(|table| table.features), Ok(vec![3.0, 5.0]));
    // The delimiter is what cuts lines evenly, the comma if several do.
    for (text, width) in [
        ("1;2,5;3\n4;5,5;6\n", 3),
        ("a|b|c\n1|2|3\n", 3),
        ("1,2;3\n4,5;6\n", 2),
        ("a b\tc\n1\t2\n", 2),
        ("\"a;b\",c\n1,2\n", 2),
    ] {
        let width_read = parse(text).map(|table| table.width + 1).unwrap_or_else(|error| {
            assert!(error.contains("decimal comma") || error.contains("no number"), "{text}: {error}");
            width
        });
        assert_eq!(width_read, width, "{text}");
    }
    let options = CsvOptions { delimiter: Some(b' '), ..CsvOptions::default() };
    assert_eq!(
        parse_as("1 2 a\n3 4 b\n", &options).map(|table| table.features),
        Ok(vec![1.0, 2.0, 3.0, 4.0])
    );
    assert!(["a,b\n1,2\n", "1;2\n3;4\n"].iter().all(|text| is_table(text.as_bytes())));
    let no_table = ["", "a", "To be, or not to be\n", "Well, well, 1\nsaid she\n", "a,b\nc,d\n", "1\n2\n"];
    assert!(!no_table.iter().any(|text| is_table(text.as_bytes())));
}

#[test]
fn a_test_set_has_the_classes_of_its_training_set() {
    let with = |classes: Classes, text: &str| {
        parse_as(text, &CsvOptions { classes: Some(classes), ..CsvOptions::default() })
            .map(|table| table.targets)
    };
    let known = words(&["a", "b", "c"]);
    assert_eq!(with(known.clone(), "1,c\n2,a\n"), Ok(Targets::Classes(vec![2, 0], known.clone())));
    let error = with(known, "x,y\n1,c\n2,d\n").unwrap_err();
    assert_eq!(error, "line 3, column 2 (y): the class \"d\" is none of the training set's");
    let known = Classes::Numbers(vec![3, 7]);
    assert_eq!(with(known.clone(), "1,7\n2,3\n"), Ok(Targets::Classes(vec![1, 0], known.clone())));
    assert!(with(known, "1,7\n2,4\n").unwrap_err().starts_with("line 2, column 2: the class \"4\""));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let with = |options: CsvOptions| move |text: &str| parse_as(text, &options);
    let target = |name: &str| CsvOptions { target: Some(name.to_owned()), ..CsvOptions::default() };
    let goal = |goal| CsvOptions { goal: Some(goal), ..CsvOptions::default() };
    let usual = CsvOptions::default;
    let many = (0..300).map(|row| format!("{row},w{row}\n")).collect::<String>();
    for (text, options, told) in [
        ("", usual(), "no rows; the file is empty"),
        ("\n\n\r\n", usual(), "no rows"),
        ("a,b\n", usual(), "no rows; the file is empty or holds a header alone"),
        ("1\n2\n", usual(), "line 1: one column"),
        ("a,b\n1,2\n3\n", usual(), "line 3: 1 cells, and the lines before have 2"),
        ("a,b\n1,2\n\n\n3,4,5\n", usual(), "line 5: 3 cells, and the lines before have 2"),
        (
            "age,b\n1,2\n ,4\n",
            usual(),
            "line 3, column 1 (age): the value is missing (\"\"); fill it in or leave the row out",
        ),
        ("a,b\n1,2\nNaN,4\n", usual(), "line 3, column 1 (a): the value is missing (\"NaN\")"),
        ("1,2\n1,?\n", usual(), "line 2, column 2: the value is missing (\"?\")"),
        ("a,b\n1,x\n2,\n", usual(), "line 3, column 2 (b): the value is missing"),
        (
            "a,b,c\n1,red,0\n",
            usual(),
            "line 2, column 2 (b): \"red\" is no number, and features are numbers; encode",
        ),
        ("a,b\n\"1\n\",2\ninf,3\n", usual(), "line 4, column 1 (a): \"inf\" is no number"),
        (
            "a;b\n3,14;2\n",
            usual(),
            "line 2, column 1 (a): \"3,14\" has a decimal comma; write numbers with a point",
        ),
        ("a,b\n1e39,2\n", usual(), "line 2, column 1 (a): 1e39 is beyond the numbers of f32"),
        ("a,b\n0x10,2\n", usual(), "\"0x10\" is no number"),
        ("a,b\n1,2\n", target("c"), "no column \"c\" to be the target; there are 2: a, b"),
        (
            "1,2\n1,2\n",
            target("0"),
            "no column \"0\" to be the target; there are 2, without names, counted from 1",
        ),
        ("a,a\n1,2\n", target("a"), "columns 1 and 2 are both called \"a\"; name the target by its number"),
        ("a,b\n1,x\n2,y\n", goal(Goal::Regress), "line 2, column 2 (b): the target \"x\" is no number"),
        (
            "a,b\n1,1\n2,1.5\n",
            goal(Goal::Classify),
            "line 3, column 2 (b): the target 1.5 is neither a whole number",
        ),
        (
            &many,
            usual(),
            "line 1, column 2: 300 different targets in 300 rows are hardly classes, and \"w0\" is no number",
        ),
        ("a,\u{1b}[31m\n1,\n", usual(), "line 2, column 2 (\\u{1b}[31m): the value is missing"),
    ] {
        let error = with(options)(text).expect_err(text);
        assert!(
            error.starts_with(told) || error.contains(told) && told.starts_with('"'),
            "{text:?}: {error}"
        );
    }
    for (bytes, told) in [
        (&b"a,b\n1,\xe9\n"[..], "line 2: not UTF-8 text, perhaps Latin-1; save the file as UTF-8"),
        (b"\xff\xfea\x00,\x00b\x00", "line 1: not UTF-8 text, but UTF-16"),
        (b"a,b\n1,2\n\0\0", "line 3: not UTF-8 text, for text has no byte 0"),
    ] {
        assert!(Table::parse(bytes, &usual()).expect_err(told).to_string().starts_with(told), "{told}");
    }
}

/// Every cut and every byte of a small file: a table of as many numbers as there are cells, or one line of error.
#[test]
fn damage_is_told_or_gives_a_table() {
    let original = b"\xef\xbb\xbflength,\"wi\"\"dth\",kind\r\n1.5,-2e1,a\r\n3,4,\"b\nc\"\r\n\r\n";
    assert!(Table::parse(original, &CsvOptions::default()).is_ok());
    let judge = |bytes: &[u8]| {
        let (outcome, peak) = with_peak(|| Table::parse(bytes, &CsvOptions::default()));
        assert!(peak <= 96 * bytes.len() + (1 << 19), "{} bytes made the parser hold {peak}", bytes.len());
        match outcome {
            Ok(table) => {
                let rows = match &table.targets {
                    Targets::Classes(labels, classes) => {
                        assert!(labels.iter().all(|&label| (label as usize) < classes.len()));
                        labels.len()
                    }
                    Targets::Numbers(numbers) => numbers.len(),
                };
                assert_eq!(table.features.len(), rows * table.width);
                assert!(table.features.iter().all(|x| x.is_finite()));
            }
            Err(error) => require_message(&error.to_string()),
        }
    };
    (0..original.len()).for_each(|len| judge(&original[..len]));
    for at in 0..original.len() {
        for value in 0..=255 {
            let mut bytes = original.to_vec();
            bytes[at] = value;
            judge(&bytes);
        }
    }
    // One line of nothing but delimiters, and one column of nothing but short numbers.
    judge(",".repeat(1 << 16).as_bytes());
    judge([",".repeat(1 << 16), "1,".repeat(1 << 16)].join("\n").as_bytes());
    judge("1,1\n".repeat(1 << 14).as_bytes());
}
