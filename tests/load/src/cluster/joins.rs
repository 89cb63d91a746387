//! What a crowd does to a cluster: many members join at once, or come and go at a steady pace.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{CHANGING, PATIENCE, REST};
use crate::crowd::Crowd;
use crate::{Result, now};

/// How many joins may be on their way: far below the usual backlog of 4,096.
const JOINS_PENDING_MAX: u64 = 1000;

/// Joins that are made between two looks at what has come.
const JOINS_PER_TURN: usize = 16;

/// The part of a batch, whose addresses no other batch has used: the port of a closed stream stays taken for a minute.
pub(super) fn part_of(batch: usize) -> u8 {
    u8::try_from(batch % 256).unwrap_or(0)
}

/// Has a member join in each of the first `places` places, until all have received their first count.
pub(super) fn join_all(crowd: &mut Crowd, places: usize) -> Result<()> {
    let give_up = now() + PATIENCE;
    for place in 0..places {
        crowd.join(place, place)?;
        if place % JOINS_PER_TURN == 0 {
            crowd.turn(Duration::ZERO)?;
        }
        let most = if place + 1 == places { 0 } else { JOINS_PENDING_MAX };
        while crowd.waiting_count() > most {
            if now() > give_up {
                return Err(format!("{} members wait in vain for their first count", crowd.waiting_count()).into());
            }
            crowd.turn(REST)?;
        }
    }
    Ok(())
}

/// One after the other a second member joins each name, and leaves half a second later.
pub(super) fn come_and_go(crowd: &mut Crowd, start: Instant, numbers: Range<usize>) -> Result<()> {
    for number in numbers {
        let due = start + Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(CHANGING)?;
        while let Some(left) = due.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            crowd.turn(left)?;
        }
        crowd.leave(CHANGING + (number + CHANGING / 2) % CHANGING);
        crowd.join(CHANGING + number % CHANGING, number % CHANGING)?;
    }
    Ok(())
}
