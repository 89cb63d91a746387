//! Bytes, sorted into classes, and searched for eight at a time.
//!
//! Owns how to search; it does not know what for. Most of what a head costs is in these loops.
//!
//! Invariant: what is found is the first byte of its kind, and what comes after it does not matter.

/// The bytes that some rule allows.
pub(super) struct Class([bool; 256]);

#[expect(clippy::indexing_slicing, reason = "a table of 256 has a place for every byte")]
impl Class {
    /// `ALPHA`, `DIGIT` and some more.
    pub(super) const fn alphanumeric_and(mut others: &[u8]) -> Self {
        let mut allowed = [false; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            allowed[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        while let [byte, rest @ ..] = others {
            allowed[*byte as usize] = true;
            others = rest;
        }
        Self(allowed)
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    pub(super) fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|&byte| self.has(byte))
    }
}

/// `tchar` (RFC 9110 section 5.6.2)
pub(super) static TOKEN: Class = Class::alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// Whether a token is this one, whatever the case of its letters. `small` is of small letters and hyphens: the bit that makes a
/// letter small makes no letter of another byte, and a hyphen of none that a token may have.
pub(super) fn is_same_token(token: &[u8], small: &[u8]) -> bool {
    const SMALL: u8 = 0x20;
    let ((words, rest), (small_words, small_rest)) = (token.as_chunks(), small.as_chunks());
    let is_same =
        |&word: &[u8; 8], &small: &[u8; 8]| u64::from_ne_bytes(word) | every(SMALL) == u64::from_ne_bytes(small);
    token.len() == small.len()
        && rest.iter().zip(small_rest).all(|(byte, small)| byte | SMALL == *small)
        && words.iter().zip(small_words).all(|(word, small)| is_same(word, small))
}

/// Without the white space around it: `OWS = *( SP / HTAB )`.
pub(super) fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether all bytes are `VCHAR`. It looks at all of them, whatever it finds, for so the compiler takes many at a time.
pub(super) fn is_graphic(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |is_graphic, byte| is_graphic & byte.is_ascii_graphic())
}

/// The place of the first `wanted` byte.
#[inline]
pub(in crate::wire) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    find_marked(bytes, |word| equal(word, wanted))
}

/// The place of the first control byte, HTAB apart.
#[inline]
pub(super) fn find_control(bytes: &[u8]) -> Option<usize> {
    find_marked(bytes, controls)
}

/// `marks` is given eight bytes, and sets the top bit of each that is wanted and no other bit.
#[inline]
fn find_marked(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let (words, last) = bytes.as_chunks();
    for (index, &word) in words.iter().enumerate() {
        let marked = marks(u64::from_le_bytes(word));
        if marked != 0 {
            return Some(index * 8 + marked.trailing_zeros() as usize / 8);
        }
    }
    let at = last.iter().position(|&byte| marks(every(byte)) != 0)?;
    Some(words.len() * 8 + at)
}

const TOPS: u64 = every(0x80);

const fn every(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Marks the bytes that are this ASCII character.
#[inline]
fn equal(word: u64, character: u8) -> u64 {
    let differs = ((word & !TOPS) ^ every(character)) + every(0x7f);
    !(differs | word) & TOPS
}

/// Marks the control bytes, HTAB apart. Without its top bit a byte is below 0x80, so no sum carries into the next one; and
/// a sum has its top bit when it has reached 0x80.
#[inline]
fn controls(word: u64) -> u64 {
    let low = word & !TOPS;
    let from_space = low + every(0x80 - b' ');
    let not_tab = (low ^ every(b'\t')) + every(0x7f);
    let delete = low + every(1);
    ((!from_space & not_tab) | delete) & !word & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_found_at_each_place_or_not_at_all() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut bytes = [b'\t'; 20];
                bytes[place] = byte;
                // What comes after does not change what is found, whatever it is.
                for after in [b'\t', 0, b'\n', 0x7f, 0x80, 0xff] {
                    bytes[place + 1..].fill(after);
                    let is_control = |&byte: &u8| byte.is_ascii_control() && byte != b'\t';
                    assert_eq!(find_control(&bytes), bytes.iter().position(is_control), "{bytes:?}");
                    let is_line_feed = |&byte: &u8| byte == b'\n';
                    assert_eq!(find(&bytes, b'\n'), bytes.iter().position(is_line_feed), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_token_is_the_same_in_capitals_and_with_no_other_byte() {
        for small in [b"host".as_slice(), b"sec-fetch-site", b"transfer-encoding"] {
            assert!(is_same_token(&small.to_ascii_uppercase(), small));
            assert!(!is_same_token(&small[1..], small) && !is_same_token(small, &small[1..]));
            for place in 0..small.len() {
                let mut token = small.to_vec();
                for byte in (0..=u8::MAX).filter(|&byte| TOKEN.has(byte)) {
                    token[place] = byte;
                    assert_eq!(is_same_token(&token, small), token.eq_ignore_ascii_case(small), "{byte:#x}");
                }
            }
        }
    }

    #[test]
    fn a_class_has_what_it_was_made_of() {
        const CLASS: Class = Class::alphanumeric_and(b"-_");
        for byte in 0..=u8::MAX {
            assert_eq!(CLASS.has(byte), byte.is_ascii_alphanumeric() || b"-_".contains(&byte), "{byte:#x}");
        }
        assert!(CLASS.has_all(b"a-Z_9") && !CLASS.has_all(b"a b"));
    }
}
