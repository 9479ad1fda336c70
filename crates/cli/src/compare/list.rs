//! The list of `--optimizers`, in which commas separate optimizers and the settings of one optimizer alike.

use crate::ranges;
use backflow_optim::{RULES, RuleInfo};
use backflow_tensor::quote::quoted;
use backflow_train::comparison::Contender;

/// The contenders of a list such as `adam,sgd:lr=0.1,momentum=0.9,rmsprop`: a piece with `=` and no `:`
/// continues the optimizer before it. `all` stands for every rule.
pub(crate) fn contenders(text: &str) -> Result<Vec<Contender>, String> {
    let mut specs: Vec<String> = Vec::new();
    for piece in text.split(',') {
        // White space means nothing in a spec, and a name in a table should have none.
        let piece: String = piece.split_whitespace().collect();
        if piece.is_empty() {
            return Err("nothing between two commas; write NAME,NAME,… or all".to_owned());
        } else if piece.eq_ignore_ascii_case("all") {
            specs.extend(RULES.iter().map(|rule| rule.name.to_owned()));
        } else if !piece.contains('=') || piece.contains(':') {
            specs.push(piece);
        } else {
            match specs.last_mut() {
                Some(spec) if spec.contains(':') => {
                    spec.push(',');
                    spec.push_str(&piece);
                }
                Some(spec) => {
                    let (piece, spec) = (quoted(&piece), quoted(spec));
                    return Err(format!("{piece} follows {spec}; write {spec}:{piece}"));
                }
                None => {
                    let piece = quoted(&piece);
                    return Err(format!("{piece} belongs to no optimizer; write NAME:{piece}"));
                }
            }
        }
    }
    let mut contenders: Vec<Contender> = Vec::new();
    for spec in specs {
        let spec = with_listed_name(spec);
        if contenders.iter().any(|other| other.spec() == spec) {
            return Err(format!("{} is there twice", quoted(&spec)));
        }
        contenders.push(Contender::new(&spec).map_err(|error| error.to_string())?);
    }
    Ok(contenders)
}

/// The spec with its rule's name as it is listed, so that results do not depend on how it was typed.
fn with_listed_name(spec: String) -> String {
    let Some(info) = RuleInfo::find(&spec) else { return spec };
    match spec.split_once(':') {
        None => info.name.to_owned(),
        Some((_, settings)) => format!("{}:{settings}", info.name),
    }
}

/// Learning rates to try, ascending.
pub(crate) fn rates(text: &str) -> Result<Rates, String> {
    let mut rates = Vec::new();
    for piece in text.split(',') {
        match ranges::values(piece) {
            Ok(found) if found.iter().all(|&rate| rate > 0.0) => {
                rates.extend(found);
                ranges::few(&rates)?;
            }
            Err(error) if piece.contains("..") => return Err(error),
            _ => {
                return Err(format!(
                    "'{}' is not a learning rate; write positive numbers, like 1e-3,1e-2,0.1, or a range, like \
                     1e-4..1@log:9",
                    quoted(piece)
                ));
            }
        }
    }
    rates.sort_unstable_by(f64::total_cmp);
    match rates.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{} is there twice", pair[0])),
        None => Ok(Rates(rates)),
    }
}

/// A list of learning rates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rates(pub(crate) Vec<f64>);

#[cfg(test)]
mod tests {
    use super::{Rates, contenders, rates};
    use backflow_optim::RULES;

    #[test]
    fn settings_belong_to_the_optimizer_before_them() {
        let specs = |text| -> Vec<String> {
            contenders(text).unwrap().iter().map(|contender| contender.spec().to_owned()).collect()
        };
        assert_eq!(specs("adam,SignSGD:lr=1"), ["adam", "sign-sgd:lr=1"]);
        assert_eq!(
            specs("adam, sgd:lr=0.1, momentum=0.9 ,rmsprop:alpha=0.9,sgd"),
            ["adam", "sgd:lr=0.1,momentum=0.9", "rmsprop:alpha=0.9", "sgd"]
        );
        assert_eq!(specs("all").len(), RULES.len());
        assert_eq!(specs("sgd:lr=1, ALL").len(), RULES.len() + 1);
    }

