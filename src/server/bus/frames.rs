//! Frames: datagrams in a stream.
//!
//! Owns their form, a length and as many bytes: `length:u16 datagram`. A length is from 1 to [`ENVELOPE_MAX`].
//!
//! Invariant: what comes out is what went in, however the stream was cut.

use std::io;

use crate::wire::report::ENVELOPE_MAX;

/// The bytes of a length.
const LENGTH_BYTES: usize = 2;

/// The bytes of the longest frame.
const FRAME_MAX: usize = LENGTH_BYTES + ENVELOPE_MAX;

/// A datagram as a frame; `None` if it is too long for one, or empty.
pub(super) fn frame(datagram: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(datagram.len()).ok().filter(|_| is_length(datagram.len()))?;
    Some([&length.to_le_bytes()[..], datagram].concat())
}

/// What has been read of a stream.
pub(super) struct Incoming {
    bytes: Box<[u8; FRAME_MAX]>,
    filled: usize,
    /// Where the first frame begins that was not taken.
    begin: usize,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { bytes: Box::new([0; FRAME_MAX]), filled: 0, begin: 0 }
    }
}

impl Incoming {
    /// Reads on, after all whole frames were taken.
    ///
    /// # Errors
    /// What the source says, and `UnexpectedEof` at its end.
    pub(super) fn read(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
        self.bytes.copy_within(self.begin..self.filled, 0);
        (self.filled, self.begin) = (self.filled - self.begin, 0);
        match read(self.bytes.get_mut(self.filled..).unwrap_or_default())? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.filled = (self.filled + count).min(FRAME_MAX);
                Ok(())
            }
        }
    }

    /// Takes the next whole frame and copies its datagram; returns its length, and `None` if there is none yet.
    ///
    /// # Errors
    /// `InvalidData`: these are no frames.
    pub(super) fn take(&mut self, datagram: &mut [u8]) -> io::Result<Option<usize>> {
        let rest = self.bytes.get(self.begin..self.filled).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_le_bytes(*length));
        if !is_length(length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (Some(from), Some(to)) = (rest.get(..length), datagram.get_mut(..length)) else { return Ok(None) };
        to.copy_from_slice(from);
        self.begin += LENGTH_BYTES + length;
        Ok(Some(length))
    }
}

fn is_length(length: usize) -> bool {
    (1..=ENVELOPE_MAX).contains(&length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// The datagrams of a stream that comes in pieces of this length, and what ended it.
    fn datagrams(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, io::ErrorKind) {
        let (mut incoming, mut rest, mut datagrams) = (Incoming::default(), stream, Vec::new());
        loop {
            let mut datagram = [0; ENVELOPE_MAX];
            match incoming.take(&mut datagram) {
                Ok(Some(length)) => datagrams.push(datagram[..length].to_vec()),
                Ok(None) => {
                    let read = incoming.read(|buffer| {
                        let most = buffer.len().min(piece);
                        rest.read(&mut buffer[..most])
                    });
                    if let Err(error) = read {
                        return (datagrams, error.kind());
                    }
                }
                Err(error) => return (datagrams, error.kind()),
            }
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let sent: Vec<Vec<u8>> = [1, 2, 300, ENVELOPE_MAX, ENVELOPE_MAX, 7].map(|length| vec![7; length]).into();
        let stream: Vec<u8> = sent.iter().flat_map(|datagram| frame(datagram).unwrap()).collect();
        for piece in [1, 2, 3, 1_000, usize::MAX] {
            assert_eq!(datagrams(&stream, piece), (sent.clone(), io::ErrorKind::UnexpectedEof));
        }
        let cut = &stream[..stream.len() - 1];
        assert_eq!(datagrams(cut, 64), (sent[..5].to_vec(), io::ErrorKind::UnexpectedEof), "the end of a cut frame");
    }

    #[test]
    fn a_length_that_is_none_ends_the_stream() {
        assert_eq!((frame(&[]), frame(&[0; ENVELOPE_MAX + 1])), (None, None));
        let too_long = u16::try_from(ENVELOPE_MAX + 1).unwrap().to_le_bytes();
        for length in [[0, 0], too_long, [0xff, 0xff]] {
            let stream = [&frame(b"whole").unwrap()[..], &length, &[0; 9]].concat();
            assert_eq!(datagrams(&stream, 5), (vec![b"whole".to_vec()], io::ErrorKind::InvalidData));
        }
    }
}
