//! The few kinds of protocol buffers' fields that events need.
//!
//! A message is its fields in a row, each behind a number that says which field it is and how long its value
//! is: <https://protobuf.dev/programming-guides/encoding/>.

/// How a value's length is known.
#[derive(Clone, Copy)]
enum Wire {
    /// It ends with the first byte below 128.
    Varint = 0,
    EightBytes = 1,
    /// The length stands before it.
    Counted = 2,
    FourBytes = 5,
}

/// A message in the making.
#[derive(Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(super) fn double(&mut self, field: u64, value: f64) {
        self.key(field, Wire::EightBytes);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn float(&mut self, field: u64, value: f32) {
        self.key(field, Wire::FourBytes);
        self.bytes.extend(value.to_le_bytes());
    }

    /// Integers are written as `int64`: those above its largest would come back negative.
    pub(super) fn integer(&mut self, field: u64, value: u64) {
        self.key(field, Wire::Varint);
        self.varint(value);
    }

    pub(super) fn text(&mut self, field: u64, value: &str) {
        self.counted(field, value.as_bytes());
    }

    pub(super) fn message(&mut self, field: u64, value: &Self) {
        self.counted(field, &value.bytes);
    }

    /// A repeated field, packed.
    pub(super) fn doubles(&mut self, field: u64, values: impl Iterator<Item = f64>) {
        let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
        self.counted(field, &bytes);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn counted(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, Wire::Counted);
        self.varint(bytes.len() as u64);
        self.bytes.extend(bytes);
    }

    fn key(&mut self, field: u64, wire: Wire) {
        self.varint(field << 3 | wire as u64);
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 128 {
            self.bytes.push(value as u8 | 128);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
