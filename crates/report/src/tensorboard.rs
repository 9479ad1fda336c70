//! Event files as TensorBoard reads them: scalars and histograms over steps.
//!
//! An event file is a row of framed records, each a message of protocol buffers. Of those only a few fields
//! are needed, so they are written here by hand. The time at which something happened is given, never asked
//! of a clock: the same recording makes the same bytes. Nothing is read back and nothing is written to disk
//! here.
//!
//! TensorBoard puts together what has the same name up to the first slash: `run/` what is one number per step,
//! `epoch/` what an epoch came to, and a quantity of layers or parameters under its name.

mod frame;
mod message;

use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Exponents, Figure, FlowStep};
use backflow_tensor::Tensor;
use backflow_train::{EpochRecord, Evaluation};
use message::Message;

/// The bytes of an event file in the making. TensorBoard finds files whose name contains `tfevents`.
///
/// ```
/// use backflow_report::tensorboard::EventFile;
/// let mut events = EventFile::new(1.7e9);
/// events.scalar(1.7e9, 1, "loss", 0.5);
/// let bytes = events.into_bytes(); // into `events.out.tfevents.1`
/// # assert!(!bytes.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct EventFile {
    bytes: Vec<u8>,
}

impl EventFile {
    /// A file begun at `wall_time`, in seconds since 1970.
    #[must_use]
    pub fn new(wall_time: f64) -> Self {
        let mut file = Self { bytes: Vec::new() };
        let mut event = Message::default();
        event.double(1, wall_time);
        event.text(3, "brain.Event:2");
        file.push(event);
        file
    }

    /// A file of a whole recording: [`Self::flow`] for every step, `seconds` telling the wall time of each.
    #[must_use]
    pub fn of(steps: &[FlowStep], seconds: impl Fn(&FlowStep) -> f64) -> Self {
        let mut file = Self::new(steps.first().map_or(0.0, &seconds));
        for step in steps {
            file.flow(seconds(step), step);
        }
        file
    }

    /// What was added since the file was begun, or since this was asked last: to be put behind what was written
    /// so far, while the training runs.
    #[must_use]
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// What an epoch came to, at its last step: `epoch/train_loss`, `epoch/test_loss`, and metrics as
    /// `epoch/test_accuracy`; of examples that were held out `epoch/validation_loss` and its like.
    pub fn epoch(&mut self, wall_time: f64, step: u64, record: &EpochRecord) {
        let EpochRecord { train_loss, test_loss, metrics, validation, .. } = record;
        self.scalar(wall_time, step, "epoch/train_loss", *train_loss);
        self.scalar(wall_time, step, "epoch/test_loss", *test_loss);
        for (name, value) in metrics.iter() {
            self.scalar(wall_time, step, &format!("epoch/test_{name}"), value);
        }
        let Some(Evaluation { loss, metrics }) = validation else { return };
        self.scalar(wall_time, step, "epoch/validation_loss", *loss);
        for (name, value) in metrics.iter() {
            self.scalar(wall_time, step, &format!("epoch/validation_{name}"), value);
        }
    }

    /// One number. It is kept as `f32`, as TensorBoard keeps it.
    pub fn scalar(&mut self, wall_time: f64, step: u64, tag: &str, value: f64) {
        let mut entry = Message::default();
        entry.text(1, tag);
        entry.float(2, value as f32);
        self.summary(wall_time, step, entry);
    }

