//! What goes from node to node: out of a meter, into bytes, and into another meter.
//!
//! Owns the datagrams on their way, and what must be true of each that is sent or received.
//!
//! Invariant: each goes through its real encoding.

use super::{NAMESPACES, Node, Wanted, World};
use audience_meter::meter::Output;
use audience_meter::meter::news::{Datagram, Item, News};
use audience_meter::wire::report::{self, DATAGRAM_MAX, Scope};

/// How many datagrams may be on their way; beyond, the oldest are lost.
const IN_FLIGHT_MAX: usize = 256;

const SCOPE: Scope = Scope { id: 0, key: None };

impl World<'_> {
    /// The node takes a datagram in. Only a later claim of the same uuid may end a claim; if it is told by itself by a node
    /// that is there, it must.
    pub(super) fn receive(&mut self, index: usize, datagram: &Datagram<&str>) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(index) else { return };
        let is_there = node.meter.nodes(now).any(|other| other.node == datagram.sender);
        let beaten = node.book.beaten_by(datagram, node.meter.node());
        let received = node.meter.receive(datagram, now);
        let wanted = self.take_outputs(index);
        let is_told_alone = matches!(datagram.news, News::Claimed(_) | News::GivenUp(_));
        if is_there && received.is_ok() && is_told_alone {
            assert_eq!(wanted.farewells, beaten, "a claim ends an earlier one");
        }
        assert!(received.is_ok() || wanted.farewells.is_empty(), "what is rejected has no effect");
        assert!(wanted.counts.is_empty(), "counts are told when it is time");
        let Some(node) = self.nodes.get_mut(index) else { return };
        for member in wanted.farewells {
            assert!(beaten.contains(&member), "the claim of {member} was the later one");
            node.book.leave(member, now.tick);
        }
    }

    /// What the node wants done. Its datagrams go to the other node, and may be questions to strangers.
    pub(super) fn take_outputs(&mut self, index: usize) -> Wanted {
        let mut wanted = Wanted::default();
        let Some(node) = self.nodes.get_mut(index) else { return wanted };
        while let Some(output) = node.meter.poll_output() {
            match output {
                Output::Farewell(member) => wanted.farewells.push(member),
                Output::Message { text, .. } => node.hear(&text),
                Output::Ended(ending) => node.book.end(&ending, self.now.tick),
                Output::Count { namespace, total, skip_newest } => {
                    let told = node.meter.namespaces_from(namespace).next().filter(|(id, _)| *id == namespace);
                    let told = told.map(|(_, namespace)| (namespace.name(), namespace.total()));
                    let name = NAMESPACES.into_iter().find(|&name| told == Some((name, total)));
                    wanted.counts.push((name.expect("a namespace is told its total"), total, skip_newest));
                }
                Output::Send(datagram) => {
                    match &datagram.news {
                        News::Claimed(claim) => wanted.claim_ms = claim.time_ms,
                        News::Ask(ask) => self.strangers.iter_mut().for_each(|stranger| stranger.hear(index, ask)),
                        News::Report { items, .. } => items.iter().for_each(|item| {
                            if let Item::Count(count) = item {
                                node.book.tell(count, self.now.tick);
                            }
                        }),
                        _ => {}
                    }
                    let bytes = report::encode(&datagram, &SCOPE);
                    assert!(bytes.len() <= DATAGRAM_MAX, "a datagram is too long");
                    self.network.extend((self.born > 1).then_some((1 - index, bytes)));
                }
            }
        }
        let overflow = self.network.len().saturating_sub(IN_FLIGHT_MAX);
        self.network.drain(..overflow);
        wanted
    }

    /// A datagram out of those on their way, one of the first.
    pub(super) fn take_datagram(&mut self) -> Option<(usize, Vec<u8>)> {
        let pick = self.script.below(16);
        self.network.remove(pick.checked_rem(self.network.len())?)
    }

    pub(super) fn deliver(&mut self) {
        let datagram = self.take_datagram();
        datagram.inspect(|(to, bytes)| self.receive_bytes(*to, bytes));
    }

    /// All that was on its way arrives, in order.
    pub(super) fn flush(&mut self) {
        for (to, bytes) in std::mem::take(&mut self.network) {
            self.receive_bytes(to, &bytes);
        }
    }

    fn receive_bytes(&mut self, to: usize, bytes: &[u8]) {
        let datagram = report::decode(bytes, &SCOPE).expect("what a node sends is understood");
        self.receive(to, &datagram);
    }
}

impl Node {
    /// A message is delivered once, and not after a later one of its sender. Its namespace may be forgotten since.
    fn hear(&mut self, text: &str) {
        let words = text.strip_prefix('m').and_then(|text| text.split_once('-'));
        let Some((sender, (number, _))) = words.and_then(|(sender, text)| Some((sender, text.split_once('-')?))) else {
            assert!(text.bytes().all(|byte| byte == b'x'), "nobody has said {text}");
            return;
        };
        let number = number.parse().expect("it is a number");
        let earlier = self.heard.insert(sender.to_owned(), number);
        assert!(earlier.is_none_or(|earlier| earlier < number), "{number} of {sender} comes after {earlier:?}");
    }
}
