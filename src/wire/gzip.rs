//! Files packed by gzip (RFC 1952), unpacked (DEFLATE, RFC 1951) for clients that take no gzip.
//!
//! Owns the way back only: files are packed before they become a part of the program. It is small and not fast: a code is
//! read bit by bit, 20 ms for a megabyte. The caller keeps what it has unpacked.
//!
//! Invariant: bytes that are no such file are refused, and no input takes more output than the file says that it has.

/// The bytes before the compressed blocks, of a file without a name (RFC 1952 section 2.3).
const HEADER_BYTES: usize = 10;

/// The checksum and the length behind the blocks.
const TRAILER_BYTES: usize = 8;

/// The longest code in bits (RFC 1951 section 3.2.7).
const CODE_BITS: usize = 15;

/// The order in which lengths of codes for lengths are given (RFC 1951 section 3.2.7).
const LENGTHS_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Unpacks a file; `None` if it is not one, or has optional fields in its header.
#[must_use]
pub fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = packed.split_at_checked(HEADER_BYTES)?;
    let (blocks, trailer) = rest.split_at_checked(rest.len().checked_sub(TRAILER_BYTES)?)?;
    if !header.starts_with(&[0x1f, 0x8b, 8, 0]) {
        return None;
    }
    let length = usize::try_from(u32::from_le_bytes(*trailer.last_chunk()?)).ok()?;
    let mut bits = Bits { bytes: blocks, at: 0 };
    let mut out = Vec::with_capacity(length.min(packed.len() * 16));
    loop {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => copy_stored(&mut bits, &mut out)?,
            1 => inflate(&mut bits, &Code::fixed_literals(), &Code::new(&[5; 30]), &mut out, length)?,
            2 => {
                let (literals, distances) = read_codes(&mut bits)?;
                inflate(&mut bits, &literals, &distances, &mut out, length)?;
            }
            _ => return None,
        }
        if is_last {
            return (out.len() == length).then_some(out);
        }
    }
}

/// The compressed blocks, from the lowest bit of each byte on.
struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl Bits<'_> {
    /// The next bits as a number, the lowest one first.
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut number = 0;
        for place in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            number |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(number)
    }
}

/// A Huffman code: of each length the number of codes, and all symbols in the order of their codes.
struct Code {
    counts: [usize; CODE_BITS + 1],
    symbols: Vec<usize>,
}

