//! What loading did, and why it did not.

use backflow_tensor::DType;
use backflow_tensor::quote::{clipped, printable, quoted};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What [`load_with`](super::load_with) did: shown, a line for each kind. Names are the model's, but for
/// [`left`](Self::left).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadingReport {
    /// How many tensors of the model are those of the file now.
    pub loaded: usize,
    /// Those whose type was another in the file.
    pub cast: Vec<CastTensor>,
    /// What was to be [ignored](super::Loading::ignore), in file or model.
    pub ignored: Vec<String>,
    /// Of the model, what the file does not have, and is as it was.
    pub kept: Vec<String>,
    /// Of the file, what the model does not have or has another prefix, by its name there.
    pub left: Vec<String>,
    /// The numbers of a `Sequential`, each with what stands for it in the model.
    pub renumbered: Vec<(usize, String)>,
}

/// A tensor whose type was another in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastTensor {
    /// Its name.
    pub name: String,
    /// Its type in the file, as safetensors calls it: `BF16`.
    pub from: String,
    /// Its type in the model.
    pub to: DType,
    /// How many of its numbers are not what they were.
    pub rounded: usize,
}

/// The most characters of a list of names in a line; [`Difference`] and [`LoadingReport`] have all.
const LONGEST_LIST: usize = 220;

/// The names, as many as fit on a line and one at least, and how many more there are.
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let mut text = String::new();
    for (place, name) in names.iter().map(|name| quoted(name.as_ref())).enumerate() {
        if place > 0 && text.chars().count() + name.chars().count() > LONGEST_LIST {
            return format!("{text} and {} more", names.len() - place);
        }
        text += if place > 0 { ", " } else { "" };
        text += &name;
    }
    text
}

fn counted(tensors: usize) -> String {
    format!("{tensors} tensor{}", if tensors == 1 { "" } else { "s" })
}

impl fmt::Display for LoadingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", counted(self.loaded))?;
        if !self.renumbered.is_empty() {
            let pairs: Vec<String> =
                self.renumbered.iter().map(|(from, to)| format!("{from} is {to}")).collect();
            write!(f, "\nnumbers of a Sequential: {}", listed(&pairs))?;
        }
        let mut kinds: Vec<(&str, DType)> = self.cast.iter().map(|cast| (&*cast.from, cast.to)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for (from, to) in kinds {
            let cast = || self.cast.iter().filter(|cast| (&*cast.from, cast.to) == (from, to));
            let names: Vec<&str> = cast().map(|cast| &*cast.name).collect();
            let rounded = match cast().map(|cast| cast.rounded).sum::<usize>() {
                0 => "no number changed".to_owned(),
                1 => "1 number rounded".to_owned(),
                rounded => format!("{rounded} numbers rounded"),
            };
            write!(f, "\ncast from {from} to {to}, {rounded}: {}", listed(&names))?;
        }
        let rest = [("ignored", &self.ignored), ("not in the file, as before", &self.kept)];
        for (what, names) in rest.into_iter().chain([("left in the file", &self.left)]) {
            if !names.is_empty() {
                write!(f, "\n{what}: {}", listed(names))?;
            }
        }
        Ok(())
    }
}

/// Where a file and a model differ: all of it at once. Shown, each list has as many names as a line bears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// What the model has and the file does not.
    pub missing: Vec<String>,
    /// What the file has and the model does not, by its name in the file.
    pub extra: Vec<String>,
    /// What both have, and differently: a sentence for each.
    pub mismatched: Vec<String>,
    /// All that the file holds.
    pub holds: Vec<String>,
    /// The beginning that the file has before each name of the model, if that is all that is wrong.
    pub prefix: Option<String>,
}

impl Difference {
    /// Of a model that cannot be named, whatever the file holds.
    pub(super) fn of(sentence: String) -> Self {
        Self { mismatched: vec![sentence], ..Self::default() }
    }

