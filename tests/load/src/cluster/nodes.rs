//! The daemons of a round, and what their stats must say.
//!
//! Owns their start, and the waits until they agree with the books. It does not decide what happens to them.

use std::net::SocketAddr;
use std::time::Duration;

use audience_kit::Broker;

use super::site::{Place, Site};
use super::spent::{Most, Spent};
use super::{PATIENCE, REST};
use crate::crowd::Crowd;
use crate::daemon::{Daemon, Program};
use crate::figures::Figure;
use crate::pages::{ClusterPage, Sums};
use crate::{Result, now, progress};

/// The time between two looks at what a daemon says of the cluster, which costs it little.
const PAGE_GAP: Duration = Duration::from_millis(5);

/// The daemons of one audience.
pub(super) struct Nodes<'a> {
    program: &'a Program,
    site: &'a mut Site,
    places: Vec<Place>,
    pub(super) daemons: Vec<Daemon>,
    label: &'a str,
    /// What has been done to them, which their stats must agree with.
    pub(super) truth: Sums,
    /// A crowd without members, which waits and notices signals.
    pub(super) watch: Crowd,
}

impl<'a> Nodes<'a> {
    pub(super) fn start(site: &'a mut Site, program: &'a Program, count: usize, label: &'a str) -> Result<Self> {
        progress(&format!("{label}: {count} daemons start"));
        let places = site.places()?;
        let watch = Crowd::spread(Vec::new(), Vec::new(), 0)?;
        let daemons = places.iter().take(count).map(|place| start_at(place, program)).collect::<Result<_>>()?;
        Ok(Self { program, site, places, daemons, label, truth: Sums::default(), watch })
    }

    /// Waits until they know each other, and measures.
    pub(super) fn run(mut self, measure: impl FnOnce(&mut Self) -> Result<Vec<Figure>>) -> Result<Vec<Figure>> {
        let measured = self.await_nodes().and_then(|()| measure(&mut self));
        measured.map_err(|error| self.daemons.iter_mut().fold(error, |error, daemon| daemon.explain(error)))
    }

    /// One more daemon.
    pub(super) fn start_newcomer(&self) -> Result<Daemon> {
        start_at(self.places.last().ok_or("there is no place")?, self.program)
    }

    /// A crowd without members yet, which join at all daemons in turn.
    pub(super) fn crowd(&self, names: Vec<String>, part: u8) -> Result<Crowd> {
        Crowd::spread(names, self.daemons.iter().map(|daemon| daemon.audience).collect::<Vec<SocketAddr>>(), part)
    }

    /// The broker, if there is one.
    pub(super) fn broker(&mut self) -> Option<&mut Broker> {
        self.site.broker.as_mut()
    }

    pub(super) fn await_nodes(&mut self) -> Result<()> {
        let count = self.daemons.len();
        self.await_pages(&format!("a daemon does not know {count} nodes"), |page| page.nodes == count as u64)
    }

    /// Waits until what each daemon says of the cluster is so.
    pub(super) fn await_pages(&mut self, otherwise: &str, is_so: impl Fn(&ClusterPage) -> bool) -> Result<()> {
        let give_up = now() + PATIENCE;
        for (number, daemon) in self.daemons.iter().enumerate() {
            loop {
                let page = daemon.cluster_page()?;
                if is_so(&page) {
                    break;
                }
                if now() > give_up {
                    return Err(format!("{otherwise}: number {} knows {page}", number + 1).into());
                }
                self.watch.turn(PAGE_GAP)?;
            }
        }
        Ok(())
    }

    /// Waits until all stats agree with the books.
    pub(super) fn await_truth(&mut self, phase: &str) -> Result<()> {
        (0..self.daemons.len()).try_for_each(|number| self.await_truth_of(number, phase, REST))
    }

    /// Whether all stats agree with the books.
    pub(super) fn agree(&self) -> Result<bool> {
        let mut stats = self.daemons.iter().map(Daemon::stats);
        stats.try_fold(true, |all, stats| Ok(all && Sums::of(&stats?) == self.truth))
    }

    /// Waits until the join of this number is in the stats of another daemon. Where each daemon has an address, joins are at
    /// one after the other, and the next one is asked. Where the kernel picks the daemon, all are.
    pub(super) fn await_join(&mut self, number: usize) -> Result<()> {
        let count = self.daemons.len();
        let others = if self.site.is_apart() { (number + 1) % count..(number + 1) % count + 1 } else { 0..count };
        others.into_iter().try_for_each(|other| self.await_truth_of(other, "join", Duration::ZERO))
    }

    fn await_truth_of(&mut self, number: usize, phase: &str, gap: Duration) -> Result<()> {
        let give_up = now() + PATIENCE;
        loop {
            let sums = Sums::of(&self.daemons[number].stats()?);
            if sums == self.truth {
                return Ok(());
            }
            if now() > give_up {
                let number = number + 1;
                return Err(format!("{phase}: stats {number} have {sums}, and there are {}", self.truth).into());
            }
            self.watch.turn(gap)?;
        }
    }

    /// What each daemon has spent so far.
    pub(super) fn spent(&self) -> Result<Vec<Spent>> {
        self.daemons.iter().map(Spent::of).collect()
    }

    /// The most that any daemon has spent since.
    pub(super) fn most_since(&self, before: &[Spent]) -> Result<Most> {
        Most::between(before, &self.spent()?)
    }

    pub(super) fn show(&self, phase: &str) {
        progress(&format!("{}: {phase}", self.label));
    }
}

fn start_at(place: &Place, program: &Program) -> Result<Daemon> {
    Daemon::start_node(&place.host, place.audience, program, &place.options)
}
