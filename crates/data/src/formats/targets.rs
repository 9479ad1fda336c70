//! [`Targets`]: what a column of a table or an array of labels comes to, classes or numbers; and [`Classes`], which classes
//! those are.
//!
//! ```text
//! words               classes, sorted
//! whole numbers       classes, sorted, if each has two examples on average or they are 0, 1, …, k; else numbers
//! other numbers       numbers, to be met as closely as possible
//! ```
//!
//! A [`Goal`] says it instead. Classes are found in a training set and then looked up for a test set, so that a class has
//! one number in both; one that the training set lacks is refused.

/// What is to be learned of targets that could be either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Which class an example is of.
    Classify,
    /// A number.
    Regress,
}

/// The targets of all examples.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// The class of each, and which classes there are.
    Classes(Vec<i64>, Classes),
    /// A number of each.
    Numbers(Vec<f32>),
}

/// Which classes there are, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// The classes 0, 1, …, so many of them.
    Count(usize),
    /// Whole numbers in ascending order, the n-th of which is class n.
    Numbers(Vec<i64>),
    /// Words in the order of their characters, the n-th of which is class n.
    Words(Vec<String>),
}

impl Classes {
    /// Those of whole numbers.
    #[must_use]
    pub fn of_numbers(numbers: &[i64]) -> Self {
        let mut known = numbers.to_vec();
        known.sort_unstable();
        known.dedup();
        match (known.first(), known.last()) {
            // Ascending from 0 without a gap.
            (Some(0), Some(&last)) if usize::try_from(last).is_ok_and(|last| last < known.len()) => {
                Self::Count(known.len())
            }
            _ => Self::Numbers(known),
        }
    }

    /// Those of words.
    #[must_use]
    pub fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut known: Vec<&str> = words.collect();
        known.sort_unstable();
        known.dedup();
        Self::Words(known.into_iter().map(str::to_owned).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::Numbers(known) => known.len(),
            Self::Words(known) => known.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are called, unless their numbers are all there is to say.
    #[must_use]
    pub fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Count(_) => None,
            Self::Numbers(known) => Some(known.iter().map(ToString::to_string).collect()),
            Self::Words(known) => Some(known.clone()),
        }
    }

    /// The class of each of these numbers.
    ///
    /// # Errors
    /// The index of the first that is of none of the classes.
    pub fn of_each_number(&self, numbers: &[i64]) -> Result<Vec<i64>, usize> {
        let class = |number: i64| match self {
            Self::Count(count) => usize::try_from(number).ok().filter(|class| class < count),
            Self::Numbers(known) => known.binary_search(&number).ok(),
            Self::Words(known) => known.binary_search(&number.to_string()).ok(),
        };
        each(numbers.iter(), |&number| class(number))
    }

    /// The class of each of these words.
    ///
    /// # Errors
    /// The index of the first that is of none of the classes.
    pub fn of_each_word<'a>(&self, words: impl Iterator<Item = &'a str>) -> Result<Vec<i64>, usize> {
        each(words, |word| match self {
            Self::Words(known) => known.binary_search_by(|known| (**known).cmp(word)).ok(),
            Self::Count(_) | Self::Numbers(_) => None,
        })
    }

    /// Whether whole numbers are rather these classes than numbers to be met.
    #[must_use]
    pub fn are_likely(&self, examples: usize) -> bool {
        matches!(self, Self::Count(_)) || self.len().saturating_mul(2) <= examples
    }
}

fn each<T>(all: impl Iterator<Item = T>, class: impl Fn(T) -> Option<usize>) -> Result<Vec<i64>, usize> {
    let number = |(index, one)| class(one).and_then(|class| i64::try_from(class).ok()).ok_or(index);
    all.enumerate().map(number).collect()
}
