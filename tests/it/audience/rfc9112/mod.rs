//! What is no HTTP/1.1 request, and what is one however odd it looks: a table of rows from RFC 9112 and RFC 9110. Each row is
//! judged by the parser itself, and some of each outcome over a connection to each port.

mod fields;
mod heads;
mod lines;
mod parser;
mod sockets;
mod table;
