//! What another node knew of a namespace as a whole.
//!
//! Owns the value, and the moment that follows from it. It does not know what is made of it.

use crate::collections::tick::{Moment, Now};
use crate::meter::news::{Age, Peak};

/// What another node knew of a namespace as a whole.
#[derive(Clone, Copy, Debug)]
pub(in crate::meter) struct Whole {
    pub(in crate::meter) age: Age,
    pub(in crate::meter) peak: Peak,
    /// When it knew that, and sent it.
    pub(in crate::meter) at: Moment,
}

impl Whole {
    /// Nothing: what is known here stands.
    pub(in crate::meter) fn nothing(now: Now) -> Self {
        Self { age: Age::default(), peak: Peak::default(), at: now.tick.into() }
    }

    /// When the first member came, as far as that node knew.
    pub(super) fn created(&self) -> Moment {
        self.at.before_ms(self.age.existed_ms)
    }
}
