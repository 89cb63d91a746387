//! A process that hands itself over to another program, which goes on in its place.
//!
//! Owns what must be true of that: the meter of the program that goes on is the one before, in every byte that it would hand on
//! itself. What it does from then on, the observer judges as if nothing had happened.

use audience_meter::meter::news::Secret;
use audience_meter::meter::{Membership, Meter, Rules};
use audience_meter::wire::table::{HAND_OVER, Writer, enclose, open};

use super::World;

/// The process at this place hands itself over, unless it is stopped.
///
/// # Panics
/// If the meter that is taken over is another one.
pub fn hand_over(world: &mut World, index: usize) {
    let (rules, cluster, now) = (world.setting.rules, world.setting.cluster, world.now(index));
    let node = &mut world.nodes[index];
    if node.is_paused {
        return;
    }
    let table = table_of(&node.meter);
    // The secret is that of the process before.
    let membership = cluster.map(|rules| Membership { rules, secret: Secret([0; 2]), formats: node.formats });
    let after = take_over(&table, rules, membership).unwrap_or_else(|error| panic!("{error}"));
    assert!(table_of(&after) == table, "the meter that is taken over is the one that was handed over");
    assert_eq!(after.timer_count(), node.meter.timer_count());
    node.check(now);
    node.meter = after;
    node.book.follow(&node.meter);
    node.check(now);
}

/// The table of a meter.
pub fn table_of(meter: &Meter) -> Vec<u8> {
    let mut out = Writer::default();
    meter.hand_over(&mut out);
    enclose(HAND_OVER, out)
}

/// The meter of a table.
///
/// # Errors
/// Why it is none.
pub fn take_over(table: &[u8], rules: Rules, membership: Option<Membership>) -> Result<Meter, String> {
    let mut reader = open(HAND_OVER, table).map_err(|refusal| refusal.to_string())?;
    let meter = Meter::take_over(rules, membership, &mut reader).map_err(|malformed| malformed.to_string())?;
    reader.finish().map(|()| meter).map_err(|malformed| malformed.to_string())
}
