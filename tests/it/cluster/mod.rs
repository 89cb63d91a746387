//! Many processes and many hosts that are one audience.

pub(crate) mod hosts;
mod processes;
mod simulation;
