//! One member that writes down what it is pushed, and when.
//!
//! Owns the series of counts of one stream. It does not know which count is true.
//!
//! Invariant: a count has the moment at which it arrived, however late the test looks at it.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use audience_kit::*;

/// Longer than any test.
const DAY: Duration = Duration::from_hours(24);

/// Counts in the order of their arrival.
type Series = Vec<(Instant, u64)>;

/// A member that is read by a thread of its own, until this value is dropped.
pub(super) struct Observer {
    series: Arc<Mutex<Series>>,
    socket: TcpStream,
    reader: Option<JoinHandle<()>>,
}

impl Observer {
    /// Reads a stream from here on; `first` is the count that was read before.
    pub(super) fn begin(mut stream: Stream, first: u64) -> Self {
        let series = Arc::new(Mutex::new(vec![(now(), first)]));
        let socket = stream.socket.try_clone().unwrap();
        let written = Arc::clone(&series);
        let reader = thread::spawn(move || {
            while let Some(event) = stream.next_event(DAY) {
                match event {
                    Event::Count(count) => written.lock().unwrap().push((now(), count)),
                    Event::Closed | Event::Cut => return,
                    other => panic!("{other:?} is no count"),
                }
            }
        });
        Self { series, socket, reader: Some(reader) }
    }

    /// The newest count.
    pub(super) fn last(&self) -> u64 {
        self.series.lock().unwrap().last().unwrap().1
    }

    /// The counts that were shown from this moment on: the one that was there, and all that came since.
    pub(super) fn shown(&self, from: Instant) -> Series {
        let series = self.series.lock().unwrap();
        let first = series.iter().rposition(|&(at, _)| at <= from).unwrap_or(0);
        series[first..].to_vec()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let reader = self.reader.take().unwrap();
        let has_ended = reader.is_finished();
        let _ = self.socket.shutdown(Shutdown::Read);
        // A stream that is given up here may be cut within a count.
        let result = reader.join();
        assert!(result.is_ok() || !has_ended || thread::panicking(), "a stream that was observed broke");
    }
}
