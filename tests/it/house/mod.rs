//! What is read instead of run: the source, and the corpus of the fuzzers.

mod corpus;
mod layers;
