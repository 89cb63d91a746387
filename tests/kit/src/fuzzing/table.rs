//! Target `table`: any bytes as what another program hands over.
//!
//! Owns the promise that no table makes a process fail: it is taken over whole, or refused with a reason. The frame of a table
//! has a check that hardly any bytes pass, so the bytes are read as sections, too.

use std::time::Duration;

use audience_meter::meter::news::Secret;
use audience_meter::meter::watches::{Thresholds, Watches};
use audience_meter::meter::{ClusterRules, Membership, Meter, NotifyRule, Rules};
use audience_meter::wire::report::FORMATS;
use audience_meter::wire::table::{HAND_OVER, Malformed, Reader, Writer, open};

const BEAT_AFTER: Duration = Duration::from_secs(25);

/// What rules may not change: for how long places are kept, and whether there is a way to other nodes.
const WAYS: [(Duration, bool); 3] = [(Duration::ZERO, true), (Duration::from_secs(9), true), (Duration::ZERO, false)];

/// Target `table`: bytes as a table, and as the sections of one.
///
/// # Panics
/// If what was taken over is not handed over again as it was.
pub fn table(bytes: &[u8]) {
    for (leave_delay, is_one_of_many) in WAYS {
        if let Ok(reader) = open(HAND_OVER, bytes) {
            let _ = take_over(leave_delay, is_one_of_many, reader);
        }
        let Ok(taken) = take_over(leave_delay, is_one_of_many, Reader::new(bytes, 0, "fuzz")) else { continue };
        let written = hand_over(&taken);
        let again = take_over(leave_delay, is_one_of_many, Reader::new(&written, 0, "fuzz"));
        assert!(hand_over(&again.expect("it can be read")) == written, "what was taken over is handed over as it was");
    }
}

/// Whether the bytes are a table that this program takes over, frame and all.
#[must_use]
pub fn is_taken_over(bytes: &[u8]) -> bool {
    let goes_on = |(leave_delay, is_one_of_many)| {
        open(HAND_OVER, bytes).is_ok_and(|reader| take_over(leave_delay, is_one_of_many, reader).is_ok())
    };
    WAYS.into_iter().any(goes_on)
}

fn take_over(
    leave_delay: Duration,
    is_one_of_many: bool,
    mut reader: Reader<'_>,
) -> Result<(Meter, Watches), Malformed> {
    let delay = Duration::from_secs(1);
    let rules = Rules {
        notify: NotifyRule { delta_ratio: 0.1, min_delay: delay, max_delay: delay, budget: None },
        increment_delay: Duration::ZERO,
        leave_delay,
        namespace_clean_delay: delay,
        namespaces_max: usize::MAX,
    };
    let membership = Membership { rules: ClusterRules::default(), secret: Secret([0; 2]), formats: FORMATS };
    let meter = Meter::take_over(rules, is_one_of_many.then_some(membership), &mut reader)?;
    let thresholds = Thresholds::new([10]).expect("it is no 0, and no more than there may be");
    let watches = Watches::take_over(thresholds, BEAT_AFTER, &mut reader)?;
    reader.finish().map(|()| (meter, watches))
}

fn hand_over((meter, watches): &(Meter, Watches)) -> Vec<u8> {
    let mut out = Writer::default();
    meter.hand_over(&mut out);
    watches.hand_over(&mut out);
    out.into_bytes()
}
