//! How the values of options are read: each from its text to its type, with a message that says what was
//! expected.

use backflow_data::Augment;
use backflow_nn::{Activation, Init, LineError, ModelLine};
use backflow_tensor::DType;
use backflow_tensor::quote::quoted;

/// The sizes of a network's layers, inputs first: at least two, none of them 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerSizes(pub(crate) Vec<usize>);

/// No layer of a model that fits this program is wider.
pub(crate) const WIDEST_LAYER: usize = 1 << 20;

/// A network with more of them is deeper than any that gradients come through.
const MOST_LAYERS: usize = 10_002;

pub(crate) fn layer_sizes(text: &str) -> Result<LayerSizes, String> {
    let size = |part: &str| match part.trim().parse() {
        Ok(size @ 1..=WIDEST_LAYER) => Ok(size),
        _ => Err(format!(
            "'{}' is not a layer size; write sizes from 1 to {WIDEST_LAYER}, like 784,128,10",
            quoted(part)
        )),
    };
    let mut sizes = Vec::new();
    for part in text.split(',') {
        // `64*8`: eight layers of 64.
        let (part, times) = part.split_once('*').unwrap_or((part, "1"));
        let Ok(times @ 1..=MOST_LAYERS) = times.trim().parse() else {
            let times = quoted(times);
            return Err(format!("'{times}' is not a number of layers; write 1 to {MOST_LAYERS}, like 64*8"));
        };
        sizes.extend(std::iter::repeat_n(size(part)?, times));
        if sizes.len() > MOST_LAYERS {
            return Err(format!("more than {MOST_LAYERS} layers"));
        }
    }
    if sizes.len() < 2 {
        return Err("needs at least two sizes, inputs and outputs, like 784,10".to_owned());
    }
    Ok(LayerSizes(sizes))
}

pub(crate) fn activation(text: &str) -> Result<Activation, String> {
    text.parse().map_err(|error: <Activation as std::str::FromStr>::Err| error.to_string())
}

pub(crate) fn init(text: &str) -> Result<Init, String> {
    text.parse().map_err(|error: <Init as std::str::FromStr>::Err| error.to_string())
}

pub(crate) fn model(text: &str) -> Result<ModelLine, String> {
    text.parse().map_err(|error: LineError| error.to_string())
}

/// The shape of an input: `3x32x32`, steps and features `28x28`, or a number of features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputShape(pub(crate) Vec<usize>);

pub(crate) fn input_shape(text: &str) -> Result<InputShape, String> {
    let size = |part: &str| part.parse().ok().filter(|size| (1..=WIDEST_LAYER).contains(size));
    let shape: Option<Vec<usize>> = text.split('x').map(size).collect();
    shape.filter(|shape| (1..=3).contains(&shape.len())).map(InputShape).ok_or_else(|| {
        "expected channels, rows and columns, like 3x32x32, steps and features, like 28x28, or a number of \
         features, like 784"
            .to_owned()
    })
}

/// The rows and columns of pictures.
pub(crate) fn rows_and_columns(text: &str) -> Result<[usize; 2], String> {
    let size = |part: &str| part.parse().ok().filter(|size| (1..=MOST_PIXELS).contains(size));
    let sizes = text.split_once('x').and_then(|(rows, columns)| Some([size(rows)?, size(columns)?]));
    sizes.ok_or_else(|| format!("expected rows and columns, each from 1 to {MOST_PIXELS}, like 32x48"))
}

/// No picture that this program is for has more rows or columns.
const MOST_PIXELS: usize = 4096;

/// What stands between the cells of a table.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        &[sign] if sign != b'"' && !sign.is_ascii_alphanumeric() && sign != b'\n' && sign != b'\r' => {
            Ok(sign)
        }
        _ => Err("expected one sign, like ; or , or tab".to_owned()),
    }
}

pub(crate) fn augment(text: &str) -> Result<Augment, String> {
    text.parse().map_err(|error: <Augment as std::str::FromStr>::Err| error.to_string())
}

