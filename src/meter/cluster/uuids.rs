//! The uuids that members claim, as the caller deals with them.
//!
//! Owns the numbers of streams, and which claim a page ends that leaves. It does not know how the page says so, nor what becomes of
//! its place.
//!
//! Invariant: a page that names its stream ends no later one.

use super::leaving::Leaving;
use super::{Call, Cluster, claims};

/// The uuids of a meter, for one call.
pub struct Uuids<'a> {
    pub(in crate::meter) cluster: &'a mut Cluster,
    pub(in crate::meter) call: Call<'a>,
}

impl Uuids<'_> {
    /// The number of the stream that has this uuid in the namespace of this name, if it is one of this node and places are kept:
    /// other streams of the uuid have other numbers, and the later one the larger.
    #[must_use]
    pub fn stream(&self, name: &str, uuid: &str) -> Option<u64> {
        let book = &self.call.book;
        let claim = book.claims.find(book.find(name)?, uuid)?;
        (!book.rules.leave_delay.is_zero()).then(|| book.claims.order(claim))
    }

    /// A page leaves that has joined with `uuid` in the namespace of this name. If the uuid is not claimed here, the other
    /// nodes are asked whether they have it.
    pub fn leave(self, name: &str, uuid: &str, leaving: Leaving) {
        let Self { cluster, mut call } = self;
        let claim = call.book.find(name).and_then(|id| call.book.claims.find(id, uuid));
        match claim {
            Some(claim) if leaving.stream.is_none_or(|stream| call.book.claims.order(claim) <= stream) => {
                claims::end_claim(claim, leaving.is_away, cluster, &mut call);
            }
            Some(_) => {}
            None => claims::leave_elsewhere(name, uuid, leaving, cluster, &mut call),
        }
    }
}