    #[test]
    fn a_bad_list_is_told_what_would_be_right() {
        let cases = [
            ("", "nothing between two commas"),
            ("adam,,sgd", "nothing between two commas"),
            ("adam,", "nothing between two commas"),
            ("lr=0.1", "lr=0.1 belongs to no optimizer; write NAME:lr=0.1"),
            ("adam,lr=0.1", "lr=0.1 follows adam; write adam:lr=0.1"),
            ("adam,sign-sgd,Sign_SGD", "sign-sgd is there twice"),
            ("all,sgd", "sgd is there twice"),
            ("adam,adamx", "there is no optimizer \"adamx\""),
            ("sgd:momentum=2", "expected a number in [0, 1)"),
            ("sgd:momentum", "is not of the form key=value"),
        ];
        for (text, part) in cases {
            let error = contenders(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn rates_are_positive_different_and_sorted() {
        assert_eq!(rates("0.1, 1e-3,1"), Ok(Rates(vec![1e-3, 0.1, 1.0])));
        assert_eq!(rates("3,1e-3..1@log:4"), Ok(Rates(vec![1e-3, 0.01, 0.1, 1.0, 3.0])));
        for wrong in ["", "0", "-1", "nan", "inf", "0.1,,1", "0.1;1", "0.1,1e-1"] {
            assert!(rates(wrong).is_err(), "{wrong}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::{Rates, contenders, rates};
    use crate::ranges::few;
    use backflow_testkit::{Seed, fuzz};

    #[test]
    fn optimizers_are_lists_or_told() {
        let seeds = [
            Seed::taken("names", "adam,SignSGD:lr=1"),
            Seed::taken("settings", "adam, sgd:lr=0.1, momentum=0.9 ,rmsprop:alpha=0.9,sgd"),
            Seed::taken("all", "sgd:lr=1, ALL"),
            Seed::refused("all of them without end", "all,".repeat(10_000) + "all"),
            Seed::refused("settings without end", "sgd:lr=1".to_owned() + &",lr=1".repeat(20_000)),
            Seed::refused("nothing between two commas", "adam,,sgd"),
            Seed::refused("a setting of nothing", "lr=0.1"),
            Seed::refused("a setting behind a name", "adam,lr=0.1"),
            Seed::refused("a setting of 70,000 letters", format!("adam,{}=1", "l".repeat(70_000))),
            Seed::refused("a setting that a terminal would obey", "l\u{1b}[31mr=1"),
            Seed::refused("twice, and long", format!("sgd:lr={0},sgd:lr={0}", "0".repeat(30_000) + "1")),
        ];
        fuzz("lists of optimizers", &seeds, 1000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let found = contenders(&text)?;
            assert!(!found.is_empty());
            Ok(())
        });
    }

    #[test]
    fn rates_are_lists_or_told() {
        let seeds = [
            Seed::taken("rates", "0.1, 1e-3,1"),
            Seed::taken("a range", "3,1e-3..1@log:4"),
            Seed::taken("a subnormal rate", "5e-324"),
            Seed::refused("ranges without end", "1..2@10000,".repeat(2000) + "1"),
            Seed::refused("a rate twice", "0.1,1e-1"),
            Seed::refused("no rate", "0"),
            Seed::refused("no number", "nan"),
            Seed::refused("70,000 digits and a letter", "1".repeat(70_000) + "x"),
        ];
        fuzz("rates", &seeds, 2000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Rates(found) = rates(&text)?;
            assert!(
                !found.is_empty()
                    && few(&found).is_ok()
                    && found.iter().all(|&rate| rate > 0.0 && rate.is_finite())
            );
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{found:?}");
            Ok(())
        });
    }
}
