//! Which person a client is, as far as an event can know.
//!
//! Owns the choice: the uuid where there is one, else the address and the program that the client names itself as. So people
//! behind one address are one person if their browsers are the same, and one who comes by another network is another.
//!
//! Invariant: an address has one form, whatever the socket makes of it.

use std::net::IpAddr;

use crate::collections::tick::Now;
use crate::meter::{MemberId, Meter, Person};

/// The member of this uuid, address and program has just joined: its person is counted with it, unless its page is only
/// prepared in advance.
pub(super) fn recognize(
    member: MemberId,
    is_visit: bool,
    (uuid, address, user_agent): (Option<&str>, Option<IpAddr>, &[u8]),
    meter: &mut Meter,
    now: Now,
) {
    let mut people = meter.people(now);
    if people.are_counted() && !is_visit {
        people.recognize(member, person_of(uuid, address, user_agent));
    }
}

/// The person who has this uuid, or else uses this program at this address.
fn person_of(uuid: Option<&str>, address: Option<IpAddr>, user_agent: &[u8]) -> Person {
    let of_client = || {
        let octets = address.map_or([0; 16], |address| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        });
        Person::of_client(octets, user_agent)
    };
    uuid.map_or_else(of_client, Person::of_uuid)
}
