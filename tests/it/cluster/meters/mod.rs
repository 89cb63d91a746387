//! One meter among invented nodes, in a world where the test says what each of them announces.
//!
//! Owns the scene: one node of a world whose datagrams reach no other, and the first words of the invented nodes. The
//! observer of the world compares the meter with its book after each step, as in the simulation.
//!
//! | file | owns |
//! |---|---|
//! | `accounting` | what an event comes to, with the shares that other nodes announce |
//! | `announcing` | what is announced, and for how long changes are gathered before |
//! | `departures` | how the share of a departed node leaves the counts |
//! | `folding` | what becomes of departed nodes that are folded, and of nodes that live though they are |
//! | `forgetting` | when an empty namespace is forgotten |
//! | `messages` | what is confirmed of messages, what waits, and when none is announced |
//! | `missed` | what a meter asks for after it has missed something |
//! | `presence` | which nodes are believed to be there |
//! | `silence` | when a silent node is taken for gone |

mod accounting;
mod announcing;
mod departures;
mod folding;
mod forgetting;
mod messages;
mod missed;
mod presence;
mod silence;

use std::time::Duration;

use audience_kit::world::{Setting, World};
use audience_meter::collections::tick::{Now, Tick};
use audience_meter::meter::news::{
    Age, Alive, Ask, Count, Datagram, Echo, Farewell, Format, Item, News, NodeId, Peak, Sums,
};
use audience_meter::meter::{ClusterRules, MemberId, Meter, Output, Rejection, promise_of};
use audience_meter::wire::report::FORMATS;

/// The name of the node whose meter is looked at: the first of a world without chance.
const HERE: NodeId = NodeId(1);

/// The invented node that speaks in most scenes.
const PEER: NodeId = NodeId(7);

/// How an invented node says goodbye.
const BYE: News<&str> = News::Bye(Farewell([0; 2]));

/// The only node of a world that is no invention.
struct Scene {
    world: World,
}

/// Seconds, as the options give them.
fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A meter that knows no way to other nodes.
fn lone() -> Scene {
    Scene::new(|setting| setting.cluster = None)
}

/// A meter that announces to other nodes.
fn clustered() -> Scene {
    Scene::new(|_| {})
}

fn clustered_with(rules: ClusterRules) -> Scene {
    Scene::new(|setting| setting.cluster = Some(rules))
}

impl Scene {
    fn new(change: impl FnOnce(&mut Setting)) -> Self {
        let mut setting = Setting {
            cluster: Some(ClusterRules::default()),
            names: vec!["a", "b", "c", "d"],
            keeps_outputs: true,
            ..Setting::one_node()
        };
        change(&mut setting);
        let mut scene = Self { world: World::new(setting) };
        scene.wake();
        scene.outputs();
        scene
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.world.node(0).meter
    }

    fn now(&self) -> Now {
        self.world.now(0)
    }

    fn join(&mut self, name: &'static str) -> MemberId {
        self.world.step(0, |node, now| node.join(name, None, true, now));
        self.world.node(0).newest_member().expect("it has joined")
    }

    fn join_uncounted(&mut self, name: &'static str) -> MemberId {
        self.world.step(0, |node, now| node.join(name, None, false, now));
        self.world.node(0).newest_member().expect("it has joined")
    }

    fn count(&mut self, member: MemberId) {
        self.world.step(0, |node, now| node.count(member, now));
    }

    fn leave(&mut self, member: MemberId) {
        self.world.step(0, |node, now| node.leave(member, now));
    }

    fn wake(&mut self) {
        self.world.wake(0, true);
    }

    /// Whether the meter asks to be woken in this very tick.
    fn is_due(&mut self) -> bool {
        let now = self.now().tick;
        self.meter().poll_timeout().is_some_and(|due| due <= now)
    }