    /// Under which names all that is missing would be there, a layer for a layer, as [`Loading::rename`](super::Loading::rename)
    /// takes them. `None` unless each layer of the one has one of the other with the same names, and no second.
    #[must_use]
    pub fn renames(&self) -> Option<Vec<(String, String)>> {
        let layers = |names: &[String]| {
            let mut layers = BTreeMap::<String, BTreeSet<String>>::new();
            for name in names {
                let (layer, leaf) = name.rsplit_once('.')?;
                layers.entry(layer.to_owned()).or_default().insert(leaf.to_owned());
            }
            Some(layers)
        };
        let (theirs, ours) = (layers(&self.extra)?, layers(&self.missing)?);
        let like = |names: &BTreeSet<String>, of: &BTreeMap<String, BTreeSet<String>>| {
            let mut like = of.iter().filter(|(_, other)| *other == names).map(|(layer, _)| layer.clone());
            like.next().filter(|_| like.next().is_none())
        };
        let pair = |(layer, names): (&String, &BTreeSet<String>)| {
            like(names, &theirs)?;
            Some((format!("{layer}.*"), format!("{}.*", like(names, &ours)?)))
        };
        let pairs: Option<Vec<_>> = theirs.iter().map(pair).collect();
        let are_all = theirs.len() == ours.len() && !ours.is_empty() && self.mismatched.is_empty();
        pairs.filter(|_| are_all)
    }

    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.mismatched.is_empty()
    }
}

/// The most characters of the sentences on what differs.
const LONGEST_SENTENCE: usize = 140;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("missing: {}", listed(&self.missing)));
        }
        if !self.extra.is_empty() {
            parts.push(format!("the model has no {}", listed(&self.extra)));
        } else if !self.missing.is_empty() {
            let holds = if self.holds.is_empty() { "nothing".to_owned() } else { listed(&self.holds) };
            parts.push(format!("the file holds {holds}"));
        }
        if !self.mismatched.is_empty() {
            let sentences: Vec<_> =
                self.mismatched.iter().map(|sentence| clipped(sentence, LONGEST_SENTENCE)).collect();
            let (shown, more) = sentences.split_at(sentences.len().min(3));
            parts.push(shown.join("; "));
            if !more.is_empty() {
                parts.push(format!("and {} more that differ", more.len()));
            }
        }
        if let Some(prefix) = &self.prefix {
            parts.push(format!("with the prefix \"{}\" all would be there", printable(prefix)));
        }
        if let Some(renames) = self.renames().filter(|_| self.prefix.is_none()) {
            let pairs: Vec<String> = renames.iter().map(|(from, to)| format!("{from}={to}")).collect();
            parts.push(format!("renamed {}, all would be there", listed(&pairs)));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::Difference;

    #[test]
    fn layers_are_told_apart_by_their_names_or_not_at_all() {
        let renames = |extra: &[&str], missing: &[&str]| {
            let [extra, missing] =
                [extra, missing].map(|names| names.iter().map(ToString::to_string).collect());
            Difference { extra, missing, ..Difference::default() }.renames()
        };
        let pairs =
            |pairs: &[[&str; 2]]| Some(pairs.iter().map(|[a, b]| ((*a).into(), (*b).into())).collect());
        let theirs = ["fc.bias", "fc.weight", "lstm.weight_hh_l0", "lstm.weight_ih_l0"];
        let ours = ["0.weight_hh_l0", "0.weight_ih_l0", "2.bias", "2.weight"];
        assert_eq!(renames(&theirs, &ours), pairs(&[["fc.*", "2.*"], ["lstm.*", "0.*"]]));
        // Two that are alike, one too many, one too few, another name, and names without a layer.
        let two = [&ours[..], &["3.bias", "3.weight"]].concat();
        assert_eq!(renames(&theirs, &two), None);
        assert_eq!(renames(&[&theirs[..], &["a.x"]].concat(), &ours), None);
        assert_eq!(renames(&theirs[..2], &ours), None);
        assert_eq!(renames(&["fc.gain"], &["2.weight"]), None);
        assert_eq!(renames(&["weight"], &["2.weight"]), None);
        assert_eq!(renames(&[], &[]), None);
    }
}
