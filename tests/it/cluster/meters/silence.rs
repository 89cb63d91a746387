//! When a meter takes a silent node for gone, and what it does before.

use super::*;
use audience_kit::world::Kind;

/// The ticks of the node timeout.
const TIMEOUT: u64 = 500;

impl Scene {
    /// A sign of life of the peer comes that was sent at this time of its clock.
    fn receive_sent_at(&mut self, number: u64, sent_at: Tick, alive: Alive) {
        assert_eq!(self.receive_sent_by(PEER, number, sent_at, News::Alive(alive)), Ok(()));
    }

    /// When questions to the peer are sent within this number of ticks, from now on.
    fn asked_at(&mut self, ticks: u64) -> Vec<u64> {
        let begun = self.now().tick.0;
        let mut asked = Vec::new();
        while self.now().tick.0 < begun + ticks {
            self.world.pass(1);
            let at = self.now().tick.0 - begun;
            asked.extend(std::iter::from_fn(|| self.asked()).map(|_| at));
        }
        asked
    }
}

/// A meter of a host among others: what is invented comes by unicast.
fn on_a_host() -> Scene {
    Scene::new(|setting| setting.network = Kind::Hosts { is_one_way: false })
}

#[test]
fn a_recording_of_a_dead_node_does_not_show_that_it_is_there() {
    let mut scene = clustered();
    scene.meet(1);
    let recorded_at = scene.now().tick;
    scene.pass(3.0);
    scene.receive_sent_at(3, recorded_at, Alive::default());
    scene.pass(3.0);
    scene.outputs();
    scene.receive_sent_at(4, recorded_at, Alive::default());
    assert!(scene.asked().is_some_and(|ask| ask.nonce != 0), "it is asked whether it is there");
    assert_eq!(scene.node_count(), 1);
    scene.pass(2.1);
    assert_eq!((scene.node_count(), scene.meter().lost_node_count()), (0, 1));
}

#[test]
fn a_node_whose_clock_has_stood_still_stays() {
    let mut scene = clustered();
    scene.meet(1);
    let behind = |scene: &mut Scene| Tick(scene.now().tick.0 - 2 * TIMEOUT);
    scene.pass(1.0);
    scene.outputs();
    let sent_at = behind(&mut scene);
    scene.receive_sent_at(3, sent_at, Alive::default());
    let echo = scene.asked().map(|ask| Echo { asker: HERE, nonce: ask.nonce });
    scene.receive_sent_at(4, sent_at, Alive { echo, ..Alive::default() });
    for number in 5..15 {
        scene.pass(2.0);
        let sent_at = behind(&mut scene);
        scene.receive_sent_at(number, sent_at, Alive::default());
        assert!(scene.asked().is_none(), "its clock is known");
    }
    assert_eq!((scene.node_count(), scene.meter().lost_node_count()), (1, 0));
}

#[test]
fn a_process_that_was_stopped_waits_for_fresh_signs_of_life() {
    for is_alive in [true, false] {
        let mut scene = clustered();
        scene.meet(1);
        let met_at = scene.now().tick;
        scene.world.stop(0, 3 * TIMEOUT);
        // The first of those that wait in its receive buffer; the later ones did not fit.
        scene.receive_sent_at(3, met_at, Alive::default());
        scene.wake();
        assert_eq!(scene.node_count(), 1);
        scene.pass(0.9);
        assert_eq!(scene.node_count(), 1, "two heartbeats are not over");
        if is_alive {
            let now = scene.now().tick;
            scene.receive_sent_at(40, now, Alive::default());
        }
        scene.pass(0.2);
        assert_eq!(scene.node_count(), usize::from(is_alive));
    }
}

#[test]
fn a_node_of_another_host_is_asked_before_it_is_taken_for_gone() {
    let mut scene = on_a_host();
    scene.meet(1);
    scene.outputs();
    let asked_at = scene.asked_at(TIMEOUT);
    assert_eq!(asked_at.len(), 8, "{asked_at:?}");
    assert!(asked_at[0] > TIMEOUT / 2 && asked_at.windows(2).all(|two| two[1] - two[0] == 33), "{asked_at:?}");
    assert_eq!(scene.node_count(), 1);
    scene.receive(3, News::Alive(Alive::default()));
    assert_eq!(scene.asked_at(TIMEOUT).len(), 8, "the next silence");
    scene.pass_ticks(2);
    assert_eq!((scene.node_count(), scene.meter().lost_node_count()), (0, 1));
    assert!(scene.asked().is_none());
}

#[test]
fn a_node_that_all_processes_of_a_host_receive_is_not_asked() {
    let mut scene = clustered();
    scene.meet(1);
    scene.outputs();
    assert_eq!(scene.asked_at(TIMEOUT), [0; 0]);
}
