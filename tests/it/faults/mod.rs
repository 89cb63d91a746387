//! Clients, kernels and clocks that misbehave.
//!
//! | file | owns |
//! |---|---|
//! | `calls` | what must hold when the kernel says no |
//! | `churn` | after any churn the counts are exactly what is open |
//! | `clocks` | what must hold when a process is stopped for a while, and when clocks jump |
//! | `dead` | members whose machine vanishes without a word |
//! | `deaf` | members that never read, and clients that read nothing of a reply |
//! | `guests` | guests of a daemon whose connections may break at any time, and how many of them are left |
//! | `heads` | heads that trickle in, or never end |
//! | `logs` | what must hold when nobody reads the log |
//! | `names` | thousands of events that one client makes up |
//! | `no_room` | a full process turns joins away so that they come back, serves the others, and does not spin |
//! | `rest` | an idle daemon sleeps, a busy one forgets no deadline, and signals end it politely |
//! | `slow_readers` | clients of a side port that read their long replies slowly, or not at all |
//! | `talking` | members that keep talking, and a flood of joins and leaves |
//! | `torture` | a daemon whose every read takes a byte, whose writes are short, and whose calls fail now and then for no reason |
//! | `tunnel` | phones that lose the network for a while |
//! | `undisturbed` | what all tests of slow and hostile clients hold against |

mod calls;
mod churn;
mod clocks;
mod dead;
mod deaf;
mod guests;
mod heads;
mod logs;
mod names;
mod no_room;
mod rest;
mod slow_readers;
mod talking;
mod torture;
mod tunnel;
pub(crate) mod undisturbed;
