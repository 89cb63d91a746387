//! A queue whose front is taken when it is due.
//!
//! Owns what `VecDeque` itself can do from Rust 1.93 on.

use std::collections::VecDeque;

/// Takes the front, if there is one and it is due.
pub fn pop_front_if<T>(queue: &mut VecDeque<T>, is_due: impl FnOnce(&T) -> bool) -> Option<T> {
    if is_due(queue.front()?) { queue.pop_front() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_due_stays_with_all_behind_it() {
        let mut queue = VecDeque::from([1, 3, 2]);
        let mut due = || pop_front_if(&mut queue, |&number| number < 3);
        assert_eq!([due(), due(), due()], [Some(1), None, None]);
        assert_eq!(queue, [3, 2]);
        assert_eq!(pop_front_if(&mut VecDeque::<u8>::new(), |_| true), None);
    }
}
