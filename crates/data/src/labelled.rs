//! From two arrays to a data set: inputs, and what they should lead to.
//!
//! ```text
//! inputs    [n, …] bytes        pixels, 0 to 255 for 0 to 1; [n, h, w] and [n, c, h, w] are pictures, and [n, h, w, c] of up
//!                               to 4 colours, whose colours are put into planes
//!           [n, …] others       numbers as f32; a single axis is one feature
//! targets   [n], [n, 1]         classes or numbers, as in formats::targets; a float with a fraction is never a class
//!           [n, …]              numbers to be met
//! ```
//!
//! What it refuses: to guess. Numbers that are not finite stand for missing values and are told; so are integers that `f32`
//! cannot hold and other numbers of inputs than of targets.

use crate::column::Column;
use crate::dataset::Dataset;
use crate::formats::array::Array;
use crate::formats::numbers::Numbers;
use crate::formats::targets::{Classes, Goal};
use backflow_tensor::{MAX_RANK, Shape, Tensor};

/// Why two arrays are no data set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// An array has no axis of examples, nothing in it, or too many axes.
    #[error(
        "the {what} have the shape {shape:?}; arrays with an axis of examples first are needed, of up to {MAX_RANK} axes"
    )]
    Shape {
        /// Inputs or targets.
        what: &'static str,
        /// The shape.
        shape: Vec<usize>,
    },
    /// There are not as many targets as inputs.
    #[error("{inputs} inputs, but {targets} targets; the arrays do not belong together")]
    Count {
        /// How many inputs there are.
        inputs: usize,
        /// How many targets.
        targets: usize,
    },
    /// A number is infinite or none.
    #[error("{what} of example {example}: {value} at {index}; fill it in or leave the example out")]
    NotFinite {
        /// Inputs or targets.
        what: &'static str,
        /// Which example, counted from 0.
        example: usize,
        /// Where in it, counted from 0.
        index: usize,
        /// The number.
        value: String,
    },
    /// A number has no place among those of `f32`.
    #[error("{what} of example {example}: {value} at {index}, which f32 does not hold; scale the numbers")]
    TooLarge {
        /// Inputs or targets.
        what: &'static str,
        /// Which example, counted from 0.
        example: usize,
        /// Where in it, counted from 0.
        index: usize,
        /// The number.
        value: String,
    },
    /// Targets are several numbers, and classes are to be learned.
    #[error(
        "targets of shape {shape:?} are not one class per example; give the number of each class, or learn numbers"
    )]
    NoClasses {
        /// The shape of all targets.
        shape: Vec<usize>,
    },
    /// A target is no whole number, and classes are to be learned.
    #[error("target {index} is {value}, and classes are whole numbers; learn numbers, or give others")]
    Fraction {
        /// Which target, counted from 0.
        index: usize,
        /// Its value.
        value: String,
    },
    /// A target is a class that the training set has not.
    #[error("target {index} is {value}, a class that the training set has not")]
    UnknownClass {
        /// Which target, counted from 0.
        index: usize,
        /// Its value.
        value: i64,
    },
    /// The test set's inputs or targets have another shape.
    #[error("{what} of the test set have the shape {test}, those of the training set {train}")]
    OtherShape {
        /// Inputs or targets.
        what: &'static str,
        /// The shape of the training set's.
        train: String,
        /// That of the test set's.
        test: String,
    },
    /// The arrays of the test set are no data set.
    #[error("in the test set: {0}")]
    Test(Box<Self>),
}

/// A data set, and its classes for another.
pub(crate) struct Labelled {
    pub(crate) dataset: Dataset,
    pub(crate) classes: Option<Classes>,
}

impl Labelled {
    /// Of these inputs and targets; of the classes of a training set, if this is its test set.
    pub(crate) fn new(
        inputs: Array,
        targets: Array,
        goal: Option<Goal>,
        known: Option<&Classes>,
    ) -> Result<Self, ArrayError> {
        let (n, m) = (examples("inputs", &inputs)?, examples("targets", &targets)?);
        if n != m {
            return Err(ArrayError::Count { inputs: n, targets: m });
        }
        let (inputs, image) = column_of_inputs(inputs)?;
        let (targets, classes) = column_of_targets(targets, goal, known)?;
        let dataset = Dataset::of_columns(n, inputs, targets);
        let dataset = image.into_iter().fold(dataset, Dataset::with_image_shape);
        Ok(Self { dataset: classes.iter().fold(dataset, of_classes), classes })
    }

