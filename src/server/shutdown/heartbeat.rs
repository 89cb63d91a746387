//! A worker's signs of life to its supervisor.
//!
//! Owns a worker's end of the pipe to the process that started it, and when a byte is due. The first is due when all ports
//! are open, then one each second, and more when the worker is about to end. It does not know what a silent worker has to expect. A
//! process without a supervisor has no heartbeat, and nothing here wakes it.
//!
//! Invariant: a worker does not outlive its supervisor. A loop that turns finds the pipe broken; for one that does not,
//! the kernel sees to it ([`sys::end_with_parent`]).

use std::error::Error;
use std::io::{self, PipeWriter, Write as _};
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::reactor::sys;

/// From one byte to the next. Five of them fit into the time after which a silent worker is taken to hang, and a wake-up
/// each second costs nothing that could be measured.
const INTERVAL: Duration = Duration::from_secs(1);

/// The same for a worker that is about to end, so that it notices at once when the supervisor hangs up: it is in a hurry.
const LAST_INTERVAL: Duration = Duration::from_millis(50);

/// What a worker is called in a list of processes. By itself it would be `exe`, the file that it was started from.
const PROCESS_NAME: &std::ffi::CStr = c"audience-meter";

/// A worker's sign of life, or none.
#[derive(Debug, Default)]
pub(in crate::server) struct Heartbeat {
    pipe: Option<PipeWriter>,
    due: Option<Tick>,
    is_hasty: bool,
}

impl Heartbeat {
    /// Becomes a worker of this supervisor, or of none.
    ///
    /// # Errors
    /// The supervisor has ended in the meantime; or what the kernel says.
    pub(in crate::server) fn start(supervisor: Option<u32>) -> Result<Self, Box<dyn Error>> {
        let Some(supervisor) = supervisor else { return Ok(Self::default()) };
        sys::set_process_name(PROCESS_NAME)?;
        if !sys::end_with_parent(supervisor)? {
            return Err(format!("the supervisor with process id {supervisor} has not started this, or is gone").into());
        }
        Ok(Self::over(sys::standard_pipe()?))
    }

    fn over(pipe: PipeWriter) -> Self {
        Self { pipe: Some(pipe), due: None, is_hasty: false }
    }

    /// The process is ready: from the next turn on it beats.
    pub(in crate::server) fn begin(&mut self) {
        self.due = self.is_worker().then_some(Tick(0));
    }

    /// The process is about to end.
    pub(in crate::server) fn hasten(&mut self, now: Tick) {
        self.is_hasty = true;
        self.due = self.due.map(|due| due.min(now.after(LAST_INTERVAL)));
    }

    /// Whether this process has a supervisor.
    pub(in crate::server) fn is_worker(&self) -> bool {
        self.pipe.is_some()
    }

    /// When the next beat is due.
    pub(in crate::server) fn next_deadline(&self) -> Option<Tick> {
        self.due
    }

    /// Beats if it is due. False, once: the supervisor is gone.
    pub(in crate::server) fn beat(&mut self, now: Tick) -> bool {
        let (Some(pipe), Some(due)) = (&mut self.pipe, self.due) else { return true };
        if due > now {
            return true;
        }
        // A full pipe is a supervisor that has been asleep for many hours. It has enough to read when it wakes up.
        let is_broken = pipe.write(b".").is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        let interval = if self.is_hasty { LAST_INTERVAL } else { INTERVAL };
        self.due = (!is_broken).then(|| now.after(interval));
        !is_broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_process_on_its_own_has_none() {
        let mut heartbeat = Heartbeat::start(None).unwrap();
        heartbeat.begin();
        assert!(!heartbeat.is_worker());
        assert_eq!(heartbeat.next_deadline(), None);
        assert!(heartbeat.beat(Tick(1000)));
    }

    #[test]
    fn it_beats_once_it_is_ready_and_then_each_second() {
        let (mut reader, writer) = sys::pipe().unwrap();
        let mut heartbeat = Heartbeat::over(writer);
        assert!(heartbeat.beat(Tick(0)));
        assert_eq!((heartbeat.next_deadline(), reader.read(&mut [0]).is_err()), (None, true));
        heartbeat.begin();
        let mut beats = Vec::new();
        for tick in 0..350 {
            let is_due = heartbeat.next_deadline().is_some_and(|due| due <= Tick(tick));
            assert!(heartbeat.beat(Tick(tick)));
            let read = reader.read(&mut [0; 8]).unwrap_or(0);
            assert_eq!(read, usize::from(is_due));
            beats.extend((read > 0).then_some(tick));
        }
        assert_eq!(beats, [0, 101, 202, 303]);
    }

    #[test]
    fn a_worker_that_is_about_to_end_beats_often() {
        let (_reader, writer) = sys::pipe().unwrap();
        let mut heartbeat = Heartbeat::over(writer);
        heartbeat.hasten(Tick(0));
        assert_eq!(heartbeat.next_deadline(), None, "it is not ready");
        heartbeat.begin();
        assert!(heartbeat.beat(Tick(10)));
        assert_eq!(heartbeat.next_deadline(), Some(Tick(16)));

        let (_reader, writer) = sys::pipe().unwrap();
        let mut heartbeat = Heartbeat::over(writer);
        heartbeat.begin();
        assert!(heartbeat.beat(Tick(10)));
        heartbeat.hasten(Tick(20));
        assert_eq!(heartbeat.next_deadline(), Some(Tick(26)));
    }

    #[test]
    fn a_supervisor_that_does_not_read_is_no_reason_to_stop_and_one_that_is_gone_is() {
        let (reader, writer) = sys::pipe().unwrap();
        let mut heartbeat = Heartbeat::over(writer);
        heartbeat.begin();
        // More than the 64 KiB that a pipe holds.
        for beat in 0..70_000 {
            assert!(heartbeat.beat(Tick(beat * 101)));
        }
        drop(reader);
        // A child that another test is starting has all descriptors for a moment.
        let broken_at = (70_000..1_000_000).find(|&beat| {
            std::thread::yield_now();
            !heartbeat.beat(Tick(beat * 101))
        });
        assert!(broken_at.is_some());
        assert_eq!(heartbeat.next_deadline(), None);
        assert!(heartbeat.beat(Tick(2_000_000 * 101)));
    }
}