impl Code {
    /// The code whose symbols have codes of these lengths, at most [`CODE_BITS`] each (RFC 1951 section 3.2.2).
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; CODE_BITS + 1];
        let mut symbols = Vec::new();
        for (length, count) in (0..).zip(&mut counts).skip(1) {
            let of_length = (0..).zip(lengths).filter(|&(_, of_symbol)| *of_symbol == length).map(|(symbol, _)| symbol);
            symbols.extend(of_length);
            *count = lengths.iter().filter(|&&of_symbol| of_symbol == length).count();
        }
        Self { counts, symbols }
    }

    /// The code of literals and lengths that is not in the file (RFC 1951 section 3.2.6).
    fn fixed_literals() -> Self {
        let of_symbol = |symbol| match symbol {
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        };
        Self::new(&std::array::from_fn::<usize, 288, _>(of_symbol))
    }

    /// The symbol of the next code.
    fn read(&self, bits: &mut Bits<'_>) -> Option<usize> {
        // The first code of a length, and the place of its symbol.
        let (mut code, mut first, mut place) = (0, 0, 0);
        for &count in self.counts.iter().skip(1) {
            code |= bits.take(1)?;
            if code < first + count {
                return self.symbols.get(place + code.checked_sub(first)?).copied();
            }
            place += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// Copies a block that is not compressed (RFC 1951 section 3.2.4).
fn copy_stored(bits: &mut Bits<'_>, out: &mut Vec<u8>) -> Option<()> {
    bits.at = bits.at.next_multiple_of(8);
    let (length, inverse) = (bits.take(16)?, bits.take(16)?);
    if length ^ inverse != 0xffff {
        return None;
    }
    let from = bits.at / 8;
    out.extend_from_slice(bits.bytes.get(from..from + length)?);
    bits.at += 8 * length;
    Some(())
}

/// Reads the two codes of a block (RFC 1951 section 3.2.7).
fn read_codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let (literal_count, distance_count, length_count) = (257 + bits.take(5)?, 1 + bits.take(5)?, 4 + bits.take(4)?);
    let mut of_lengths = [0; LENGTHS_ORDER.len()];
    for &symbol in LENGTHS_ORDER.iter().take(length_count) {
        *of_lengths.get_mut(symbol)? = bits.take(3)?;
    }
    let of_lengths = Code::new(&of_lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literal_count + distance_count {
        let (length, times) = match of_lengths.read(bits)? {
            16 => (*lengths.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    let (literals, distances) = lengths.split_at_checked(literal_count)?;
    Some((Code::new(literals), Code::new(distances)))
}

/// Takes the symbols of a block (RFC 1951 section 3.2.5), until there are `most` bytes.
fn inflate(bits: &mut Bits<'_>, literals: &Code, distances: &Code, out: &mut Vec<u8>, most: usize) -> Option<()> {
    loop {
        let symbol = literals.read(bits)?;
        match symbol {
            0..256 => out.push(u8::try_from(symbol).ok()?),
            256 => return Some(()),
            _ => {
                let length = read_length(symbol - 257, bits)?;
                let distance = read_distance(distances.read(bits)?, bits)?;
                for _ in 0..length {
                    out.push(*out.get(out.len().checked_sub(distance)?)?);
                }
            }
        }
        if out.len() > most {
            return None;
        }
    }
}

/// The length of a repetition: four lengths to each number of extra bits, but for the first eight and the last.
fn read_length(place: usize, bits: &mut Bits<'_>) -> Option<usize> {
    match place {
        0..8 => Some(3 + place),
        28 => Some(258),
        8..28 => {
            let extra = place / 4 - 1;
            Some(3 + ((4 + place % 4) << extra) + bits.take(extra)?)
        }
        _ => None,
    }
}

/// How far back it begins: two distances to each number of extra bits, but for the first four.
fn read_distance(place: usize, bits: &mut Bits<'_>) -> Option<usize> {
    match place {
        0..4 => Some(1 + place),
        4..30 => {
            let extra = place / 2 - 1;
            Some(1 + ((2 + place % 2) << extra) + bits.take(extra)?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, Crc, FlushCompress, Status};

    use super::*;

    fn pack(text: &[u8], level: u32) -> Vec<u8> {
        let mut blocks = Vec::with_capacity(2 * text.len() + 100);
        let status =
            Compress::new(Compression::new(level), false).compress_vec(text, &mut blocks, FlushCompress::Finish);
        assert_eq!(status.unwrap(), Status::StreamEnd);
        let mut checksum = Crc::new();
        checksum.update(text);
        let length = u32::try_from(text.len()).unwrap();
        let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        [&header, &blocks[..], &checksum.sum().to_le_bytes(), &length.to_le_bytes()].concat()
    }

    /// Words that repeat near and far, and bytes that do not.
    fn texts() -> Vec<Vec<u8>> {
        let words: Vec<u8> = (0..60_000_u32)
            .flat_map(|i| format!("{} members, ", i.wrapping_mul(2_654_435_761) >> 20).into_bytes())
            .collect();
        let noise: Vec<u8> = (0..70_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        vec![Vec::new(), b"a".to_vec(), b"abcabcabcabcabc".to_vec(), vec![0; 100_000], words, noise]
    }

    #[test]
    fn what_a_library_packs_at_any_level_comes_back() {
        for text in texts() {
            for level in [0, 1, 6, 9] {
                assert!(unpack(&pack(&text, level)).as_deref() == Some(&text[..]), "{} B at level {level}", text.len());
            }
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_as_long_as_it_says() {
        let text = &texts()[4][..2000];
        let packed = pack(text, 9);
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end]), None, "cut at {end}");
        }
        for at in 0..packed.len() {
            for bit in 0..8 {
                let mut changed = packed.clone();
                changed[at] ^= 1 << bit;
                let length = changed.last_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize);
                assert!(unpack(&changed).is_none_or(|out| Some(out.len()) == length), "byte {at}, bit {bit}");
            }
        }
    }
}
