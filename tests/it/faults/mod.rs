//! Clients, kernels and clocks that misbehave.

mod calls;
mod churn;
mod clocks;
mod dead;
mod deaf;
mod guests;
mod heads;
mod logs;
mod no_room;
mod rest;
mod talking;
mod torture;
pub(crate) mod undisturbed;
