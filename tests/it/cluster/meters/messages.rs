//! What a meter confirms of messages, what it waits for, and when it announces none.

use super::*;
use audience_meter::meter::news::{MessageId, MessagePart, Origin, Receipt, To};

/// Another node that is met.
const OTHER: NodeId = NodeId(8);

/// A receipt of the peer for all parts up to this number, but these.
fn received(up_to: u64, lost: &[u64], is_behind: bool) -> News<&'static str> {
    News::Received { is_behind, receipts: vec![Receipt { sender: HERE, from: 0, up_to, lost: lost.to_vec() }] }
}

fn message(number: u64) -> News<&'static str> {
    News::Message(MessagePart { number, namespace: "a", text: "x", begins: true, continues: false })
}

impl Scene {
    /// A message is announced. The outputs are those of the announcement.
    fn say(&mut self) {
        self.world.step(0, |node, now| node.say("a", "x", now));
    }

    fn has_room(&mut self) -> bool {
        let now = self.now();
        self.meter().mail(now).has_room()
    }

    /// The messages that are settled in this time, and of how many nodes each is not confirmed.
    fn settled(&mut self, seconds: f64) -> Vec<(u64, usize)> {
        let settled = |output| match output {
            Output::Settled { number, unconfirmed } => Some((number, unconfirmed)),
            _ => None,
        };
        self.pass(seconds).into_iter().filter_map(settled).collect()
    }
}

#[test]
fn a_message_is_settled_by_the_nodes_that_were_there_when_it_was_announced() {
    let mut scene = clustered();
    scene.say();
    assert_eq!(scene.settled(2.0), [], "no other node is there");
    scene.meet(1);
    scene.say();
    scene.meet_node(OTHER);
    scene.receive(3, received(2, &[], false));
    assert_eq!(scene.settled(0.0), [(2, 0)], "one that came later is not waited for");
    scene.say();
    scene.receive(4, received(3, &[3], false));
    assert_eq!(scene.settled(0.5), []);
    assert_eq!(scene.settled(0.6), [(3, 2)], "one has lost it, and the other says nothing");
    scene.say();
    assert_eq!(scene.receive_from(OTHER, 3, BYE), Ok(()));
    scene.receive(5, received(4, &[3], false));
    assert_eq!(scene.settled(0.0), [(4, 0)], "one that has departed is not waited for");
}

#[test]
fn a_message_is_sent_again_until_it_is_confirmed() {
    let copies =
        |news: Vec<News<std::rc::Rc<str>>>| news.iter().filter(|news| matches!(news, News::Message(_))).count();
    let mut scene = clustered();
    scene.meet(1);
    scene.outputs();
    scene.say();
    assert_eq!(copies(scene.announced(0.25)), 4, "at once, and after 50, 100 and 200 ms");
    scene.receive(3, received(1, &[], false));
    assert_eq!(copies(scene.announced(2.0)), 0);
    scene.say();
    assert_eq!(copies(scene.announced(2.0)), 11);
}

#[test]
fn a_receipt_goes_back_to_the_sender_once_the_message_was_handed_on() {
    let mut scene = clustered();
    scene.meet(1);
    scene.pass(0.1);
    scene.receive(3, message(1));
    let outputs = scene.pass(0.0);
    let is_message =
        |output: &Output| matches!(output, Output::Message { id: MessageId { sender: PEER, number: 1 }, .. });
    assert!(outputs.iter().any(is_message), "{outputs:?}");
    let receipts = |outputs: Vec<Output>| {
        let receipt = |output| match output {
            Output::Send(to, Datagram { news: News::Received { receipts, .. }, .. }) => Some((to, receipts)),
            _ => None,
        };
        outputs.into_iter().filter_map(receipt).collect::<Vec<_>>()
    };
    let receipt = Receipt { sender: PEER, from: 0, up_to: 1, lost: vec![] };
    let expected = vec![(To::Origin(Origin::Loopback), vec![receipt])];
    assert_eq!(receipts(outputs), expected);
    assert_eq!(receipts(scene.pass(1.0)), [], "it is not repeated by itself");
    scene.receive(4, message(1));
    assert_eq!(receipts(scene.pass(0.0)), expected, "the sender has not received it");
}

#[test]
fn an_event_that_is_new_is_announced_before_a_message_to_it_is_confirmed() {
    let mut scene = clustered();
    scene.meet(1);
    scene.pass(0.1);
    scene.join("b");
    scene.pass(0.01);
    // This one begins while changes are gathered.
    scene.join("a");
    assert!(scene.announced(0.0).iter().all(|news| !matches!(news, News::Report { .. })));
    scene.receive(3, message(1));
    let announced = scene.announced(0.0);
    let place = |is_it: fn(&News<std::rc::Rc<str>>) -> bool| announced.iter().position(is_it);
    let (report, receipt) = (
        place(|news| matches!(news, News::Report { items, .. } if items.len() == 1)),
        place(|news| matches!(news, News::Received { .. })),
    );
    assert!(report.is_some() && report < receipt, "{announced:?}");
}

#[test]
fn no_message_is_announced_while_a_node_that_is_there_says_that_it_is_behind() {
    let mut scene = clustered();
    scene.meet(1);
    scene.meet_node(OTHER);
    assert!(scene.has_room());
    scene.receive(3, received(0, &[], true));
    assert!(!scene.has_room());
    // An older datagram changes nothing, and any later sign of life does.
    scene.receive(5, News::Alive(Alive { is_behind: true, ..Alive::default() }));
    scene.receive(4, News::Alive(Alive::default()));
    assert!(!scene.has_room());
    scene.receive(6, News::Alive(Alive::default()));
    assert!(scene.has_room());
    assert_eq!(scene.receive_from(OTHER, 3, News::Alive(Alive { is_behind: true, ..Alive::default() })), Ok(()));
    assert!(!scene.has_room());
    assert_eq!(scene.receive_from(OTHER, 4, BYE), Ok(()));
    assert!(scene.has_room());
}

#[test]
fn a_node_that_falls_behind_says_so_at_once_and_again_when_it_has_caught_up() {
    let mut scene = clustered();
    scene.meet(1);
    scene.pass(1.0);
    for is_behind in [true, false] {
        let now = scene.now();
        scene.meter().mail(now).set_behind(is_behind);
        assert!(scene.is_due());
        let said = |news: &News<std::rc::Rc<str>>| match news {
            News::Alive(alive) => Some(alive.is_behind),
            _ => None,
        };
        let said: Vec<bool> = scene.announced(0.2).iter().filter_map(said).collect();
        assert!(said.len() >= 3 && said.iter().all(|&said| said == is_behind), "{said:?}");
        scene.pass(1.0);
    }
}

#[test]
fn no_more_messages_are_announced_than_may_wait() {
    let mut scene = clustered();
    scene.meet(1);
    let mut count = 0;
    while scene.has_room() {
        scene.say();
        count += 1;
    }
    assert_eq!(count, 128);
    scene.receive(3, received(1, &[], false));
    assert!(scene.has_room());
}
