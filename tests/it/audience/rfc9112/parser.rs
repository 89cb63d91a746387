//! All rows of the table, judged by the parser itself: whole, with more behind them, and cut anywhere.

use audience_meter::wire::http::Method;
use audience_meter::wire::session::{Session, Step};

use super::table::*;
use audience_kit::join_request;

/// Fails unless this is what the row is, with `more` bytes behind it.
#[track_caller]
fn judge(row: &Request, step: &Step, more: usize) {
    match (row.outcome, step) {
        (Refused(status), Step::Refuse { refusal, .. }) if refusal.status() == status => {}
        (Late, Step::Wait) => {}
        (outcome, Step::Request { request, surplus, .. }) => {
            let is_it = match outcome {
                Joins(namespace) => {
                    let other = [Method::Head, Method::Options].contains(&request.method);
                    !other && request.accepts_event_stream && request.path.strip_prefix('/') == Some(namespace)
                }
                Empty => request.method != Method::Options && request.path == "/",
                NoContent => request.method == Method::Options,
                Refused(_) | Late => false,
            };
            assert!(is_it && usize::try_from(*surplus) == Ok(more), "{}: {step:?}", row.name());
        }
        _ => panic!("{}: {step:?}", row.name()),
    }
}

#[test]
fn every_row_is_what_the_standard_says() {
    let rows = table();
    let count = |is_one: fn(&Request) -> bool| rows.iter().filter(|row| is_one(row)).count();
    let counts = (count(Request::is_refused), count(Request::is_late));
    assert!(counts.0 > 150 && rows.len() - counts.0 - counts.1 > 40, "{counts:?} of {}", rows.len());
    for row in &rows {
        judge(row, &Session::default().feed(&row.bytes), 0);
    }
}

#[test]
fn every_row_is_the_same_whatever_follows_it() {
    let second = join_request("/second", "");
    for row in table().iter().filter(|row| !row.is_late()) {
        judge(row, &Session::default().feed(&row.followed_by(&second).bytes), second.len());
    }
}

#[test]
fn every_row_is_the_same_wherever_it_is_cut() {
    for row in &table() {
        for cut in 1..row.bytes.len() {
            let (first, rest) = row.bytes.split_at(cut);
            let mut session = Session::default();
            match session.feed(first) {
                Step::Wait => judge(row, &session.feed(rest), 0),
                // Some are known to be wrong before they are whole.
                early => judge(row, &early, 0),
            }
        }
    }
}
