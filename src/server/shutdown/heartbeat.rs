//! The signs of life of a process: a worker's to its supervisor, and those of a process on its own to the service manager that has
//! started it.
//!
//! Owns a worker's end of the channel, which is its standard input, and when a beat is due. The first is due when all ports
//! are open, then one each second, and more when the worker is about to end. It does not know what a silent worker has to expect. A
//! process that has neither has no heartbeat, and nothing here wakes it.
//!
//! What the supervisor hands on is there before the worker exists. Its figures are read with each beat, so they cost no wake-up.
//!
//! Invariant: a worker does not outlive its supervisor. A loop that turns finds the channel broken; for one that does not,
//! the kernel sees to it ([`sys::end_with_parent`]).

use std::error::Error;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::config::Config;
use crate::reactor::sys;
use crate::service::ServiceManager;
use crate::wire::handover::{self, Frame, Served, Supervision};

/// From one beat to the next. Five of them fit into the time after which a silent worker is taken to hang, and a wake-up
/// each second costs nothing that could be measured.
const INTERVAL: Duration = Duration::from_secs(1);

/// The same for a worker that is about to end, so that it notices at once when the supervisor hangs up: it is in a hurry.
const LAST_INTERVAL: Duration = Duration::from_millis(50);

/// What a worker is called in a list of processes. By itself it would be `exe`, the file that it was started from.
const PROCESS_NAME: &std::ffi::CStr = c"audience-meter";

/// The bytes that are read with a beat: more figures than are sent in a minute.
const READ_BYTES: usize = 4096;

/// The signs of life of this process, if anybody waits for them.
#[derive(Debug, Default)]
pub(in crate::server) struct Heartbeat {
    channel: Option<UnixStream>,
    manager: Option<ServiceManager>,
    due: Option<Tick>,
    is_hasty: bool,
    /// What was read, and is no whole frame yet.
    unread: Vec<u8>,
    figures: Option<Supervision>,
}

/// What a supervisor hands on beside settings.
#[derive(Debug, Default)]
pub(in crate::server) struct HandedOn {
    /// The sockets of the ports, each by the number of its port and its descriptor.
    pub(in crate::server) sockets: Vec<(u8, u32)>,
    /// The descriptor of the socket on loopback that datagrams come by.
    pub(in crate::server) loopback: Option<u32>,
    /// Whether a worker has ever served with these settings.
    pub(in crate::server) has_served: bool,
}

impl Heartbeat {
    /// Becomes a worker of the supervisor that the settings name, or of none. What it hands on is taken into the settings,
    /// and the rest is returned.
    ///
    /// # Errors
    /// The supervisor has ended in the meantime; or what the kernel says.
    pub(in crate::server) fn start(config: &mut Config) -> Result<(Self, Option<HandedOn>), Box<dyn Error>> {
        let Some(supervisor) = config.supervisor else {
            return Ok((Self { manager: ServiceManager::find(), ..Self::default() }, None));
        };
        sys::set_process_name(PROCESS_NAME)?;
        if !sys::end_with_parent(supervisor)? {
            return Err(format!("the supervisor with process id {supervisor} has not started this, or is gone").into());
        }
        let channel = standard_channel()?;
        let mut heartbeat = Self::over(channel);
        let handed_on = heartbeat.take_over(config)?;
        Ok((heartbeat, Some(handed_on)))
    }

    fn over(channel: UnixStream) -> Self {
        Self { channel: Some(channel), figures: Some(Supervision::default()), ..Self::default() }
    }

    /// The process is ready: from the next turn on it beats.
    pub(in crate::server) fn begin(&mut self) {
        if let Some(manager) = &mut self.manager {
            manager.ready();
        }
        self.due = (self.is_worker() || self.manager.is_some()).then_some(Tick(0));
    }

    /// The process is about to end.
    pub(in crate::server) fn hasten(&mut self, now: Tick) {
        if let Some(manager) = &mut self.manager {
            manager.stopping();
        }
        self.is_hasty = true;
        self.due = self.due.map(|due| due.min(now.after(LAST_INTERVAL)));
    }

    /// Whether this process has a supervisor.
    pub(in crate::server) fn is_worker(&self) -> bool {
        self.channel.is_some()
    }

    /// What the supervisor has said of itself last, if there is one.
    pub(in crate::server) fn figures(&self) -> Option<Supervision> {
        self.figures
    }

    /// When the next beat is due.
    pub(in crate::server) fn next_deadline(&self) -> Option<Tick> {
        self.due
    }