    /// Training set and test set, which have the same classes, and inputs and targets of one shape.
    pub(crate) fn pair(
        train: [Array; 2],
        test: Option<[Array; 2]>,
        goal: Option<Goal>,
    ) -> Result<(Dataset, Option<Dataset>), ArrayError> {
        let [inputs, targets] = train;
        let train = Self::new(inputs, targets, goal, None)?;
        let Some([inputs, targets]) = test else { return Ok((train.dataset, None)) };
        // Without classes, the training set's targets are numbers.
        let goal = Some(if train.classes.is_some() { Goal::Classify } else { Goal::Regress });
        let test = Self::new(inputs, targets, goal, train.classes.as_ref());
        let (train, test) = (train.dataset, test.map_err(|error| ArrayError::Test(Box::new(error)))?.dataset);
        // Of pictures, rows and columns count, and not only how many pixels these are.
        let inputs = |set: &Dataset| set.image_shape().map_or(set.input_shape(), Shape::from);
        let targets = |set: &Dataset| set.target_shape().unwrap_or(Shape::new(&[]));
        let shapes =
            [("inputs", inputs(&train), inputs(&test)), ("targets", targets(&train), targets(&test))];
        match shapes.into_iter().find(|(_, own, other)| own != other) {
            None => Ok((train, Some(test))),
            Some((what, own, other)) => {
                Err(ArrayError::OtherShape { what, train: own.to_string(), test: other.to_string() })
            }
        }
    }
}

/// The same with classes, and their names if they have any.
pub(crate) fn of_classes(dataset: Dataset, classes: &Classes) -> Dataset {
    let dataset = dataset.with_classes(classes.len());
    classes.names().into_iter().fold(dataset, Dataset::with_class_names)
}

/// How many examples an array holds.
fn examples(what: &'static str, array: &Array) -> Result<usize, ArrayError> {
    match array.shape.first() {
        Some(&n) if !array.numbers.is_empty() && array.shape.len() <= MAX_RANK => Ok(n),
        _ => Err(ArrayError::Shape { what, shape: array.shape.clone() }),
    }
}

/// Red, green, blue and opacity.
const MOST_COLOURS: usize = 4;

fn column_of_inputs(Array { numbers, shape }: Array) -> Result<(Column, Option<[usize; 3]>), ArrayError> {
    let one = match shape[..] {
        [_] => vec![1],
        _ => shape[1..].to_vec(),
    };
    let pixels = match numbers {
        Numbers::U8(pixels) => pixels,
        numbers => {
            let numbers = as_f32("inputs", numbers, shape[0])?;
            let shape: Vec<usize> = shape[..1].iter().chain(&one).copied().collect();
            return Ok((Column::of_tensor(&Tensor::from_vec(numbers, &shape[..])), None));
        }
    };
    let (pixels, image) = match one[..] {
        [rows, columns] => (pixels, Some([1, rows, columns])),
        [rows, columns, colours] if colours <= MOST_COLOURS && rows > MOST_COLOURS => {
            (planes(&pixels, rows * columns, colours), Some([colours, rows, columns]))
        }
        [channels, rows, columns] => (pixels, Some([channels, rows, columns])),
        _ => (pixels, None),
    };
    Ok((Column::of_pixels(pixels, Shape::new(&[one.iter().product()])), image))
}

/// Pictures whose colours lie side by side, with all of one colour before all of the next.
pub(crate) fn planes(pixels: &[u8], pixels_of_one: usize, colours: usize) -> Vec<u8> {
    if colours == 1 {
        return pixels.to_vec();
    }
    let mut planes = Vec::with_capacity(pixels.len());
    for picture in pixels.chunks_exact(pixels_of_one * colours) {
        (0..colours).for_each(|colour| planes.extend(picture[colour..].iter().step_by(colours)));
    }
    planes
}

