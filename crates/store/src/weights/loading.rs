//! [`Loading`]: how the names and types of a file become those of a model.

use super::pattern::{matches, renamed, stars};
use backflow_tensor::misuse;
use std::collections::{BTreeMap, BTreeSet};

/// How a file is loaded whose names or types are not those of the model. Nothing is converted or left out unless it is
/// said here, and what was done is in the [report](super::LoadingReport).
///
/// Names of the file lose the [prefix](Self::prefix), then are [renamed](Self::rename), and are then the model's. In
/// patterns `*` stands for any text, dots included.
///
/// ```
/// use backflow_store::weights::{self, Loading};
/// use backflow_tensor::Tensor;
/// use std::collections::BTreeMap;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.safetensors");
/// let named = |names: [&'static str; 2], x: [f64; 2]| BTreeMap::from([0, 1].map(|i| (names[i], Tensor::from([x[i]]))));
/// weights::save(&named(["encoder.norm.gamma", "decoder.w"], [5.0, 6.0]), &path)?;
///
/// let mut model = BTreeMap::from([("norm.weight", Tensor::from([0.0_f32]).requires_grad())]);
/// let report = weights::load_with(&mut model, &path, &Loading::new().prefix("encoder.").rename("*.gamma", "*.weight").cast())?;
/// assert_eq!(model["norm.weight"].item(), 5.0);
/// assert_eq!(report.to_string(), "1 tensor loaded\ncast from F64 to f32, no number changed: norm.weight\nleft in the file: decoder.w");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    prefix: String,
    renames: Vec<(String, String)>,
    ignored: Vec<String>,
    pub(super) casts: bool,
    pub(super) is_partial: bool,
}

impl Loading {
    /// Of names, shapes and types that are the model's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The part of the file whose names begin so, without this beginning: `"encoder."`. The rest is left.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Another name for what matches: `rename("*.gamma", "*.weight")`, where what the first `*` stood for takes the place
    /// of the first of `to`, and so on. Of several, each goes by what the one before has made.
    ///
    /// # Panics
    /// If `to` has more `*` than `from`.
    #[must_use]
    #[track_caller]
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        let (from, to) = (from.into(), to.into());
        if stars(&to) > stars(&from) {
            misuse("Loading::rename", "nothing stands for a *", &[("from", from), ("to", to)], "");
        }
        self.renames.push((from, to));
        self
    }

    /// Takes other types of numbers, too, and makes the model's of them: `F16`, `BF16`, `F64` and integers. Infinities are
    /// not made, and integers not of fractions.
    #[must_use]
    pub fn cast(self) -> Self {
        Self { casts: true, ..self }
    }

    /// Neither reads nor misses what the model calls so: `"*.num_batches_tracked"`.
    #[must_use]
    pub fn ignore(mut self, name: impl Into<String>) -> Self {
        self.ignored.push(name.into());
        self
    }

    /// Loads what file and model have in common, and leaves the rest of both; something must be. PyTorch's
    /// `strict=False`.
    #[must_use]
    pub fn partial(self) -> Self {
        Self { is_partial: true, ..self }
    }

    pub(super) fn ignores(&self, name: &str) -> bool {
        self.ignored.iter().any(|pattern| matches(pattern, name))
    }

    /// What the model calls this name of a file; `None` of one without the prefix.
    pub(super) fn name(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix(&self.prefix)?.to_owned();
        Some(self.renames.iter().fold(name, |name, (from, to)| renamed(from, to, &name).unwrap_or(name)))
    }
}

/// The names of a PyTorch `Sequential`, `0.weight`, `2.weight`, …, as a model has them that counts otherwise: in a list
/// (`layers.0.weight`, `layers.1.weight`, as `Mlp`), or from another number on. The layers of both stand for each other in
/// their order.
///
/// `None` unless each name then has its like, and where only one of the two has something between two layers, a function,
/// say. There is something between any two of a list.
pub(super) fn renumbered(file: &BTreeSet<&str>, model: &BTreeSet<&str>) -> Option<BTreeMap<usize, String>> {
    let numbers = |names: &BTreeSet<&str>, list: &str| {
        let number = |name: &&str| name.strip_prefix(list)?.split_once('.')?.0.parse().ok();
        let mut numbers: Vec<usize> = names.iter().map(number).collect::<Option<_>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Some(numbers)
    };
    let first = model.first()?.split('.').next()?;
    let list = if first.parse::<usize>().is_ok() { String::new() } else { format!("{first}.") };
    let (theirs, ours) = (numbers(file, "")?, numbers(model, &list)?);
    let are_neighbours = |pair: &[usize]| pair[1] == pair[0] + 1;
    let gaps = theirs.windows(2).zip(ours.windows(2));
    let differs = |(theirs, ours): (&[usize], &[usize])| {
        are_neighbours(theirs) != (list.is_empty() && are_neighbours(ours))
    };
    if theirs.len() != ours.len() || gaps.into_iter().any(differs) {
        return None;
    }
    let steps: BTreeMap<usize, String> =
        theirs.into_iter().zip(ours).map(|(theirs, ours)| (theirs, format!("{list}{ours}"))).collect();
    let renamed: Option<BTreeSet<String>> = file.iter().map(|name| in_place(&steps, name)).collect();
    renamed?.iter().map(String::as_str).eq(model.iter().copied()).then_some(steps)
}

/// The name with another first step.
pub(super) fn in_place(steps: &BTreeMap<usize, String>, name: &str) -> Option<String> {
    let (step, rest) = name.split_once('.')?;
    Some(format!("{}.{rest}", steps.get(&step.parse().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::{Loading, renumbered};

    fn of(file: &[&str], model: &[&str]) -> Option<Vec<String>> {
        let steps = renumbered(&file.iter().copied().collect(), &model.iter().copied().collect())?;
        Some(steps.into_iter().map(|(from, to)| format!("{from} {to}")).collect())
    }

    #[test]
    fn layers_stand_for_each_other_in_their_order() {
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        let two = ["layers.0.weight", "layers.1.weight"];
        assert_eq!(of(&["0.weight", "2.weight"], &two), words(&["0 layers.0", "2 layers.1"]));
        assert_eq!(of(&["9.weight", "12.weight"], &two), words(&["9 layers.0", "12 layers.1"]));
        assert_eq!(of(&["0.a", "0.b", "2.a"], &["1.a", "1.b", "3.a"]), words(&["0 1", "2 3"]));
        // Without a function between them, of other parts, too many, too few, and not numbered.
        for (file, model) in [
            (&["0.weight", "1.weight"][..], &two[..]),
            (&["0.weight", "1.weight"], &["0.weight", "2.weight"]),
            (&["0.weight", "2.bias"], &two),
            (&["0.weight", "2.weight", "4.weight"], &two),
            (&["0.weight"], &two),
            (&["a.weight", "b.weight"], &two),
            (&["0.weight", "2.weight"], &["layers.0.weight", "head.1.weight"]),
            (&["0.weight"], &["weight"]),
            (&[], &[]),
        ] {
            assert_eq!(of(file, model), None, "{file:?} {model:?}");
        }
    }

    #[test]
    #[should_panic(expected = "nothing stands for a *")]
    fn a_star_that_nothing_stands_for_is_misuse() {
        let _ = Loading::new().rename("*.gamma", "*.*");
    }
}
