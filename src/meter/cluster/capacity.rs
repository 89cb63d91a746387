//! The room that there is for namespaces, as the caller deals with it.
//!
//! Owns no state: the limit is the book's, and how a namespace leaves all tables is the matter of `ends`.
//!
//! Invariant: at the limit, a new namespace that a member here would make takes the place of another, or is not made.

use super::{Call, Cluster, ends};
use crate::meter::book::keys::MakerId;
use crate::meter::book::learning::has_room;

/// The room for namespaces.
pub struct Capacity<'a> {
    pub(in crate::meter) cluster: &'a mut Cluster,
    pub(in crate::meter) call: Call<'a>,
}

impl Capacity<'_> {
    /// Whether a member may join the namespace of this name. At the limit, a new one takes the place of one that is vacant,
    /// which is forgotten now: there is no room only while all of them have members, or became vacant just now.
    pub fn make_for(&mut self, name: &str) -> bool {
        make_for(name, self.cluster, &mut self.call)
    }

    /// A member has made the namespace of this name for the caller's `maker`: [`Output::Unmade`](crate::meter::Output) says
    /// when it is forgotten.
    pub fn set_maker(&mut self, name: &str, maker: MakerId) {
        if let Some(id) = self.call.book.find(name) {
            self.call.book.vacancy.set_maker(id, maker);
        }
    }
}

/// Makes room for the namespace of this name, if it takes any.
pub(super) fn make_for(name: &str, cluster: &mut Cluster, call: &mut Call<'_>) -> bool {
    has_room(call.book) || call.book.find(name).is_some() || ends::evict(cluster, call)
}