    /// What the meter has wanted done, and no test has looked at yet.
    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.world.node(0).next_output()).collect()
    }

    /// Passes time, of which the meter sees each tick that it asks for; returns all that it wants done.
    fn pass(&mut self, seconds: f64) -> Vec<Output> {
        let Tick(ticks) = Tick(0).after(s(seconds));
        self.pass_ticks(ticks)
    }

    fn pass_ticks(&mut self, ticks: u64) -> Vec<Output> {
        self.wake();
        self.world.pass(ticks);
        self.outputs()
    }

    /// What the meter announces within this time, but for what it says of people.
    fn announced(&mut self, seconds: f64) -> Vec<News<std::rc::Rc<str>>> {
        let sent = |output| if let Output::Send(_, datagram) = output { Some(datagram.news) } else { None };
        let mut announced: Vec<_> = self.pass(seconds).into_iter().filter_map(sent).collect();
        for news in &mut announced {
            if let News::Report { items, .. } = news {
                items.retain(|item| !matches!(item, Item::Census(_)));
            }
        }
        announced
    }

    /// A datagram of this node comes.
    fn receive_from(&mut self, sender: NodeId, number: u64, news: News<&str>) -> Result<(), Rejection> {
        let now = self.now().tick;
        self.receive_sent_by(sender, number, now, news)
    }

    /// The same, of a datagram that was sent at this time of the sender's clock.
    fn receive_sent_by(
        &mut self,
        sender: NodeId,
        number: u64,
        sent_at: Tick,
        news: News<&str>,
    ) -> Result<(), Rejection> {
        // Each sign of life promises the one goodbye.
        let promise = promise_of(Farewell([0; 2]));
        let news = if let News::Alive(alive) = news { News::Alive(Alive { promise, ..alive }) } else { news };
        let format = Format { written: FORMATS.oldest, newest: FORMATS.newest };
        self.world.receive_from_stranger(0, &Datagram { sender, number, clock: sent_at.0, format, news })
    }

    /// A datagram of the peer comes, and is taken.
    fn receive(&mut self, number: u64, news: News<&str>) {
        assert_eq!(self.receive_from(PEER, number, news), Ok(()));
    }

    /// The peer shows that it is there, answers the question that it is asked, and is believed. That takes two datagrams.
    fn meet(&mut self, number: u64) {
        self.meet_as(number, Alive::default());
    }

    /// The same, with this sign of life.
    fn meet_as(&mut self, number: u64, alive: Alive) {
        assert_eq!(self.knock_as(number, alive), Ok(()));
    }

    /// The peer answers the question that it is asked, and may be believed or not.
    fn knock(&mut self, number: u64) {
        assert_eq!(self.knock_as(number, Alive::default()), Err(Rejection::Unproven));
    }

    fn knock_as(&mut self, number: u64, alive: Alive) -> Result<(), Rejection> {
        assert_eq!(self.receive_from(PEER, number, News::Alive(alive)), Err(Rejection::Unproven));
        let echo = self.asked().map(|ask| Echo { asker: HERE, nonce: ask.nonce });
        self.receive_from(PEER, number + 1, News::Alive(Alive { echo, ..alive }))
    }

    /// Another node than the peer is believed to be there.
    fn meet_node(&mut self, node: NodeId) {
        for number in 1..3 {
            let echo = self.asked_of(node).map(|ask| Echo { asker: HERE, nonce: ask.nonce });
            assert_eq!(echo.is_some(), number == 2, "a node that is new is asked");
            let alive = News::Alive(Alive { echo, ..Alive::default() });
            let is_believed = self.receive_from(node, number, alive).is_ok();
            assert_eq!(is_believed, number == 2);
            self.wake();
        }
    }

    /// The next question to the peer.
    fn asked(&mut self) -> Option<Ask> {
        self.asked_of(PEER)
    }

    fn asked_of(&mut self, node: NodeId) -> Option<Ask> {
        std::iter::from_fn(|| self.world.node(0).next_output()).find_map(|output| match output {
            Output::Send(_, Datagram { news: News::Ask(ask), .. }) if ask.of == Some(node) => Some(ask),
            _ => None,
        })
    }

    /// The number of other nodes that are believed to be there.
    fn node_count(&mut self) -> usize {
        let now = self.now();
        self.meter().nodes(now).count()
    }

    /// The totals of all namespaces, in the order in which they began.
    fn totals(&mut self) -> Vec<u64> {
        self.meter().namespaces().iter().map(|(_, namespace)| namespace.total()).collect()
    }

    /// The total of a namespace, and the number of connections that it ever had.
    fn members(&mut self, name: &str) -> Option<(u64, u64)> {
        let id = self.meter().find(name)?;
        let namespace = self.meter().namespaces().get(id)?;
        Some((namespace.total(), namespace.connections()))
    }

    fn uncounted(&mut self, name: &str) -> u64 {
        let Some(id) = self.meter().find(name) else { return 0 };
        self.meter().namespaces().get(id).map_or(0, audience_meter::meter::Namespace::uncounted)
    }
}

/// A share of this many members, of 5 that ever came.
fn count(namespace: &str, members: u32, age: Age) -> Count<&str> {
    let sums = Sums { connections: 5, ..Sums::default() };
    Count { namespace, members, uncounted: 1, waiting: 0, sums, age, peak: Peak::default() }
}

/// The peer has this many members in each of the namespaces.
fn counts<'a>(names: &[&'a str], members: u32) -> News<&'a str> {
    let item = |&namespace| Item::Count(count(namespace, members, Age::default()));
    News::Report { from: 0, to: 9, horizon: 0, name: 0, items: names.iter().map(item).collect() }
}

/// The peer's share of one namespace has changed between these versions.
fn report_of(versions: (u64, u64), horizon: u64, name: &str, members: u32) -> News<&str> {
    let (from, to) = versions;
    News::Report { from, to, horizon, name: 0, items: vec![Item::Count(count(name, members, Age::default()))] }
}
