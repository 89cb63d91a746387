//! The audience port and those who listen at it: heads, refusals, streams, limits, watchers.
//!
//! | file | owns |
//! |---|---|
//! | `bare_heads` | `HEAD`: the head that `GET` would get |
//! | `counts` | when a count is pushed |
//! | `deaf_watchers` | watchers that do not take what is pushed, and too many of them |
//! | `http` | the audience port, one request at a time |
//! | `limits` | how much of everything there may be, and what is answered past it |
//! | `members` | the number of an event without a stream |
//! | `names` | names in several spellings |
//! | `patience` | members whose streams are lost, and how pages leave (`--leave-delay`) |
//! | `refused` | what the audience port refuses |
//! | `rfc9112` | what is no HTTP/1.1 request, and what is one however odd it looks |
//! | `signed` | addresses that a site signs, and the names that events may have |
//! | `stream` | what a member hears |
//! | `uuids` | members with a uuid, and members that are counted later (`--increment-delay`) |
//! | `watcher` | a watcher |
//! | `watching` | listening without being counted |

mod bare_heads;
mod counts;
mod deaf_watchers;
mod http;
mod limits;
mod members;
mod names;
mod patience;
mod refused;
mod rfc9112;
mod signed;
mod stream;
mod uuids;
mod watcher;
mod watching;