fn column_of_targets(
    targets: Array,
    goal: Option<Goal>,
    known: Option<&Classes>,
) -> Result<(Column, Option<Classes>), ArrayError> {
    let Array { numbers, shape } = targets;
    let n = shape[0];
    let is_single = numbers.len() == n;
    let is_integer = !matches!(numbers, Numbers::F32(_) | Numbers::F64(_));
    if goal == Some(Goal::Classify) && !is_single {
        return Err(ArrayError::NoClasses { shape });
    }
    if is_single && (goal == Some(Goal::Classify) || goal.is_none() && is_integer) {
        let whole = whole(&numbers)?;
        let classes = known.cloned().unwrap_or_else(|| Classes::of_numbers(&whole));
        if goal.is_some() || classes.are_likely(n) {
            let labels = classes
                .of_each_number(&whole)
                .map_err(|index| ArrayError::UnknownClass { index, value: whole[index] })?;
            return Ok((Column::of_tensor(&Tensor::from(labels)), Some(classes)));
        }
    }
    let shape = if is_single { vec![n, 1] } else { shape };
    let numbers = Tensor::from_vec(as_f32("targets", numbers, n)?, &shape[..]);
    Ok((Column::of_tensor(&numbers), None))
}

/// All numbers as integers.
fn whole(numbers: &Numbers) -> Result<Vec<i64>, ArrayError> {
    let of_float = |(index, value): (usize, f64)| {
        let is_whole = value.fract() == 0.0 && value.abs() < 9.0e15;
        is_whole
            .then_some(value as i64)
            .ok_or_else(|| ArrayError::Fraction { index, value: value.to_string() })
    };
    match numbers {
        Numbers::Bool(numbers) => Ok(numbers.iter().map(|&number| i64::from(number)).collect()),
        Numbers::U8(numbers) => Ok(numbers.iter().map(|&number| i64::from(number)).collect()),
        Numbers::I64(numbers) => Ok(numbers.clone()),
        Numbers::F32(numbers) => numbers.iter().map(|&x| f64::from(x)).enumerate().map(of_float).collect(),
        Numbers::F64(numbers) => numbers.iter().copied().enumerate().map(of_float).collect(),
    }
}

/// All numbers as the nearest `f32`, in which networks compute; integers must be held exactly.
fn as_f32(what: &'static str, numbers: Numbers, n: usize) -> Result<Vec<f32>, ArrayError> {
    let row = (numbers.len() / n.max(1)).max(1);
    let place = |at: usize| (at / row, at % row);
    let not_finite = |at: usize, value: String| {
        let (example, index) = place(at);
        ArrayError::NotFinite { what, example, index, value }
    };
    let too_large = |at: usize, value: String| {
        let (example, index) = place(at);
        ArrayError::TooLarge { what, example, index, value }
    };
    match numbers {
        Numbers::Bool(numbers) => Ok(numbers.into_iter().map(|x| if x { 1.0 } else { 0.0 }).collect()),
        Numbers::U8(numbers) => Ok(numbers.into_iter().map(f32::from).collect()),
        Numbers::I64(numbers) => {
            let wrong = numbers.iter().position(|&x| (x as f32) as i128 != i128::from(x));
            match wrong {
                Some(at) => Err(too_large(at, numbers[at].to_string())),
                None => Ok(numbers.into_iter().map(|x| x as f32).collect()),
            }
        }
        Numbers::F32(numbers) => match first(&numbers, |x| !x.is_finite()) {
            Some(at) => Err(not_finite(at, numbers[at].to_string())),
            None => Ok(numbers),
        },
        Numbers::F64(numbers) => match first(&numbers, |x| !(x as f32).is_finite()) {
            Some(at) if numbers[at].is_finite() => Err(too_large(at, numbers[at].to_string())),
            Some(at) => Err(not_finite(at, numbers[at].to_string())),
            None => Ok(numbers.into_iter().map(|x| x as f32).collect()),
        },
    }
}

/// The first number of which this is so. Most have none: blocks are looked at as a whole, without a way out in the middle.
fn first<T: Copy>(numbers: &[T], is_so: impl Fn(T) -> bool) -> Option<usize> {
    const BLOCK: usize = 1 << 12;
    let mut blocks = numbers.chunks(BLOCK);
    let block = blocks.position(|block| block.iter().fold(false, |any, &x| any | is_so(x)))?;
    let begin = block * BLOCK;
    numbers[begin..].iter().position(|&x| is_so(x)).map(|at| begin + at)
}
