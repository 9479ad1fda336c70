//! Lists of values separated by commas, none of them twice. Commas between the settings of one value do not
//! separate values.

use crate::{options, ranges};
use backflow_nn::{Activation, Init};
use backflow_tensor::quote::quoted;
use backflow_train::study::{Cell, Norm};
use std::fmt::{self, Display};

/// The values of a list, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

/// The values of the list, or these if none was given.
pub(crate) fn or<'a, T>(list: Option<&'a List<T>>, default: &'a [T]) -> &'a [T] {
    list.map_or(default, |List(values)| values)
}

/// More layers than any of the literature's plain networks; the gradients of most are NaN or infinite long
/// before.
const DEEPEST: usize = 10_000;

/// No layer of a network that fits this program is wider.
const WIDEST: usize = 1 << 20;

/// No sequence is longer whose states are kept.
pub(super) const MOST_STEPS: usize = 100_000;

pub(crate) fn activations(text: &str) -> Result<List<Activation>, String> {
    list(text, |piece| Ok(vec![options::activation(piece)?]))
}

pub(crate) fn inits(text: &str) -> Result<List<Init>, String> {
    list(text, |piece| Ok(vec![options::init(piece)?]))
}

pub(crate) fn cells(text: &str) -> Result<List<Cell>, String> {
    list(text, |piece| Ok(vec![piece.parse()?]))
}

/// Whole numbers from 0 up.
pub(crate) fn steps(text: &str) -> Result<List<u64>, String> {
    list(text, |piece| match piece.contains("..") {
        true => {
            Ok(ranges::whole(piece, "number of steps", MOST_STEPS)?.into_iter().map(|n| n as u64).collect())
        }
        false => Ok(vec![options::seed(piece)?]),
    })
}

pub(crate) fn gains(text: &str) -> Result<List<f64>, String> {
    list(text, |piece| {
        let gains = ranges::values(piece)?;
        match gains.iter().find(|&&gain| !(gain > 0.0 && gain <= LARGEST)) {
            Some(gain) => Err(format!("{gain} is not a gain; write numbers above 0, up to {LARGEST}")),
            None => Ok(gains),
        }
    })
}

pub(crate) fn norms(text: &str) -> Result<List<Norm>, String> {
    list(text, |piece| Ok(vec![piece.parse()?]))
}

/// Whether something goes past branches: `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Skip(pub(crate) bool);

impl Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "on" } else { "off" })
    }
}

pub(crate) fn skips(text: &str) -> Result<List<Skip>, String> {
    list(text, |piece| match piece {
        "on" => Ok(vec![Skip(true)]),
        "off" => Ok(vec![Skip(false)]),
        _ => Err(format!("\"{}\" is not on or off", quoted(piece))),
    })
}

pub(crate) fn depths(text: &str) -> Result<List<usize>, String> {
    list(text, |piece| ranges::whole(piece, "number of hidden layers", DEEPEST))
}

pub(crate) fn widths(text: &str) -> Result<List<usize>, String> {
    list(text, |piece| ranges::whole(piece, "number of units", WIDEST))
}

/// Standard deviations, of which those of weights may not be 0.
pub(crate) fn sigmas(text: &str) -> Result<List<f64>, String> {
    list(text, |piece| {
        let sigmas = ranges::values(piece)?;
        match sigmas.iter().find(|&&sigma| !(0.0..=LARGEST).contains(&sigma)) {
            Some(sigma) => {
                Err(format!("{sigma} is not a standard deviation; write numbers from 0 to {LARGEST}"))
            }
            None => Ok(sigmas),
        }
    })
}

/// Far beyond what any signal goes through a layer with.
const LARGEST: f64 = 1e6;

fn list<T: PartialEq + Display>(
    text: &str,
    read: impl Fn(&str) -> Result<Vec<T>, String>,
) -> Result<List<T>, String> {
    let mut pieces: Vec<String> = Vec::new();
    for piece in text.split(',').map(str::trim) {
        if piece.is_empty() {
            return Err("nothing between two commas; write values like a,b,c".to_owned());
        }
        // One with `=` and no `:` is a setting of the value before it.
        match pieces.last_mut().filter(|last| last.contains('=') && is_setting(piece)) {
            Some(last) => {
                last.push(',');
                last.push_str(piece);
            }
            None => pieces.push(piece.to_owned()),
        }
    }
    let mut values = Vec::new();
    for piece in pieces {
        for value in read(&piece)? {
            if values.contains(&value) {
                return Err(format!("{} is there twice", quoted(&value.to_string())));
            }
            values.push(value);
            ranges::few(&values)?;
        }
    }
    Ok(List(values))
}

fn is_setting(piece: &str) -> bool {
    piece.contains('=') && !piece.contains(':')
}

#[cfg(test)]
mod tests {
    use super::{List, activations, cells, depths, gains, inits, sigmas, steps, widths};
    use backflow_nn::{Activation, Init};
    use backflow_train::study::Cell;

