//! Clients, kernels and clocks that misbehave.

mod churn;
mod dead;
pub(crate) mod injected;
pub(crate) mod slow;
mod torture;
