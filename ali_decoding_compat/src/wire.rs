//! The ali_decoding format: values in, bytes out.
//!
//! Knows nothing of servers, so that any producer of changes can write the format and tests can
//! run it alone. A message is put together from the pieces below, in the order of the format:
//!
//! ```text
//!   BEGIN    begin()
//!   COMMIT   commit()
//!   INSERT   kind(INSERT)  relation  no_key()           NEW tuple
//!   UPDATE   kind(UPDATE)  relation  key() or no_key()  [OLD tuple]  NEW tuple
//!   DELETE   kind(DELETE)  relation  key() or no_key()  OLD tuple, or NO_OLD
//!
//!   relation  relation() and, for each attribute, attribute() or dropped_attribute()
//!   key       key() and as many string()
//!   tuple     tuple() and, for each attribute, null(), unchanged() or text()
//! ```
//!
//! Integers are big-endian. Every string and every value counts its trailing NUL.

/// Where the bytes go.
pub trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

/// First byte of a change.
pub const INSERT: u8 = b'I';
pub const UPDATE: u8 = b'U';
pub const DELETE: u8 = b'D';

/// What follows: a new row, an old row (or only its key), no old row at all.
pub const NEW: u8 = b'N';
pub const OLD: u8 = b'K';
pub const NO_OLD: u8 = b'E';

/// Always zero; readers skip it.
const FLAGS: u32 = 0;

/// Microseconds since 2000-01-01, as the server counts.
pub type Timestamp = i64;
pub type Lsn = u64;

pub fn begin(out: &mut impl Sink, final_lsn: Lsn, commit_time: Timestamp, xid: u32) {
    let mut message = [0; 25];
    message[0] = b'B';
    message[1..5].copy_from_slice(&FLAGS.to_be_bytes());
    message[5..13].copy_from_slice(&final_lsn.to_be_bytes());
    message[13..21].copy_from_slice(&commit_time.to_be_bytes());
    message[21..25].copy_from_slice(&xid.to_be_bytes());
    out.put(&message);
}

pub fn commit(out: &mut impl Sink, commit_lsn: Lsn, end_lsn: Lsn, commit_time: Timestamp) {
    let mut message = [0; 29];
    message[0] = b'C';
    message[1..5].copy_from_slice(&FLAGS.to_be_bytes());
    message[5..13].copy_from_slice(&commit_lsn.to_be_bytes());
    message[13..21].copy_from_slice(&end_lsn.to_be_bytes());
    message[21..29].copy_from_slice(&commit_time.to_be_bytes());
    out.put(&message);
}

/// One of the constants above.
pub fn kind(out: &mut impl Sink, kind: u8) {
    out.put(&[kind]);
}

/// A name. The server's names are far below the 32766 bytes that the length can express.
pub fn string(out: &mut impl Sink, text: &[u8]) {
    out.put(&(text.len() as u16 + 1).to_be_bytes());
    out.put(text);
    out.put(&[0]);
}

pub fn relation(out: &mut impl Sink, schema: &[u8], table: &[u8], attributes: u16) {
    string(out, schema);
    string(out, table);
    out.put(b"C");
    out.put(&attributes.to_be_bytes());
}

/// The name is quoted where SQL needs it, the type is named as the server would print it.
pub fn attribute(out: &mut impl Sink, quoted_name: &[u8], type_name: &[u8]) {
    string(out, quoted_name);
    string(out, type_name);
}

pub fn dropped_attribute(out: &mut impl Sink) {
    out.put(&0u16.to_be_bytes());
}

pub fn no_key(out: &mut impl Sink) {
    out.put(b"P");
}

/// The columns' names, unquoted, follow in the order of the index.
pub fn key(out: &mut impl Sink, columns: u16) {
    out.put(b"M");
    out.put(&columns.to_be_bytes());
}

pub fn tuple(out: &mut impl Sink, attributes: u32) {
    out.put(b"T");
    out.put(&attributes.to_be_bytes());
}

/// NULL, or a dropped attribute.
pub fn null(out: &mut impl Sink) {
    out.put(b"n");
}

/// A value kept out of line that the change did not touch, so that the log does not have it.
pub fn unchanged(out: &mut impl Sink) {
    out.put(b"u");
}

/// The value as its type prints it. A server's value is below 1 GB, so the length fits.
pub fn text(out: &mut impl Sink, value: &[u8]) {
    let length = (value.len() as u32 + 1).to_be_bytes();
    out.put(&[b't', length[0], length[1], length[2], length[3]]);
    out.put(value);
    out.put(&[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not `Vec` itself, for which whoever shares this file may have an implementation.
    struct Bytes(Vec<u8>);

    impl Sink for Bytes {
        fn put(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }

    fn written(write: impl FnOnce(&mut Bytes)) -> Vec<u8> {
        let mut out = Bytes(Vec::new());
        write(&mut out);
        out.0
    }

    #[test]
    fn begin_is_25_bytes() {
        let out = written(|out| begin(out, 0x0102_0304_0506_0708, -2, 0x0a0b_0c0d));
        assert_eq!(out, b"B\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\xff\xff\xff\xff\xff\xff\xff\xfe\x0a\x0b\x0c\x0d");
    }

    #[test]
    fn commit_is_29_bytes() {
        let out = written(|out| commit(out, 1, 2, 3));
        assert_eq!(out, b"C\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03");
    }

    #[test]
    fn lengths_count_the_nul() {
        assert_eq!(written(|out| string(out, b"")), b"\0\x01\0");
        assert_eq!(written(|out| string(out, b"id")), b"\0\x03id\0");
        assert_eq!(written(|out| text(out, b"")), b"t\0\0\0\x01\0");
        assert_eq!(written(|out| text(out, b"42")), b"t\0\0\0\x0342\0");
    }

    #[test]
    fn a_dropped_attribute_is_a_lone_zero() {
        let out = written(|out| {
            relation(out, b"s", b"t", 2);
            dropped_attribute(out);
            attribute(out, b"a", b"integer");
        });
        assert_eq!(out, b"\0\x02s\0\0\x02t\0C\0\x02\0\0\0\x02a\0\0\x08integer\0");
    }
}
