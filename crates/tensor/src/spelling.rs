//! Which name was probably meant, for errors about names that do not exist.

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
    match nearest(given, known) {
        Some(name) => {
            let mut letters = there_is.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
            format!("did you mean {name}? {first}{}", letters.as_str())
        }
        None => there_is.to_owned(),
    }
}

fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = plain(given);
    let names = known.into_iter().filter_map(|word| word.trim().split([':', ' ']).next());
    let near = names.map(|name| (strsim::osa_distance(&given, &plain(name)), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && 2 * distance < given.chars().count()).then_some(name)
}

fn plain(name: &str) -> String {
    name.replace(['-', '_'], "").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_or_two_in_a_word_of_which_more_than_half_is_right() {
        let known = ["sgd", "adam", "adamw", "rmsprop", "he-normal", "gain (a number)", "elu:1"];
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
}