    #[test]
    fn lists_have_values_that_differ() {
        assert_eq!(activations("relu, tanh"), Ok(List(vec![Activation::Relu, Activation::Tanh])));
        let normal = Init::Normal { mean: 0.0, std: 0.1 };
        assert_eq!(inits("he-normal,normal:0:0.1"), Ok(List(vec![Init::HeNormal, normal])));
        let biased = Init::HeNormal.with_gain(1.2).with_bias_variance(0.05);
        let inits_with_settings = "he-normal:gain=1.2 , bias_var=0.05,orthogonal:gain=1,he-normal";
        let expected = List(vec![biased, Init::Orthogonal.with_gain(1.0), Init::HeNormal]);
        assert_eq!(inits(inits_with_settings), Ok(expected));
        assert_eq!(inits("identity"), Ok(List(vec![Init::Identity])));
        assert_eq!(cells("gru,irnn"), Ok(List(vec![Cell::Gru, Cell::Irnn])));
        assert_eq!(steps("0,20..40:20"), Ok(List(vec![0, 20, 40])));
        assert_eq!(gains("0.7,1..2@2"), Ok(List(vec![0.7, 1.0, 2.0])));
        assert!(
            cells("lsmt").is_err() && steps("-1").is_err() && gains("0").is_err() && gains("nan").is_err()
        );
        for wrong in ["gain=1", "he-normal,gain=1", "he-normal:gain=1,2", "he-normal:gain=1,gain=2"] {
            assert!(inits(wrong).is_err(), "{wrong}");
        }
        assert_eq!(depths("40,2 ,5"), Ok(List(vec![40, 2, 5])));
        assert_eq!(widths("1"), Ok(List(vec![1])));
        assert_eq!(depths("2,5..20:5,100..1000@log:3"), Ok(List(vec![2, 5, 10, 15, 20, 100, 316, 1000])));
        assert_eq!(sigmas("0,0.5..2@4"), Ok(List(vec![0.0, 0.5, 1.0, 1.5, 2.0])));
        for wrong in ["-1", "nan", "1e7", "1..2@3,1.5"] {
            assert!(sigmas(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "relu,", "relu,,tanh", "relu,relu", "rellu", "relu;tanh"] {
            assert!(activations(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "-1", "2.5", "10001", "5,5", "1..5,3", "99999999999999999999"] {
            assert!(depths(wrong).is_err(), "{wrong}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::{List, activations, cells, depths, inits, sigmas, widths};
    use crate::ranges::few;
    use backflow_testkit::{Seed, fuzz};

    /// What holds of a list of any kind.
    fn judged<T: PartialEq + std::fmt::Debug>(list: Result<List<T>, String>) -> Result<(), String> {
        let List(values) = list?;
        assert!(!values.is_empty() && few(&values).is_ok(), "{}", values.len());
        assert!(
            values.len() > 100 || (1..values.len()).all(|idx| !values[..idx].contains(&values[idx])),
            "{values:?}"
        );
        Ok(())
    }

    #[test]
    fn names_and_settings_are_lists_or_told() {
        let seeds = [
            Seed::taken("activations", "relu, tanh,leaky-relu:0.1"),
            Seed::taken("rules", "he-normal:gain=1.2 , bias_var=0.05,orthogonal:gain=1,he-normal"),
            Seed::refused("nothing between two commas", "relu,,tanh"),
            Seed::refused("twice", "relu,relu"),
            Seed::refused("a setting of nothing", "gain=1"),
            Seed::refused(
                "settings without end",
                "he-normal:gain=1".to_owned() + &",bias_var=1".repeat(10_000),
            ),
            Seed::refused("a name of 70,000 letters", "r".repeat(70_000)),
            Seed::refused("a name that a terminal would obey", "re\u{1b}[31m\nlu"),
        ];
        fuzz("lists of names", &seeds, 400, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let all = [judged(activations(&text)), judged(inits(&text)), judged(cells(&text))];
            all.into_iter().reduce(|so_far, next| so_far.or(next)).unwrap_or(Ok(()))
        });
    }

    #[test]
    fn numbers_are_lists_or_told() {
        let ranges =
            |count: u32| (0..count).map(|begin| format!("{begin}..{begin}.999@10000,")).collect::<String>();
        let seeds = [
            Seed::taken("depths", "2,5..20:5,100..1000@log:3"),
            Seed::taken("deviations", "0,0.5..2@4"),
            Seed::taken("as many as there may be", "1..1000@10000"),
            Seed::refused("ranges without end", ranges(200) + "0.9995"),
            Seed::refused("a number twice", "5,5"),
            Seed::refused("a number in a range", "1..5,3"),
            Seed::refused("a number beyond its type", "99999999999999999999"),
            Seed::refused("no number", "NaN"),
            Seed::refused("70,000 digits", "1".repeat(70_000)),
        ];
        fuzz("lists of numbers", &seeds, 400, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let all = [judged(depths(&text)), judged(widths(&text)), judged(sigmas(&text))];
            all.iter()
                .flat_map(|read| read.as_ref().err())
                .for_each(|message| backflow_testkit::require_message(message));
            all.into_iter().reduce(|so_far, next| so_far.or(next)).unwrap_or(Ok(()))
        });
    }
}
