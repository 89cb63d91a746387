//! From numbers to places on a picture, and to words.
//!
//! Owns the two axes of a panel and how a number is written. It knows no SVG and no figures.
//!
//! An axis of values starts at 0, so that twice the cost is twice as high.

/// An axis of values, in pixels from `top` down to `bottom`.
pub(super) struct Values {
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) scale: Scale,
}

impl Values {
    pub(super) fn place(&self, value: f64) -> f64 {
        self.bottom - value / self.scale.most() * (self.bottom - self.top)
    }
}

/// Where an axis of values has its lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    step: f64,
    steps: u32,
}

impl Scale {
    /// The lowest that ends at or above a value, with three to five round steps.
    pub(super) fn up_to(value: f64) -> Self {
        // Rounding must not push a value that is a line itself beyond that line.
        let steps = |step: f64| (value / step - 1e-9).ceil().max(1.0);
        let power = 10_f64.powf((value.max(f64::MIN_POSITIVE) / 5.0).log10().floor());
        // Each is at most twice the one before: the first that has no more than five steps has more than two.
        let fits = [1.0, 2.0, 2.5, 5.0].map(|round| round * power).into_iter().find(|step| steps(*step) <= 5.0);
        let step = if value > 0.0 { fits.unwrap_or(10.0 * power) } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 5")]
        let steps = steps(step) as u32;
        Self { step, steps }
    }

    pub(super) fn most(&self) -> f64 {
        self.step * f64::from(self.steps)
    }

    /// The values with a line, from 0 up, with what stands beside it.
    pub(super) fn lines(&self) -> impl Iterator<Item = (f64, String)> {
        let decimals = (0..9).find(|&decimals| is_whole(self.step * 10_f64.powi(decimals))).unwrap_or(9);
        (0..=self.steps).map(move |line| {
            let value = self.step * f64::from(line);
            let decimals = if line == 0 { 0 } else { usize::try_from(decimals).unwrap_or(0) };
            (value, number(value, decimals))
        })
    }
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 * value.abs()
}

/// An axis of amounts, logarithmic, in pixels from `left` to `right`.
pub(super) struct Amounts {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Amounts {
    /// A lone amount is in the middle.
    pub(super) fn place(&self, amount: u64) -> f64 {
        let log = |amount: u64| super::float(amount).ln();
        let span = log(self.most) - log(self.least);
        let part = if span > 0.0 { (log(amount) - log(self.least)) / span } else { 0.5 };
        self.left + part * (self.right - self.left)
    }

