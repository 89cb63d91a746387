//! Audience Meter counts the people at a live event and shows the number in their page, exactly and at once.
//!
//! This is a program. Install it with `cargo install --locked --path .` in a clone of the repository, run it with
//! `audience-meter --port 8000`, and open <http://localhost:8080/test> in two browser windows. `audience-meter -h` prints
//! the common options. The [manual] is how to use it, page by page: [in a page](manual::pages), [signed
//! addresses](manual::joining), [behind a proxy](manual::proxies), [monitoring](manual::monitoring),
//! [operating](manual::operating), [several hosts](manual::cluster), [limits](manual::limits), [under
//! fault](manual::faults), [changes](manual::changes).
//!
//! The library is the inside of the program and promises no stable API. The rest of this page is its architecture: where
//! things are, what they may know of each other, and what never happens.
//!
//! # Bird's eye
//!
//! One process, one thread, one loop over epoll; no async runtime, no locks. A folder is a floor, and a floor imports only
//! from the floors below it (`tests/it/house` reads the sources and fails on an import that runs up):
//!
//! | floor | folder | what it is | what it never names |
//! |---|---|---|---|
//! | 4 | [`server`] | joins the floors: turn, ports, connections, answers, bus | |
//! | 3 | [`reactor`] | the kernel and the clock | namespaces, members, HTTP |
//! | 2 | [`wire`] | bytes to values and back | sockets, time, the audience |
//! | 1 | [`meter`] | the audience: members of each event, and when to push their count | sockets, bytes, a clock |
//! | 0 | [`collections`] | keys, slab, index list, timer wheel, ticks | everything else |
//!
//! Imports inside a floor run one way, too. The head of `server` and of [`meter`] says which, and no files import each other
//! in a circle.
//!
//! Beside the floors:
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | turns arguments into validated settings |
//! | [`supervisor`] | looks after several such processes (`-w`) |
//! | [`log`] | the only place that prints |
//! | [`probe`] | asks a process that runs whether it is alive or ready |
//! | [`reports`] | the only place that writes to a file |
//! | [`service`] | says to a service manager how the service is |
//! | [`manual`] | how to use the daemon, page by page |
//!
//! Floors 0 to 2 are pure. Time is an argument to them and bytes are slices, so unit tests, fuzzers and simulations drive
//! the very code that runs in the daemon.
//!
//! # One turn
//!
//! `wait -> dispatch -> expire -> push -> reap` (`server::turn`). The clock is read after the wait, and that moment is the
//! turn's: it is passed down. A second reading at the end measures how long the turn was, for `/process`. Deadlines round up
//! to ticks of 10 ms and now rounds down, so nothing fires early.
//!
//! Every loop within a turn has a budget, a named constant whose comment carries its arithmetic: accepts, reads, events,
//! pushes. Together they stay below 5 ms, and tables grow in small steps ([`collections::slab`], [`collections::shards`]), so
//! no client waits for a crowd elsewhere.
//!
//! # The path of a join
//!
//! | step | where |
//! |---|---|
//! | the listener is ready | [`reactor::Reactor::wait`], `server::turn` |
//! | `accept4`, unless the port is full | `server::ports::listeners`, `server::ports::capacity` |
//! | a slot, a deadline, and one read at once: a browser's head is usually there already | `server::conns` |
//! | a PROXY head is taken off, if a trusted proxy sends one | `server::conns::origins` |
//! | the head is parsed, or its end is looked for as it comes | [`wire::session::Session::feed`] |
//! | the request has a port and a route | `server::answers` |
//! | the event may have its name, and the site has signed the address | `server::answers`, [`wire::signature`] |
//! | the member is counted, unless its address has too many, and its person once | `server::audience`, [`meter::Meter::join`], [`meter::People`] |
//! | head, `retry:` and first count leave in one write | `server::conns` |
//!
//! From then on the connection is a slot in a table, a timer and a link in its namespace's list.
//!
//! Leaving has one road: a connection is marked with a reason, and `reap` frees it at the end of the turn and calls
//! [`meter::Meter::leave`]. A newer claim of the same uuid takes the older member off the count at once, or the first count
//! of the newer would not be true; the later leaving then changes nothing.
//!
//! # The path of a count
//!
//! A change makes the namespace due: at once after quiet, else when `--notify-min-delay` has passed.
//! [`meter::Meter::handle_timeout`] decides, `poll_output` hands out a count, and its frame is built once. The fan-out
//! (`server::audience`) walks along the members, a slice per turn, newest first. A member that does not keep up gets an
//! outbox ([`wire::outbox`]), in which counts conflate: it gets the newest one when its socket takes bytes again.
//!
//! Watchers of many namespaces get updates in rounds, one a second ([`meter::watches`]). A round takes over the totals that
//! have changed, and each watcher gets those that match its patterns. A watcher costs its patterns and a slot; without
//! watchers, a change costs a branch.
//!
//! # The path of a datagram
//!
//! A node is a process. The kernel spreads connections over the processes of a host (`SO_REUSEPORT`), so each node counts its
//! own members and announces absolute counts. Every total is the own count plus the last announced counts of the living
//! peers. `server::bus` carries the datagrams: multicast on loopback always, and multicast on the network, a
//! message broker ([`wire::broker`]) or unicast to named hosts beside it. A process of the same program looks names up, and the loop
//! reads its answer, so no turn waits for a name server. Where a filter drops multicast on loopback, `server::siblings` finds the processes of the host by the names
//! of their sockets, and streams carry the same bytes.
//! `server::keyring` has the keys that seal them. [`wire::report`] is their bytes, [`meter::news`] their values, and
//! `meter::cluster` the conversation, which is pure.
//!
//! A node's own counts are a journal: each change gets the next version, and an item lies at its last change. A report says
//! "all that changed after version `from`, up to `to`, as it is now". Signs of life carry the last version that was
//! announced; a peer that has received less asks for the rest and gets that stretch. So a loss heals within moments, whatever
//! the size of the table. A newcomer is the same case with `from` 0, and what is quiet is never sent again.
//!
//! Frequent changes are gathered, for longer the more nodes there are, so that all nodes together announce 200 times a second
//! at most. Repairs have a pace, which falls by half in each turn in which others repeat much, or in which this node does not
//! keep up with what comes in. (A slow sweep over the table was the other way to heal losses. It is simpler, but with 100,000 names it takes the
//! better part of a minute at the rate that its traffic may have, and it never rests.)
//!
//! A node that is new to another, or was taken for departed, counts once it has repeated a number drawn for it: recorded
//! datagrams of a dead node stay without effect. Nothing is kept of a node until then. The number is a keyed hash of
//! the node, its address and the time, so it can be checked without having been kept; and no answer is longer than its
//! question. A number of a datagram that is out of all order takes a proof, too, and a goodbye takes the secret whose
//! hash the node has promised in its answers. A host that is not listed is sent to once its address has returned such a
//! number.
//!
//! The scope of a datagram names the audience, and a seal covers it: on loopback the address and port, on the network
//! the way, the group and the name. The processes of one user share a key for loopback (`server::keyring`). The format
//! has versions ([`wire::report`]), and what a later one adds is skipped, so nodes of different versions count together.
//! The conditions that make a total wrong are the business of `server::troubles`.
//!
//! The departed node's sums are kept by the survivors, announced under its
//! name, and merged as maxima; a digest in the signs of life shows any difference. It is not looked at while departed nodes come
//! back, for then no two nodes know the same. An empty namespace travels with its age, so
//! that announcing it does not keep it alive.
//!
//! Of more than 1,024 departed nodes the oldest are folded (`meter::cluster::fold`): one sum per namespace, and the list of
//! their names. Lists merge by union. Sums are comparable between equal lists only, and there the larger stands. The lowest
//! living node folds, while all living nodes know the same of departed ones, and keeps the 512 youngest: what only one side of
//! a cut knows does not become part of a sum, which cannot be taken apart. (Sums without a list were the other way. Two sides that fold
//! apart would count some nodes twice.)
//!
//! With its count a node announces the time that its members have been there, all of them together. That time grows by
//! itself, and is announced only when something changes: peers know it at any moment by the node's own clock, which comes with
//! each datagram. For a departed node it ends at the node's last datagram, by that clock, and so is the same at all peers.
//!
//! A node's counters of itself (`server::figures`) go with its signs of life, every few seconds, and at once when a node has
//! come. So any process answers a scrape of the shared stats port for all processes of its host, each under a number that is
//! claimed in the kernel. Its own counters in that answer are the announced ones, or a counter would seem to
//! fall where another process answers next. They travel with numbers that stand for one thing for ever, so programs that count
//! more and fewer things are on each other's page.
//!
//! What is forgotten leaves the journal, and is announced before. Signs of life carry the version up to which something is no
//! longer announced. A peer that is behind this horizon cannot be repaired: it drops the node and asks for everything.
//!
//! An event that is over is reported by the first node of an order that all nodes come to by themselves. The report is an item
//! of that node's journal for some seconds, so it is repaired like all news. Each further node waits a turn longer for it, and reports
//! if none has come (`meter::accounts::ending`).
//!
//! The different people of an event are a set of hashes, or a sketch of one, which merge whatever was lost or doubled
//! (`meter::census`). A node announces what is new with its counts, and asks for all there is when it has missed more. So a node
//! that departs takes no people with it.
//!
//! What happened long ago or elsewhere travels as an age, and no date does: the wall clock of a host decides what its own pages
//! show. It decides one thing more: which of two keys is the older that two nodes have drawn for the people of one event. Claims
//! of uuids are numbered, each with one more than the largest number that its node knows of; the larger number stands, and of
//! two equal ones that of the larger node. Claims are journalled.
//!
//! Where places are kept (`--leave-delay`), each node knows the claims of all counted members (`meter::book::estates`), and when
//! they are over. A member that comes back anywhere continues the claim that it had. Its node counts it, the one before counts
//! it no more when it learns of that, and until then all nodes know that it is in two counts (`meter::book::succession`). When a node has departed, its
//! claims are counted for the delay, and the node with the least name adopts them: it counts them itself, so newcomers know of
//! them. (Every node could go on to count them for itself; then a process that has just been started, as in a rolling
//! restart, would have less than all others.)
//!
//! Messages are numbered by their sender and put in order by the receiver. Each node confirms a message when it has handed it to
//! the fan-out of its members; the sender sends it again until all living nodes have, for a second at most, and only then is
//! the request answered. That gives the order, too: a program that waits for its answer says its next message at a node
//! that has handed on the one before, and so have all others.
//!
//! # The workers of a supervisor
//!
//! A supervisor (`-w`) and each worker have a channel ([`wire::handover`]), the worker's standard input. Down it comes what is
//! handed on: the sockets of the ports, by inherited descriptors, the content of files with secrets, and the addresses of
//! peers. So a replacement needs no privilege for its ports, no name server and no file, and it finds the queue of its
//! predecessor. Up it come beats, or the reason for an early end.
//!
//! # What is handed over
//!
//! A meter is written as a table ([`wire::table`]), and another program that reads it goes on as the same node: with its
//! members under their keys, its journal and versions, its secret, what other nodes have announced, and all deadlines. The clock
//! goes on, too, so a tick stays what it was. Each structure writes and reads itself beside its fields, in sections
//! ([`collections::sections`]). What follows from other values is not written: links, and what is looked up by a key or a name. So a table that is
//! read has no loose ends, or is refused. In the simulation, nodes hand themselves over in any weather.
//!
//! # The end of a process
//!
//! On a signal a process goes deaf first (`server::shutdown::drain`): the kernel drops new connection attempts, whose repeats
//! a second later reach a sibling. Connections that had come in by then are served. All streams are let go over
//! `--drain-delay`, by the one road of leaving. Then the node repeats its goodbye until the others have answered. One that goes on
//! is answerable for its events from then on; of nodes that all depart, the one with the least name reports.
//!
//! # Under torture
//!
//! All calls that accept, read and write connections of clients are in one file, `server::conns::torture`. With
//! `--torture <seed>` it makes the worst of them: reads of a byte, short writes, failures without a cause. So the
//! integration tests show on any machine what otherwise only a busy one with slow peers would.
//!
//! # Invariants, as absences
//!
//! - Nothing but `reap` frees a connection; so no event of a turn meets a stranger under an old key.
//! - Nothing but `reactor::clock` reads a clock. (The processor time of turns is none.) Nothing sleeps.
//! - Nothing calls up: the meter and the sessions return values, and the server acts on them.
//! - No member costs more than a constant, whatever it or other members do: an outbox holds one frame in flight, the latest
//!   count and a few shared messages.
//! - No peer can make a loop run longer than its budget, and none can make the process panic. Asserts guard our own books;
//!   what comes from outside is judged and answered.
//! - No wake-up without a reason: a quiet audience costs a wait that does not return. (A worker beats for its supervisor
//!   once a second, and a process in a group on the network renews its membership every two seconds.)
//! - No worker outlives its supervisor, not if either is killed or hangs.
//! - `unsafe` is in `reactor/sys.rs` and `reactor/registered.rs` alone, a promise above each block.
//! - No count is announced as a difference, and no node announces a received count as its own.
//! - Nothing is done when a minute ends: the rows of quiet minutes are made when a reader asks for them.
//! - No line of the log is waited for: a line that cannot be written at once is counted, and the number is logged later.
//! - After the start two files are read: that of the cluster's keys when it has changed, and that of the credentials when the
//!   broker refuses them. Pages and scripts are part of the program. (A supervisor reads files with secrets again before it starts a worker.)

#[cfg(not(target_os = "linux"))]
compile_error!("Audience Meter runs on Linux, for it needs epoll(7) and /proc: build it there, or for a container");

pub mod collections;
pub mod config;
pub mod log;
pub mod manual;
pub mod meter;
pub mod probe;
pub mod reactor;
pub mod reports;
pub mod server;
pub mod service;
pub mod supervisor;
pub mod wire;
