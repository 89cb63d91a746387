//! Many processes and many hosts that are one audience.
//!
//! | file | owns |
//! |---|---|
//! | `apart` | audiences that are not the same stay apart |
//! | `attacks` | what another user or another host may send without a key |
//! | `brokers/` | hosts that have nothing but a broker in common |
//! | `clocks` | hosts whose wall clocks are wrong |
//! | `departures` | what a process counted leaves with it |
//! | `ears` | each process is an ear of its host, and one that hangs deafens none of the others |
//! | `filtered` | a filter of packets that drops multicast over loopback |
//! | `fleets` | very many nodes that come, count and go, beside running processes |
//! | `folding` | fleets whose processes come and go for so long that the oldest are folded |
//! | `forgotten` | what some nodes have forgotten counts again when it has gone on at others |
//! | `golden` | datagrams of each version, as they were written when it was new |
//! | `healing/` | what heals, and how long it takes: the table of the manual |
//! | `group` | meters in one multicast group, on a virtual clock |
//! | `hosts` | many hosts, one audience |
//! | `interfaces` | interfaces that are made anew again and again |
//! | `ipv6` | groups of IPv6 |
//! | `last_words` | hosts that end together report each event once |
//! | `messages` | messages are received by all, in order, and their answers say so |
//! | `meters/` | one meter among invented nodes: what it believes, counts, announces and asks for |
//! | `names` | hosts that are listed by a name are followed |
//! | `page` | the page `/cluster` |
//! | `people` | different people over several processes |
//! | `peers` | hosts that list each other: all addresses of a name, and the siblings of the process that receives |
//! | `reach` | different people at many nodes, on a virtual clock and a bad network |
//! | `reunion` | nodes that meet again after all have taken each other for departed |
//! | `rotation` | a key is replaced while all nodes run |
//! | `scopes` | audiences on one network that are not the same stay apart |
//! | `scraped` | what a Prometheus adds up of two hosts is right, through restarts |
//! | `shared_key` | the processes of one user share a key for the loopback bus |
//! | `siblings` | processes that share a port and are one audience, on one host, over the loopback bus |
//! | `simulation` | the cluster on a virtual clock and a bad network |
//! | `strangers` | what strangers put on the bus is dropped, counted by reason, and changes nothing |
//! | `succession` | persons with uuids who move between nodes that keep their places (`--leave-delay`) |
//! | `totals` | processes that share a port tell the same truth |
//! | `traffic` | what messages cost on the bus, by the number of nodes |
//! | `troubles` | what makes a total wrong or doubtful is said |
//! | `uuids` | of one uuid exactly one member stays, whichever process each claim comes to |

mod apart;
mod attacks;
mod brokers;
mod clocks;
mod departures;
mod ears;
mod filtered;
mod fleets;
mod folding;
mod forgotten;
mod golden;
mod group;
mod healing;
mod hosts;
mod interfaces;
mod ipv6;
mod last_words;
mod messages;
mod meters;
mod names;
mod page;
mod peers;
mod people;
mod reach;
mod reunion;
mod rotation;
mod scopes;
mod scraped;
mod shared_key;
mod siblings;
mod simulation;
mod strangers;
mod succession;
mod totals;
mod traffic;
mod troubles;
mod uuids;
