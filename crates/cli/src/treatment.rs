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
