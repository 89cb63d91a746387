//! What the fields of a head say about the length of its body.
//!
//! Owns that judgement. Most bodies are dropped; but if the length of one is unclear, a proxy in front may see another request
//! where we see a body, so the request is refused.
//!
//! Invariant: what is accepted here has one length, or is chunked, to every reader.

use super::body::BodyLength;
use super::bytes::{TOKEN, trim_ows};
use super::refusal::Refusal;

/// The versions that are understood: 1.0 has no transfer codings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The fields that were seen so far.
#[derive(Default)]
pub(super) struct Framing {
    content_length: Option<u64>,
    is_chunked: bool,
}

impl Framing {
    /// `Content-Length = 1*DIGIT`; a list of equal values is as good as one (RFC 9110 section 8.6).
    pub(super) fn add_content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for item in value.split(|&byte| byte == b',').map(trim_ows) {
            if item.is_empty() || !item.iter().all(u8::is_ascii_digit) {
                return Err(Refusal::ContentLength);
            }
            let length = str::from_utf8(item).ok().and_then(|digits| digits.parse().ok());
            let length: u64 = length.ok_or(Refusal::ContentLength)?;
            if self.content_length.is_some_and(|earlier| earlier != length) {
                return Err(Refusal::ContentLength);
            }
            self.content_length = Some(length);
        }
        Ok(())
    }

    /// `chunked` has to be the last coding, and to be there once (RFC 9112 section 6.1).
    pub(super) fn add_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for coding in value.split(|&byte| byte == b',').map(trim_ows) {
            if self.is_chunked || coding.is_empty() || !TOKEN.has_all(coding) {
                return Err(Refusal::TransferEncoding);
            }
            self.is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        }
        if self.is_chunked { Ok(()) } else { Err(Refusal::TransferEncoding) }
    }

    /// The length of the body, in a request of this version.
    pub(super) fn length(&self, version: Version) -> Result<BodyLength, Refusal> {
        match (self.is_chunked, self.content_length) {
            (false, length) => Ok(BodyLength::Bytes(length.unwrap_or(0))),
            (true, None) if version == Version::Http11 => Ok(BodyLength::Chunked),
            (true, _) => Err(Refusal::TransferEncoding),
        }
    }
}
