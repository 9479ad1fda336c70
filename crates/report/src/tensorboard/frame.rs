//! The framing of `TFRecord`: length, checksum of the length, bytes, checksum of the bytes.

/// Appends the record to the file.
pub(super) fn append(file: &mut Vec<u8>, record: &[u8]) {
    let length = (record.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length).to_le_bytes());
    file.extend(record);
    file.extend(masked(record).to_le_bytes());
}

/// A checksum that is not a plain one, because checksums of bytes that contain their own checksum are weak.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli's polynomial; RFC 3720, section 12.1). It is another polynomial than that of zip
/// files.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

/// What each byte alone does to the checksum.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{append, crc32c};

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, section B.4, and the check value that catalogues of checksums give.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_record_is_framed_as_tensorboard_frames_it() {
        // The checksums are what `masked_crc32c` of TensorBoard 2.21 answers.
        let mut file = Vec::new();
        append(&mut file, b"foo");
        assert_eq!(file, b"\x03\0\0\0\0\0\0\0\xb0\x99\x49\x0efoo\x61\x8a\xbe\xfe", "{file:02x?}");
    }
}
