//! The number of an event's members without a stream: what asks for it, and its two forms.
//!
//! Owns the parameters `members` and `as`, and the bytes of both forms. A name stands in the parameter as it stands in the
//! address of the event, in any of its spellings. Nothing of a request is in an answer, so an image says a number and nothing else.
//!
//! Invariant: an answer depends on the name, its form and the number alone.

use super::query;
use super::sse::push_decimal;

/// The query parameter that names the event.
const PARAMETER: &str = "members";

/// The width of a digit in a badge, in pixels: a little wider than those of the usual fonts.
const DIGIT_PX: u64 = 8;

/// Where the digits of a badge begin, and the space behind them, in pixels.
const DIGITS_AT_PX: u64 = 22;
const BEHIND_PX: u64 = 10;

/// A badge. Between its pieces come its width, the total, its width, the width of the digits, and the total.
const BADGE: [&str; 6] = [
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"",
    "\" height=\"20\" role=\"img\"><title>",
    "</title><rect width=\"",
    "\" height=\"20\" rx=\"10\" fill=\"#24292f\"/><circle cx=\"12\" cy=\"10\" r=\"4\" fill=\"#f85149\"/>\
     <text x=\"22\" y=\"14\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"12\" fill=\"#fff\" textLength=\"",
    "\">",
    "</text></svg>\n",
];

/// How the number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{"members":123}`
    Json,
    /// A badge of 20 pixels in height.
    Svg,
}

impl Form {
    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Svg => "image/svg+xml",
        }
    }

    /// The bytes for a number of members.
    #[must_use]
    pub fn body(self, total: u64) -> Vec<u8> {
        let mut out = Vec::new();
        if self == Self::Json {
            out.extend_from_slice(b"{\"members\":");
            push_decimal(&mut out, total);
            out.extend_from_slice(b"}\n");
            return out;
        }
        let digits = u64::from(total.checked_ilog10().unwrap_or_default()) + 1;
        let width = DIGITS_AT_PX + digits * DIGIT_PX + BEHIND_PX;
        for (text, number) in BADGE.iter().zip([width, total, width, digits * DIGIT_PX, total]) {
            out.extend_from_slice(text.as_bytes());
            push_decimal(&mut out, number);
        }
        out.extend_from_slice(BADGE.last().copied().unwrap_or_default().as_bytes());
        out
    }
}

/// Whether a query asks for a number.
#[must_use]
pub fn is_asked(query: Option<&str>) -> bool {
    query.is_some_and(|query| query::values(query, PARAMETER).next().is_some())
}

/// The name and the form that a query in its canonical spelling asks for.
///
/// # Errors
/// What would be right, as a line for a person.
pub fn parse(query: &str) -> Result<(&str, Form), &'static str> {
    let mut names = query::values(query, PARAMETER);
    let (Some(name), None) = (names.next().filter(|name| !name.is_empty()), names.next()) else {
        return Err("name one event; ask for /?members=name");
    };
    let mut forms = query::values(query, "as");
    match (forms.next(), forms.next()) {
        (None, _) => Ok((name, Form::Json)),
        (Some("svg"), None) => Ok((name, Form::Svg)),
        _ => Err("there are two forms; leave out as for JSON, or give as=svg for an image"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_is_named_and_one_form() {
        for (query, expected) in [
            ("members=ns", ("ns", Form::Json)),
            ("members=caf%C3%A9&as=svg", ("caf%C3%A9", Form::Svg)),
            ("as=svg&v=1&members=a=b,c", ("a=b,c", Form::Svg)),
        ] {
            assert!(is_asked(Some(query)));
            assert_eq!(parse(query), Ok(expected), "{query}");
        }
        for query in ["members", "members=", "members=a&members=a", "members=&members=a"] {
            assert!(is_asked(Some(query)) && parse(query).unwrap_err().starts_with("name one"), "{query}");
        }
        for query in ["members=a&as", "members=a&as=png", "members=a&as=SVG", "members=a&as=svg&as=svg"] {
            assert!(parse(query).unwrap_err().starts_with("there are two"), "{query}");
        }
        assert!(!is_asked(None) && !is_asked(Some("Members=a&as=svg")));
    }

    #[test]
    fn both_forms_are_exact() {
        let text = |form: Form, total| String::from_utf8(form.body(total)).unwrap();
        assert_eq!(text(Form::Json, 0), "{\"members\":0}\n");
        assert_eq!(text(Form::Json, u64::MAX), "{\"members\":18446744073709551615}\n");
        let badge = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"56\" height=\"20\" role=\"img\"><title>123</title>\
            <rect width=\"56\" height=\"20\" rx=\"10\" fill=\"#24292f\"/><circle cx=\"12\" cy=\"10\" r=\"4\" fill=\"#f85149\"/>\
            <text x=\"22\" y=\"14\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"12\" fill=\"#fff\" \
            textLength=\"24\">123</text></svg>\n";
        assert_eq!(text(Form::Svg, 123), badge);
        for (total, width) in [(0, 40), (9, 40), (10, 48), (1_000_000, 88)] {
            assert!(text(Form::Svg, total).contains(&format!("svg\" width=\"{width}\"")), "{total}");
        }
    }
}
