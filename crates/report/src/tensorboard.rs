//! Event files as TensorBoard reads them: scalars and histograms over steps.
//!
//! An event file is a row of framed records, each a message of protocol buffers. Of those only a few fields
//! are needed, so they are written here by hand. The time at which something happened is given, never asked
//! of a clock: the same recording makes the same bytes. Nothing is read back and nothing is written to disk
//! here.

mod frame;
mod message;

use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Exponents, Figure, FlowStep};
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

    /// One number. It is kept as `f32`, as TensorBoard keeps it.
    pub fn scalar(&mut self, wall_time: f64, step: u64, tag: &str, value: f64) {
        let mut entry = Message::default();
        entry.text(1, tag);
        entry.float(2, value as f32);
        self.summary(wall_time, step, entry);
    }

    /// A histogram of magnitudes, with powers of two as limits.
    ///
    /// Zeros fill the bucket at 0, which ends at the least positive number; infinities the one beyond the
    /// largest. NaNs have no place in a histogram of TensorBoard's. Sums that it asks for are estimated from
    /// the middles of the buckets.
    pub fn histogram(&mut self, wall_time: f64, step: u64, tag: &str, exponents: &Exponents) {
        let buckets = buckets(exponents);
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        let mut below = 0.0;
        for &(limit, numbers) in &buckets {
            let middle = if below > 0.0 && limit < f64::MAX { 0.75 * limit } else { below };
            count += numbers;
            sum += numbers * middle;
            squares += numbers * middle * middle;
            below = limit;
        }
        let occupied = |(_, numbers): &&(f64, f64)| *numbers > 0.0;
        let mut histogram = Message::default();
        histogram.double(1, 0.0);
        histogram.double(2, buckets.iter().rev().find(occupied).map_or(0.0, |&(limit, _)| limit));
        histogram.double(3, count);
        histogram.double(4, sum);
        histogram.double(5, squares);
        histogram.doubles(6, buckets.iter().map(|&(limit, _)| limit));
        histogram.doubles(7, buckets.iter().map(|&(_, numbers)| numbers));
        let mut entry = Message::default();
        entry.text(1, tag);
        entry.message(5, &histogram);
        self.summary(wall_time, step, entry);
    }

    /// Everything that was measured in one step: for each [quantity](QUANTITIES) the tag is its name, `loss`,
    /// or that with the path of the layer or parameter, `delta_rms/layers.0`. What has no value is left out,
    /// NaN as the value of a loss is not.
    pub fn flow(&mut self, wall_time: f64, flow: &FlowStep) {
        for quantity in QUANTITIES {
            for (path, figure) in quantity.figures(flow) {
                let tag = path.map_or(quantity.name.to_owned(), |path| format!("{}/{path}", quantity.name));
                match figure {
                    Figure::Number(value) => self.scalar(wall_time, flow.step, &tag, value),
                    Figure::Histogram(exponents) => self.histogram(wall_time, flow.step, &tag, exponents),
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

/// The least positive number of single precision, above which subnormals begin.
const LEAST: f64 = 1.401298464324817e-45;

/// Upper limits, rising, and how many numbers are below each and not below the one before.
fn buckets(exponents: &Exponents) -> Vec<(f64, f64)> {
    let Exponents { zeros, subnormal, first, counts, infinite, .. } = exponents;
    let mut buckets = vec![(LEAST, *zeros as f64), (f64::from(f32::MIN_POSITIVE), *subnormal as f64)];
    for (power, &count) in (*first..).zip(counts) {
        let limit = 2_f64.powi(power + 1);
        match buckets.last_mut() {
            // A number of double precision below what single precision holds in full.
            Some((last, numbers)) if *last >= limit => *numbers += count as f64,
            Some((last, _)) => {
                // The bucket before must end where this one begins.
                let begin = 2_f64.powi(power);
                if *last < begin {
                    buckets.push((begin, 0.0));
                }
                buckets.push((limit.min(f64::MAX), count as f64));
            }
            None => unreachable!("the first two are always there"),
        }
    }
    match buckets.last_mut() {
        // The largest numbers of double precision.
        Some((f64::MAX, numbers)) => *numbers += *infinite as f64,
        _ => buckets.push((f64::MAX, *infinite as f64)),
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::{EventFile, LEAST, buckets};
    use backflow_probe::Exponents;

    #[test]
    fn buckets_rise_and_hold_every_number_that_is_one() {
        let all = Exponents { zeros: 3, subnormal: 2, first: -4, counts: vec![5, 0, 7], infinite: 1, nan: 9 };
        let subnormal = f64::from(f32::MIN_POSITIVE);
        let expected = [(LEAST, 3.0), (subnormal, 2.0), (0.0625, 0.0), (0.125, 5.0), (0.25, 0.0), (0.5, 7.0)];
        assert_eq!(buckets(&all)[..6], expected);
        assert_eq!(buckets(&all)[6..], [(f64::MAX, 1.0)]);
        for first in [-1074, -200, -126, 0, 127, 1020, 1021] {
            let some = Exponents { first, counts: vec![1; 3], ..Exponents::default() };
            let buckets = buckets(&some);
            assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0), "{first}: {buckets:?}");
            assert_eq!(buckets.iter().map(|bucket| bucket.1).sum::<f64>(), 3.0);
        }
    }

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
