//! Carrying out what the meter wants done.
//!
//! Owns what each output costs, and the budget of a turn. What is on its way to members, the audience fans out; how a
//! connection ends, the turn says.
//!
//! Invariant: outputs are carried out in the order in which the meter gave them.

use super::answers::answer::Settled;
use super::audience::Audience;
use super::bus::Bus;
use super::shutdown::ending;
use super::shutdown::turnover::Turnover;
use super::troubles::Kind;
use crate::collections::tick::Now;
use crate::log;
use crate::meter::{MemberId, Output};
use crate::reports::ReportFile;
use crate::wire::sse;

/// What the meter's outputs of one turn may cost, in microseconds.
const OUTPUT_US_PER_TURN: usize = 400;

/// What a frame costs, in microseconds, and to begin its way along the members.
const COUNT_US: usize = 1;

/// What a last word costs, in microseconds, and to shut the socket.
const FAREWELL_US: usize = 14;

/// What the answer to a sender or to a page costs, in microseconds, and to shut the socket.
const ANSWER_US: usize = 16;

/// What a datagram costs, in microseconds, for each way that it goes.
const SEND_US: usize = 8;

/// What a line of the log costs, in microseconds.
const REPORT_US: usize = 12;

/// The rooms that the outputs of the meter act upon.
pub(super) struct Outputs<'a> {
    pub(super) audience: &'a mut Audience,
    pub(super) bus: &'a mut Bus,
    pub(super) reports: Option<&'a mut ReportFile>,
    pub(super) turnover: &'a mut Turnover,
}

/// What a turn has carried out.
#[derive(Debug, Default)]
pub(super) struct CarriedOut {
    /// Members to send away once others have got their pushes, and the last word to each.
    pub(super) farewells: Vec<(MemberId, &'static [u8])>,
    /// What connections wait for no longer.
    pub(super) settled: Vec<Settled>,
    /// Whether some outputs were left for the next turn.
    pub(super) has_more: bool,
}

impl Outputs<'_> {
    /// Carries out what the meter wants done, as much as fits into a turn.
    pub(super) fn carry_out(&mut self, now: Now) -> CarriedOut {
        let mut carried_out = CarriedOut::default();
        let mut left_us = OUTPUT_US_PER_TURN;
        while let Some(output) = self.audience.poll_output() {
            left_us = left_us.saturating_sub(self.cost_us(&output));
            self.begin(output, &mut carried_out, now);
            if left_us == 0 {
                carried_out.has_more = true;
                break;
            }
        }
        self.bus.flush(now);
        carried_out
    }

    fn cost_us(&self, output: &Output) -> usize {
        match output {
            Output::Count { .. } | Output::Message { .. } | Output::Unmade(_) => COUNT_US,
            Output::Farewell(_) | Output::Left(_) => FAREWELL_US,
            Output::Settled { .. } | Output::Held { .. } => ANSWER_US,
            Output::Send(to, _) => SEND_US * self.bus.way_count(*to, self.audience.meter.learned_addresses()),
            Output::Ended(_) if self.reports.is_none() && !self.turnover.has_line() => COUNT_US,
            Output::Ended(_) | Output::Folded | Output::FoldFull => REPORT_US,
        }
    }

    /// Begins what an output asks for.
    fn begin(&mut self, output: Output, carried_out: &mut CarriedOut, now: Now) {
        match output {
            Output::Count { namespace, total, skip_newest } => {
                self.audience.push_count(namespace, total, skip_newest);
            }
            Output::Message { id, namespace, text } => {
                let is_pushed = self.audience.push_message(&namespace, &text).is_ok();
                if !is_pushed {
                    log::warn("message_dropped", &[("reason", "busy".into())]);
                }
                self.audience.meter.mail(now).confirm(id, &namespace, is_pushed);
            }
            Output::Settled { number, unconfirmed } => {
                log::debug("message_settled", &[("number", number.into()), ("unconfirmed", unconfirmed.into())]);
                carried_out.settled.push(Settled::Message { number, unconfirmed });
            }
            Output::Held { number, is_held } => carried_out.settled.push(Settled::Question { number, is_held }),
            Output::Farewell(member) => carried_out.farewells.push((member, sse::FAREWELL)),
            Output::Left(member) => carried_out.farewells.push((member, sse::LEFT)),
            Output::Send(to, datagram) => self.bus.send(to, &datagram, self.audience.meter.learned_addresses(), now),
            Output::Unmade(maker) => self.audience.forget_made(maker),
            Output::Folded => self.bus.raise_here(Kind::Folded, now),
            Output::FoldFull => self.bus.raise_here(Kind::FoldFull, now),
            Output::Ended(ending) => {
                if !ending::write_down(&ending, self.reports.as_deref_mut(), self.turnover, now) {
                    self.audience.record_lost_report();
                }
            }
        }
    }
}