    /// Those that have `gap` pixels between them, the last one before all others.
    pub(super) fn apart(&self, amounts: &[u64], gap: f64) -> Vec<u64> {
        let mut kept: Vec<u64> = Vec::new();
        for &amount in amounts.iter().rev() {
            if kept.last().is_none_or(|last| self.place(*last) - self.place(amount) >= gap) {
                kept.push(amount);
            }
        }
        kept.reverse();
        kept
    }
}

/// A number with so many decimals, and commas between thousands.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut text = String::new();
    for (index, digit) in whole.char_indices() {
        let follow = whole.len() - index;
        if index > 0 && follow.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// What was measured, to about three digits.
pub(super) fn measured(value: f64) -> String {
    let decimals = match value {
        ..1.0 => 2,
        1.0..1000.0 => 1,
        _ => 0,
    };
    number(value, decimals)
}

/// How many there are.
pub(super) fn count(amount: u64) -> String {
    number(super::float(amount), 0)
}

/// Two places, moved as little as it takes for them to be `gap` apart and above `bottom`; who is higher stays it.
pub(super) fn pushed_apart([first, second]: [f64; 2], gap: f64, bottom: f64) -> [f64; 2] {
    let missing = (gap - (first - second).abs()).max(0.0) / 2.0;
    let (up, down) = (first.min(second) - missing, first.max(second) + missing);
    let too_low = (down - bottom).max(0.0);
    let (up, down) = (if missing > 0.0 { up - too_low } else { up }, down - too_low);
    if first <= second { [up, down] } else { [down, up] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_after_three_to_five_steps() {
        let table = [
            (0.0, 1.0, 1),
            (0.3, 0.3, 3),
            (0.31, 0.4, 4),
            (1.0, 1.0, 5),
            (5.0, 5.0, 5),
            (5.01, 6.0, 3),
            (10.0, 10.0, 5),
            (10.1, 12.5, 5),
            (12.6, 15.0, 3),
            (16.1, 20.0, 4),
            (98.7, 100.0, 5),
            (101.0, 125.0, 5),
            (260.0, 300.0, 3),
            (1234.0, 1250.0, 5),
            (10_001.0, 12_500.0, 5),
        ];
        for (value, most, steps) in table {
            let scale = Scale::up_to(value);
            assert!((scale.most() - most).abs() < 1e-9 * most, "{value}: {scale:?}");
            assert_eq!(scale.steps, steps, "{value}");
        }
        for tenths in 1..100_000 {
            let (value, scale) = (f64::from(tenths) / 10.0, Scale::up_to(f64::from(tenths) / 10.0));
            assert!((3..=5).contains(&scale.steps), "{value}: {scale:?}");
            assert!(scale.most() >= value - 1e-6 && scale.most() < 1.5 * value, "{value}: {scale:?}");
        }
    }

    #[test]
    fn lines_are_told_with_as_many_decimals_as_they_need() {
        let told = |value| Scale::up_to(value).lines().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(told(0.3), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(told(12.0), ["0", "2.5", "5.0", "7.5", "10.0", "12.5"]);
        assert_eq!(told(16.1), ["0", "5", "10", "15", "20"]);
        assert_eq!(told(3000.0), ["0", "1,000", "2,000", "3,000"]);
    }

    #[test]
    fn numbers_have_commas_and_few_digits() {
        assert_eq!([0, 999, 1000, 19_000, 1_234_567].map(count), ["0", "999", "1,000", "19,000", "1,234,567"]);
        assert_eq!([0.456, 15.04, 98.66, 1234.5].map(measured), ["0.46", "15.0", "98.7", "1,234"]);
    }

    #[track_caller]
    fn is_at(place: f64, expected: f64) {
        assert!((place - expected).abs() < 1e-9, "{place} is not {expected}");
    }

    #[test]
    fn known_values_are_where_they_belong() {
        let values = Values { top: 100.0, bottom: 300.0, scale: Scale::up_to(20.0) };
        for (value, place) in [(0.0, 300.0), (5.0, 250.0), (20.0, 100.0)] {
            is_at(values.place(value), place);
        }
        let amounts = Amounts { left: 10.0, right: 310.0, least: 1, most: 8 };
        for (amount, place) in [(1, 10.0), (2, 110.0), (4, 210.0), (8, 310.0)] {
            is_at(amounts.place(amount), place);
        }
        is_at(Amounts { least: 8, ..amounts }.place(8), 160.0);
    }

    #[test]
    fn amounts_without_room_between_them_leave_the_earlier_out() {
        let amounts = Amounts { left: 0.0, right: 300.0, least: 1000, most: 1_000_000 };
        assert_eq!(amounts.apart(&[1000, 10_000, 900_000, 1_000_000], 50.0), [1000, 10_000, 1_000_000]);
        assert_eq!(amounts.apart(&[], 50.0), [0; 0]);
    }

    #[test]
    fn labels_make_room_for_each_other() {
        let table = [
            ([100.0, 150.0], [100.0, 150.0]),
            ([100.0, 104.0], [95.0, 109.0]),
            ([104.0, 100.0], [109.0, 95.0]),
            ([298.0, 298.0], [286.0, 300.0]),
            ([200.0, 303.0], [200.0, 300.0]),
        ];
        for (places, expected) in table {
            let apart = pushed_apart(places, 14.0, 300.0);
            is_at(apart[0], expected[0]);
            is_at(apart[1], expected[1]);
        }
    }
}
