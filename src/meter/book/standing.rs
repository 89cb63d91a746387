//! Whether a member is in the count.
//!
//! Owns the four standings. A member goes from pending to counted when the increment delay is over, and from uncounted to
//! either when the caller asks for it. The caller alone knows why a member is not counted; such members are reported apart. A member
//! that never counts stays so, and leaves no trace.

use crate::collections::sections::{Reader, Writer};

/// Whether a member is in the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Standing {
    /// It is.
    Counted,
    /// It will be, once it has stayed for the increment delay.
    Pending,
    /// It is not, until the caller counts it.
    Uncounted,
    /// It is not, and will not be.
    Never,
}

impl Standing {
    pub(super) fn write(self, out: &mut Writer) {
        out.number(self as u64);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        match from.number() {
            0 => Self::Counted,
            1 => Self::Pending,
            2 => Self::Uncounted,
            number => {
                from.check(number == 3, "a member of an unknown standing");
                Self::Never
            }
        }
    }

    /// Whether other nodes know of members with this standing: they are counted, or reported apart.
    pub(super) fn is_announced(self) -> bool {
        matches!(self, Self::Counted | Self::Uncounted)
    }
}