    /// Beats if it is due. False, once: the supervisor is gone.
    pub(in crate::server) fn beat(&mut self, now: Tick, served: impl FnOnce() -> Served) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return true;
        }
        if let Some(manager) = &mut self.manager {
            manager.advance(served, now);
            self.due = Some(manager.next_deadline());
            return true;
        }
        let Some(channel) = &mut self.channel else { return true };
        let mut beat = Vec::new();
        handover::push(&mut beat, &Frame::Beat(served()));
        // A full channel is a supervisor that has been asleep for minutes. It has enough to read when it wakes up.
        let is_broken = channel.write(&beat).is_err_and(|error| is_end(&error))
            || self.read(|_| {}).is_err_and(|error| is_end(&error));
        let interval = if self.is_hasty { LAST_INTERVAL } else { INTERVAL };
        self.due = (!is_broken).then(|| now.after(interval));
        !is_broken
    }

    /// Reads all that is handed on. It has been sent before this process was started, so nothing is waited for.
    fn take_over(&mut self, config: &mut Config) -> io::Result<HandedOn> {
        let (mut handed_on, mut is_whole) = (HandedOn::default(), false);
        while !is_whole {
            self.read(|frame| match frame {
                Frame::Loopback(descriptor) => handed_on.loopback = Some(descriptor),
                Frame::Socket(port, descriptor) => handed_on.sockets.push((port, descriptor)),
                Frame::Begin(has_served) => (handed_on.has_served, is_whole) = (has_served, true),
                frame => config.adopt(&frame),
            })?;
        }
        self.channel.as_ref().map_or(Ok(()), |channel| channel.set_nonblocking(true))?;
        Ok(handed_on)
    }

    /// Reads what has come: figures, and what `take` is for.
    fn read(&mut self, mut take: impl FnMut(Frame<'_>)) -> io::Result<()> {
        let mut bytes = [0; READ_BYTES];
        let Some(channel) = &mut self.channel else { return Ok(()) };
        let count = channel.read(&mut bytes)?;
        self.unread.extend(bytes.iter().take(count));
        let mut rest = &self.unread[..];
        while let Some(frame) = handover::next(&mut rest) {
            match frame {
                Frame::Figures(figures) => self.figures = Some(figures),
                frame => take(frame),
            }
        }
        self.unread = rest.to_vec();
        if count == 0 { Err(ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

fn is_end(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn standard_channel() -> io::Result<UnixStream> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Sends the supervisor, if there is one, the reason for which this process ends before it is ready. Returns whether it has
/// taken it.
#[must_use]
pub fn report_failure(config: &Config, reason: &str) -> bool {
    let mut frame = Vec::new();
    handover::push(&mut frame, &Frame::Error(reason));
    config.supervisor.is_some() && standard_channel().is_ok_and(|mut channel| channel.write_all(&frame).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of a channel, and neither waits.
    fn channel() -> (UnixStream, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        other.set_nonblocking(true).unwrap();
        (one, other)
    }

    #[test]
    fn a_process_on_its_own_has_none() {
        let mut heartbeat = Heartbeat::default();
        heartbeat.begin();
        assert!(!heartbeat.is_worker());
        assert_eq!(heartbeat.next_deadline(), None);
        assert!(heartbeat.beat(Tick(1000), Served::default));
    }

    #[test]
    fn it_beats_once_it_is_ready_and_then_each_second() {
        let (mut reader, writer) = channel();
        let mut heartbeat = Heartbeat::over(writer);
        assert!(heartbeat.beat(Tick(0), Served::default));
        assert_eq!((heartbeat.next_deadline(), reader.read(&mut [0]).is_err()), (None, true));
        heartbeat.begin();
        let mut beats = Vec::new();
        for tick in 0..350 {
            let is_due = heartbeat.next_deadline().is_some_and(|due| due <= Tick(tick));
            assert!(heartbeat.beat(Tick(tick), Served::default));
            let read = reader.read(&mut [0; 32]).unwrap_or(0);
            assert_eq!(read, 19 * usize::from(is_due));
            beats.extend((read > 0).then_some(tick));
        }
        assert_eq!(beats, [0, 101, 202, 303]);
    }

    #[test]
    fn a_worker_that_is_about_to_end_beats_often() {
        let (_reader, writer) = channel();
        let mut heartbeat = Heartbeat::over(writer);
        heartbeat.hasten(Tick(0));
        assert_eq!(heartbeat.next_deadline(), None, "it is not ready");
        heartbeat.begin();
        assert!(heartbeat.beat(Tick(10), Served::default));
        assert_eq!(heartbeat.next_deadline(), Some(Tick(16)));

        let (_reader, writer) = channel();
        let mut heartbeat = Heartbeat::over(writer);
        heartbeat.begin();
        assert!(heartbeat.beat(Tick(10), Served::default));
        heartbeat.hasten(Tick(20));
        assert_eq!(heartbeat.next_deadline(), Some(Tick(26)));
    }

    #[test]
    fn a_supervisor_that_does_not_read_is_no_reason_to_stop_and_one_that_is_gone_is() {
        let (reader, writer) = channel();
        let mut heartbeat = Heartbeat::over(writer);
        heartbeat.begin();
        // More than a channel holds.
        for beat in 0..70_000 {
            assert!(heartbeat.beat(Tick(beat * 101), Served::default));
        }
        drop(reader);
        // A child that another test is starting has all descriptors for a moment.
        let broken_at = (70_000..1_000_000).find(|&beat| {
            std::thread::yield_now();
            !heartbeat.beat(Tick(beat * 101), Served::default)
        });
        assert!(broken_at.is_some());
        assert_eq!(heartbeat.next_deadline(), None);
        assert!(heartbeat.beat(Tick(2_000_000 * 101), Served::default));
    }

    #[test]
    fn figures_come_with_a_beat_and_in_pieces() {
        let (mut supervisor, worker) = channel();
        let mut heartbeat = Heartbeat::over(worker);
        heartbeat.begin();
        let mut bytes = Vec::new();
        for restarts in 1..4 {
            handover::push(&mut bytes, &Frame::Figures(Supervision { restarts, posts_empty: 7 }));
        }
        let (first, rest) = bytes.split_at(30);
        supervisor.write_all(first).unwrap();
        assert!(heartbeat.beat(Tick(0), Served::default));
        assert_eq!(heartbeat.figures(), Some(Supervision { restarts: 1, posts_empty: 7 }));
        supervisor.write_all(rest).unwrap();
        assert!(heartbeat.beat(Tick(1_000), Served::default));
        assert_eq!(heartbeat.figures(), Some(Supervision { restarts: 3, posts_empty: 7 }));
        assert_eq!(Heartbeat::default().figures(), None);
    }
}