pub(crate) fn dtype(text: &str) -> Result<DType, String> {
    match text {
        "f32" => Ok(DType::F32),
        "f64" => Ok(DType::F64),
        _ => Err("expected f32 or f64".to_owned()),
    }
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && f64::is_finite(value) => Ok(value),
        _ => Err("expected a positive number".to_owned()),
    }
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("expected a number above 0 and at most 1".to_owned()),
    }
}

pub(crate) fn part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("expected a number between 0 and 1, like 0.1".to_owned()),
    }
}

pub(crate) fn at_least_one<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    let value = text.parse().ok().filter(|&value: &u64| value >= 1);
    value
        .and_then(|value| value.try_into().ok())
        .ok_or_else(|| "expected a whole number from 1 up".to_owned())
}

/// More threads than any machine has cores only cost time: starting a million takes minutes.
pub(crate) const MOST_THREADS: usize = 1024;

pub(crate) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=MOST_THREADS) => Ok(threads),
        _ => Err(format!("expected a whole number from 1 to {MOST_THREADS}")),
    }
}

pub(crate) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number from 0 up".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_sizes_are_at_least_two_and_none_is_zero() {
        assert_eq!(layer_sizes("784, 128,10").unwrap().0, [784, 128, 10]);
        assert_eq!(layer_sizes("784,64*3, 5 * 2 ,10").unwrap().0, [784, 64, 64, 64, 5, 5, 10]);
        for wrong in [
            "",
            "784",
            "784,0,10",
            "784,-1",
            "784,,10",
            "a,b",
            "784;10",
            "784,99999999999",
            "784*0,1",
            "784,*3",
            "784*2*2",
            "3*10003",
            "3*10002,2",
        ] {
            assert!(layer_sizes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_of_pictures_signs_and_parts() {
        assert_eq!((rows_and_columns("32x48"), rows_and_columns("1x4096")), (Ok([32, 48]), Ok([1, 4096])));
        for wrong in ["32", "0x4", "4x", "4x4x4", "4097x1", "-4x4", "4X4", ""] {
            assert!(rows_and_columns(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            [";", ",", " ", "tab", "\\t", "\t"].map(delimiter),
            [b';', b',', b' ', b'\t', b'\t', b'\t'].map(Ok)
        );
        for wrong in ["", ";;", "a", "1", "\"", "\n", "ä"] {
            assert!(delimiter(wrong).is_err(), "{wrong}");
        }
        assert_eq!(part("0.1"), Ok(0.1));
        for wrong in ["0", "1", "-0.5", "nan", "10%", ""] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_norms_are_positive_and_finite() {
        assert_eq!(positive("1e-3"), Ok(1e-3));
        for wrong in ["0", "-0.1", "nan", "inf", "", "1,5"] {
            assert!(positive(wrong).is_err(), "{wrong}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::{LayerSizes, MOST_LAYERS, WIDEST_LAYER, layer_sizes};
    use backflow_testkit::{Seed, fuzz};

    #[test]
    fn sizes_are_read_or_told() {
        let seeds = [
            Seed::taken("sizes", "784, 128,10"),
            Seed::taken("layers of one size", "784,64*3, 5 * 2 ,10"),
            Seed::taken("as many as there may be", "1*10002"),
            Seed::taken("the widest", "1048576,1"),
            Seed::refused("one more", "1*10002,1"),
            Seed::refused("many times many", "1*10002,".repeat(1000) + "1"),
            Seed::refused("a size of 2⁶³", "784,9223372036854775808,10"),
            Seed::refused("a number beyond its type", "784*18446744073709551616,10"),
            Seed::refused("a size of 70,000 digits", "784,".to_owned() + &"1".repeat(70_000)),
            Seed::refused("what a terminal would obey", "784,\u{1b}[31m\n,10"),
        ];
        fuzz("layer sizes", &seeds, 4000, |bytes| {
            let LayerSizes(sizes) = layer_sizes(&String::from_utf8_lossy(bytes))?;
            assert!((2..=MOST_LAYERS).contains(&sizes.len()));
            assert!(sizes.iter().all(|size| (1..=WIDEST_LAYER).contains(size)));
            Ok(())
        });
    }
}
