//! What is no HTTP/1.1 request, and what is one however odd it looks: a table of rows from RFC 9112 and RFC 9110. Each row is
//! judged by the parser itself, and some of each outcome over a connection to each port.
//!
//! | file | owns |
//! |---|---|
//! | `fields` | field lines |
//! | `heads` | whole heads, and what is no head at all |
//! | `lines` | request lines |
//! | `parser` | all rows of the table, judged by the parser itself |
//! | `sockets` | rows of the table over real connections, at each port |
//! | `table` | rows written from RFC 9112 (messages) and RFC 9110 (semantics), each with the section that it comes from |

mod fields;
mod heads;
mod lines;
mod parser;
mod sockets;
mod table;