    /// A histogram of magnitudes over their exponents: a number of [2ᵉ, 2ᵉ⁺¹) is between e and e + 1.
    ///
    /// Over the magnitudes themselves TensorBoard, whose bars are of equal width, would show one bar. What has no
    /// exponent is left out: zeros, infinities, NaN. Sums that TensorBoard asks for are those of the middles.
    pub fn histogram(&mut self, wall_time: f64, step: u64, tag: &str, exponents: &Exponents) {
        let Exponents { subnormal, first, counts, .. } = exponents;
        // Subnormal numbers have several exponents, of which this is the highest.
        let lowest = (*subnormal > 0).then_some((SUBNORMAL, *subnormal));
        let rest = (*first..).zip(counts.iter().copied());
        let bins: Vec<(i32, u64)> = lowest.into_iter().chain(rest).filter(|&(_, count)| count > 0).collect();
        // Of double precision there may be numbers with exponents below it.
        let exponents = || bins.iter().map(|&(exponent, _)| exponent);
        let (Some(low), Some(high)) = (exponents().min(), exponents().max()) else { return };
        let of = |exponent: i32| {
            bins.iter().filter(|(of, _)| *of == exponent).map(|(_, count)| *count as f64).sum()
        };
        let counts: Vec<f64> = (low..=high).map(of).collect();
        let middles = || (low..=high).map(|exponent| f64::from(exponent) + 0.5).zip(&counts);
        let mut histogram = Message::default();
        histogram.double(1, f64::from(low));
        histogram.double(2, f64::from(high) + 1.0);
        histogram.double(3, counts.iter().sum());
        histogram.double(4, middles().map(|(middle, count)| middle * count).sum());
        histogram.double(5, middles().map(|(middle, count)| middle * middle * count).sum());
        // The first bar begins where an empty one ends.
        histogram.doubles(6, (low..=high + 1).map(f64::from));
        histogram.doubles(7, std::iter::once(0.0).chain(counts.iter().copied()));
        let mut entry = Message::default();
        entry.text(1, tag);
        entry.message(5, &histogram);
        self.summary(wall_time, step, entry);
    }

    /// Everything that was measured in one step: for each [quantity](QUANTITIES) the tag is its name,
    /// `run/loss`, or that with the path of the layer or parameter, `delta_rms/layers.0`. Of figures for each unit
    /// there is a histogram. What has no value is left out, NaN as the value of a loss is not.
    pub fn flow(&mut self, wall_time: f64, flow: &FlowStep) {
        for quantity in QUANTITIES {
            for (path, figure) in quantity.figures(flow) {
                let tag = match path {
                    Some(path) => format!("{}/{path}", quantity.name),
                    None => format!("run/{}", quantity.name),
                };
                match figure {
                    Figure::Number(value) => self.scalar(wall_time, flow.step, &tag, value),
                    Figure::Histogram(exponents) => self.histogram(wall_time, flow.step, &tag, exponents),
                    Figure::Units(units) => {
                        let units = Tensor::from_vec(units.to_vec(), [units.len()]);
                        self.histogram(wall_time, flow.step, &tag, &Exponents::of(&units));
                    }
                }
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// An event with a summary of one entry.
    fn summary(&mut self, wall_time: f64, step: u64, entry: Message) {
        let mut summary = Message::default();
        summary.message(1, &entry);
        let mut event = Message::default();
        event.double(1, wall_time);
        event.integer(2, step);
        event.message(5, &summary);
        self.push(event);
    }

    fn push(&mut self, event: Message) {
        frame::append(&mut self.bytes, &event.into_bytes());
    }
}

/// Below this, numbers of single precision are subnormal.
const SUBNORMAL: i32 = -127;

#[cfg(test)]
mod tests {
    use super::EventFile;

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut events = EventFile::new(1.0);
        events.scalar(2.0, 300, "a", 0.5);
        let bytes = events.into_bytes();
        // Double 1.0 as field 1, then "brain.Event:2" as field 3.
        let first = b"\x09\0\0\0\0\0\0\xf0\x3f\x1a\x0dbrain.Event:2";
        assert_eq!(bytes[..8], 24_u64.to_le_bytes());
        assert_eq!(&bytes[12..36], first);
        // Time, step 300 as a number of seven-bit digits, and a summary of one entry: a tag and a float.
        let second = b"\x09\0\0\0\0\0\0\0\x40\x10\xac\x02\x2a\x0a\x0a\x08\x0a\x01a\x15\0\0\0\x3f";
        assert_eq!(&bytes[52..bytes.len() - 4], second);
    }
}
