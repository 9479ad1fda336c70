//! Which name was probably meant, for errors about names that do not exist.

use crate::quote::quoted;

/// What comes before the list of what there is: `did you mean adam? There are`, or `there are` where no known
/// word is near. Of each known word, what follows the name, as in `gain (a number)` or `elu:1`, is left out.
///
/// A word is near that a slip or two leads to, if more than half of it is right; upper case, `-` and `_` do
/// not count.
///
/// ```
/// use backflow_tensor::spelling::did_you_mean;
/// assert_eq!(did_you_mean("rellu", "there are", ["relu", "elu:1"]), "did you mean relu? There are");
/// assert_eq!(did_you_mean("newton", "there are", ["relu", "elu:1"]), "there are");
/// ```
#[must_use]
pub fn did_you_mean<'a>(given: &str, there_is: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let names = known.into_iter().filter_map(|word| word.trim().split([':', ' ']).next());
    sentence(nearest(given, names), there_is)
}

/// The same of names from outside, as those of columns, which are whole with their spaces and colons.
///
/// ```
/// use backflow_tensor::spelling::did_you_mean_name;
/// assert_eq!(did_you_mean_name("sepal lenght", "there are", ["sepal length"]), "did you mean sepal length? There are");
/// ```
#[must_use]
pub fn did_you_mean_name<'a>(
    given: &str,
    there_is: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> String {
    sentence(nearest(given, names), there_is)
}

/// Of longer words nobody makes two slips alone.
const LONGEST: usize = 100;

fn sentence(meant: Option<&str>, there_is: &str) -> String {
    match meant {
        Some(name) => {
            let mut letters = there_is.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
            format!("did you mean {}? {first}{}", quoted(name), letters.as_str())
        }
        None => there_is.to_owned(),
    }
}

fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = plain(given);
    let length = given.chars().take(LONGEST + 1).count();
    if length > LONGEST {
        return None;
    }
    // Others are further away than two slips, and may be as long as a file.
    let is_near = |name: &&str| plain(name).chars().take(length + 3).count().abs_diff(length) <= 2;
    let names = names.into_iter().filter(is_near);
    let near = names.map(|name| (strsim::osa_distance(&given, &plain(name)), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && 2 * distance < given.chars().count()).then_some(name)
}

fn plain(name: &str) -> String {
    name.replace(['-', '_'], "").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, did_you_mean_name, nearest};

    #[test]
    fn a_slip_or_two_in_a_word_of_which_more_than_half_is_right() {
        let known = ["sgd", "adam", "adamw", "rmsprop", "he-normal", "gain", "elu"];
        for (given, right) in [
            ("sdg", Some("sgd")),
            ("Adamx", Some("adam")),
            ("rms_prob", Some("rmsprop")),
            ("HeNorml", Some("he-normal")),
            ("gian", Some("gain")),
            ("elu1", Some("elu")),
            ("newton", None),
            // Everything is near to so little.
            ("sg", None),
            ("", None),
            ("ααα", None),
        ] {
            assert_eq!(nearest(given, known), right, "{given}");
        }
        assert_eq!(nearest("sgd", []), None);
    }

    #[test]
    fn what_follows_a_name_is_left_out_of_words_and_not_of_names() {
        for (given, word) in [("gian", "gain (a number)"), ("elu1", "elu:1")] {
            let name = word.split([' ', ':']).next().unwrap();
            assert_eq!(did_you_mean(given, "there is", [word]), format!("did you mean {name}? There is"));
        }
        for (given, name) in [("gain (a nummber)", "gain (a number)"), ("elu:2", "elu:1")] {
            assert_eq!(
                did_you_mean_name(given, "there is", [name]),
                format!("did you mean {name}? There is")
            );
        }
        assert_eq!(did_you_mean_name("gain", "there is", ["gain (a number)"]), "there is");
        assert_eq!(did_you_mean_name("name", "there is", ["nam\u{1b}"]), r"did you mean nam\u{1b}? There is");
    }
}
