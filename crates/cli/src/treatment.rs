//! [`Treatment`]: how the inputs of a network are made of what data hold.

use crate::data_options::DataOptions;
use backflow_data::{Dataset, Standardize};
use serde::{Deserialize, Serialize};

/// What was done to inputs, and is to be done to new ones. In the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Treatment {
    /// Of a table with a header, the columns that are inputs, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<String>,
    /// The rows and columns that pictures were made to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resize: Option<[usize; 2]>,
    /// Whether bytes, 0 to 255, stand for 0 to 1.
    pixels: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    standardize: Option<Standardization>,
    /// What is learned is called so, if it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// x ↦ (x − mean) / deviation, with a pair of numbers for each feature or one for all. They are `f32`; as `f64` they are
/// read as they were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Standardization {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Treatment {
    pub(crate) fn of_pixels(pixels: bool) -> Self {
        Self { pixels, ..Self::default() }
    }

    /// The same with how a file was read.
    pub(crate) fn reading(self, options: &DataOptions, columns: Option<(Vec<String>, String)>) -> Self {
        let (columns, name) = columns.unzip();
        let target = name.filter(|name| !name.is_empty()).or_else(|| options.target.clone());
        Self { columns: columns.unwrap_or_default(), resize: options.resize, target, ..self }
    }

    /// The same with mean and deviation of this training set: of each feature, or of all pixels of pictures, of which some
    /// are nearly always black. `None` if inputs are no numbers.
    pub(crate) fn standardizing(self, train: &Dataset) -> Option<Self> {
        if !train.input_dtype().is_float() {
            return None;
        }
        let is_global = train.image_shape().is_some();
        let scale = if is_global { Standardize::fit_global(train) } else { Standardize::fit(train) };
        let wide = |numbers: &[f32]| numbers.iter().map(|&number| f64::from(number)).collect();
        let standardize = Standardization { mean: wide(scale.mean()), deviation: wide(scale.std()) };
        Some(Self { standardize: Some(standardize), ..self })
    }

    pub(crate) fn is_standardizing(&self) -> bool {
        self.standardize.is_some()
    }

    /// Inputs as the network takes them, of those that a file gave.
    pub(crate) fn apply(&self, data: Dataset) -> Dataset {
        let Some(Standardization { mean, deviation }) = &self.standardize else { return data };
        let narrow = |numbers: &[f64]| numbers.iter().map(|&number| number as f32).collect();
        Standardize::new(narrow(mean), narrow(deviation)).transform(data)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

    use super::{Standardization, Treatment};
    use crate::data::Data;
    use crate::data_options::DataOptions;
    use crate::source::Source;
    use crate::task::TaskOptions;

    /// What is held out, is to be tested on or is left out by `--limit` has no part in mean and deviation, and is treated by
    /// them all the same.
    #[test]
    fn statistics_are_those_of_what_is_trained_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let rows: String = (0..60).map(|nth| format!("{},{}\n", nth * nth, ["a", "b"][nth % 2])).collect();
        std::fs::write(&path, rows).unwrap();
        let load = |standardize| {
            let data = Some(Source::read(path.as_os_str()).unwrap());
            let options = DataOptions { data, standardize, ..DataOptions::default() };
            let task = TaskOptions { limit: Some(30), accumulate: 1, ..TaskOptions::default() };
            Data::load(&options, &task, Some(0.25)).unwrap_or_else(|failure| panic!("{}", failure.message()))
        };
        let (plain, treated) = (load(false), load(true));
        let validation = |data: &Data| data.validation.clone().unwrap();
        assert_eq!((plain.train.len(), validation(&plain).len(), plain.test.len()), (30, 12, 12));
        let learned = plain.train.inputs();
        let mean = learned.iter().map(|&x| f64::from(x)).sum::<f64>() / 30.0;
        let deviation = (learned.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / 30.0).sqrt();
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-3, "{found}, {expected}");
        let Some(Standardization { mean: means, deviation: deviations }) = &treated.treatment.standardize
        else {
            panic!("nothing is standardized")
        };
        close(means[0], mean);
        close(deviations[0], deviation);
        for (before, after) in [
            (&plain.train, &treated.train),
            (&validation(&plain), &validation(&treated)),
            (&plain.test, &treated.test),
        ] {
            let expected = before.inputs().iter().map(|&x| (f64::from(x) - mean) / deviation);
            after.inputs().iter().zip(expected).for_each(|(&found, expected)| close(found.into(), expected));
            // What is written and read again treats new inputs to the same bits.
            let written = serde_json::to_string(&treated.treatment).unwrap();
            let read: Treatment = serde_json::from_str(&written).unwrap();
            assert_eq!(read.apply(before.clone()).inputs(), after.inputs());
        }
    }
}
