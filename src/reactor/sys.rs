//! The system calls that std has no safe name for.
//!
//! Owns each raw call and its promise; what leaves this file is a std type. It keeps what a signal handler has to know.
//!
//! Invariant: every descriptor made here is non-blocking, closed on exec and owned before the next call can fail.

#![expect(unsafe_code, reason = "system calls that std does not offer")]
#![expect(clippy::cast_possible_truncation, reason = "families and sizes of addresses and options are small constants")]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::Child;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use libc::{
    SIGALRM, SIGIO, SIGPIPE, SIGPROF, SIGPWR, SIGSTKFLT, SIGUSR1, SIGUSR2, SIGVTALRM, c_int, c_void, sockaddr,
    socklen_t,
};

use super::accepted::{Accepted, EMPTY_NAME, address_in};

/// A socket for connections or for datagrams (`SOCK_STREAM`, `SOCK_DGRAM`), not bound yet.
pub(super) fn socket(family: c_int, kind: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    own(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) })
}

/// Has connections come in by a socket that is bound; as many may wait as `backlog` says.
pub(super) fn start_listening(socket: &TcpListener, backlog: c_int) -> io::Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })
}

/// Has no connections come in by a socket any more; those that wait are reset. It stays bound.
pub(super) fn stop_listening(socket: &TcpListener) -> io::Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) })
}

/// Accepts the next waiting connection.
///
/// `accept4(2)` passes on errors of the connection itself and of the network under it; none is about the listener.
#[must_use]
pub fn accept(listener: &TcpListener) -> Accepted {
    let mut name = EMPTY_NAME;
    let mut size = size_of_val(&name) as socklen_t;
    let (pointer, flags) = ((&raw mut name).cast::<sockaddr>(), libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    // SAFETY: the pointer is to as many bytes as the size says, and any bytes are a name.
    let socket = unsafe { libc::accept4(listener.as_raw_fd(), pointer, &raw mut size, flags) };
    match own(socket) {
        Ok(socket) => Accepted::Stream(socket.into(), address_in(&name)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN) => Accepted::NonePending,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Accepted::NoRoom,
            _ => Accepted::Failed,
        },
    }
}

/// An option of a socket that is made of numbers.
pub(super) fn numbers<const COUNT: usize>(socket: &impl AsRawFd, option: c_int) -> io::Result<[u32; COUNT]> {
    let mut numbers = [0; COUNT];
    let mut size = size_of_val(&numbers) as socklen_t;
    let pointer = numbers.as_mut_ptr().cast::<c_void>();
    // SAFETY: the pointer is to as many bytes as the size says, and any bytes are numbers.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, pointer, &raw mut size) })?;
    Ok(numbers)
}

/// The processor time that this thread has used.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a time that lives as long as the call. Linux has this clock, so the call does not fail.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Gives free memory back to the system: by itself, glibc gives back what lies at the end of its heap.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers are passed, and what is given back is in use by none.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Bytes of the system's randomness, at most 256.
///
/// # Errors
/// What the kernel says: it has none.
pub fn random<const COUNT: usize>() -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    // SAFETY: the pointer is to as many bytes as the size says, and any bytes are numbers.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), COUNT, 0) };
    if usize::try_from(count) == Ok(COUNT) { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}

pub use libc::{O_NOCTTY, O_NONBLOCK, SIGCHLD, SIGTERM};

/// The signals that ask a process to end, as a source of readiness; all others that would end it are ignored.
///
/// A handler that sets a flag would not be seen: `polling` retries a wait that a signal interrupted.
#[derive(Debug)]
pub struct Signals(OwnedFd);

/// What asks for an end: by hand or by a service manager, from a terminal, or by the limit of processor time.
const ENDING: [c_int; 5] = [SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGXCPU];

/// What would end a process for no reason that it has. Those from 32 on belong to programs, two of them to the C library's
/// threads.
const IGNORED: [c_int; 9] = [SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGSTKFLT, SIGVTALRM, SIGPROF, SIGIO, SIGPWR];

const OF_PROGRAMS: std::ops::RangeInclusive<c_int> = 32..=64;

impl Signals {
    /// Takes the signals out of their usual course for this process. Call it before there are threads.
    ///
    /// # Errors
    /// What the kernel says, for lack of descriptors.
    pub fn open() -> io::Result<Self> {
        Self::take(&[libc::SIGXFSZ])
    }

    /// The same, and SIGCHLD: that a child has ended.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_children() -> io::Result<Self> {
        // An ignored SIGCHLD is inherited: then the kernel would not send it, nor keep the status of an ended child.
        action(SIGCHLD, Some(libc::SIG_DFL))?;
        Self::take(&[libc::SIGXFSZ, SIGCHLD])
    }

    fn take(beside: &[c_int]) -> io::Result<Self> {
        for signal in IGNORED.into_iter().chain(OF_PROGRAMS) {
            action(signal, Some(libc::SIG_IGN))?;
        }
        // SAFETY: an empty set is all zeroes on Linux.
        let mut set = unsafe { std::mem::zeroed::<libc::sigset_t>() };
        for &signal in ENDING.iter().chain(beside) {
            // Under `nohup`, the end of a terminal is none of ours. A blocked signal would be read although it is ignored.
            if signal != libc::SIGHUP || action(signal, None)? != libc::SIG_IGN {
                // SAFETY: the set is initialised.
                check(unsafe { libc::sigaddset(&raw mut set, signal) })?;
            }
        }
        // SAFETY: the set is initialised; a null pointer says that the old mask is not wanted.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) })?;
        // SAFETY: the set is initialised.
        let signals = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        Ok(Self(own(signals)?))
    }

    /// The number of the next signal that has arrived.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        // SIGXFSZ says that a file is at its limit (`ulimit -f`). The write fails as well: no reason to end.
        std::iter::from_fn(|| self.next_of_all()).find(|&signal| signal != libc::SIGXFSZ)
    }

    fn next_of_all(&self) -> Option<i32> {
        // SAFETY: it is made of numbers, and each may be zero.
        let mut info = unsafe { std::mem::zeroed::<libc::signalfd_siginfo>() };
        let size = size_of_val(&info);
        // SAFETY: the pointer is to as many bytes as the size says, and any bytes are numbers.
        let count = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast::<c_void>(), size) };
        // The kernel fills it whole or not at all.
        if usize::try_from(count) == Ok(size) { i32::try_from(info.ssi_signo).ok() } else { None }
    }
}

impl std::os::fd::AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Raises the limit of open descriptors as far as it goes, and returns it.
///
/// # Errors
/// What the kernel says.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid for the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is valid for the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// Has children that are started from now on inherit a descriptor, or not.
///
/// # Errors
/// What the kernel says: there is no such descriptor.
pub fn set_inherited(descriptor: &impl AsRawFd, is_inherited: bool) -> io::Result<()> {
    let flags = if is_inherited { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: no pointers are passed.
    check(unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFD, flags) })
}

/// Takes over a descriptor that the parent has handed on, by its number; no child inherits it again. Call it once for each.
///
/// # Errors
/// What the kernel says: there is no such descriptor.
pub fn take_over(descriptor: u32) -> io::Result<OwnedFd> {
    let descriptor = RawFd::try_from(descriptor).map_err(io::Error::other)?;
    set_inherited(&descriptor, false)?;
    // SAFETY: it is open, and the parent has opened it for this process, in which no other owner knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The standard output once more.
///
/// # Errors
/// What the kernel says: there is none, or no descriptor left.
pub fn standard_output() -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    own(unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, 0) })
}

/// Whether a write of up to 4096 bytes (`PIPE_BUF`) need not wait: there is room for it, or it fails at once.
#[must_use]
pub fn has_room(output: &impl AsRawFd) -> bool {
    let mut output = libc::pollfd { fd: output.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: the pointer is to one entry.
    unsafe { libc::poll(&raw mut output, 1, 0) > 0 }
}

/// Allocates room on the disk for `bytes` at this place of a file; its length stays. Where the file system
/// cannot do that, nothing is done.
///
/// # Errors
/// What the kernel says: above all that there is no room.
pub fn allocate(file: &impl AsRawFd, at: u64, bytes: usize) -> io::Result<()> {
    let at = libc::off_t::try_from(at).map_err(io::Error::other)?;
    let bytes = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: no pointers are passed.
    let result = check(unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, at, bytes) });
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINTR)) => Ok(()),
        result => result,
    }
}

/// Whether a file is on a mount that is read-only, whatever its permissions say.
#[must_use]
pub fn is_read_only(file: &impl AsRawFd) -> bool {
    let mut mount = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the pointer is to one entry, which is filled in on success.
    check(unsafe { libc::fstatvfs(file.as_raw_fd(), mount.as_mut_ptr()) }).is_ok_and(|()| {
        // SAFETY: see above.
        unsafe { mount.assume_init() }.f_flag & libc::ST_RDONLY != 0
    })
}

/// Whether this process may write to what is at a path.
///
/// # Errors
/// What the kernel says: no permission, a mount that is read-only, or nothing is there.
pub fn may_write(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the text ends with a NUL and outlives the call.
    check(unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::W_OK, libc::AT_EACCESS) })
}

/// Sends a signal to a child that has not been waited for: until then no other process has its id.
///
/// # Errors
/// What the kernel says: there is no such signal.
pub fn signal(child: &Child, signal: c_int) -> io::Result<()> {
    let id = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    // SAFETY: no pointers are passed.
    check(unsafe { libc::kill(id, signal) })
}

/// The kernel's form of an action, zero after its first word. (The C library's refuses the signals of its threads.)
type Action = [usize; 8];

/// What a signal did until now. From now on it does something else by its default or is ignored, if there is a `next`.
fn action(signal: c_int, next: Option<usize>) -> io::Result<usize> {
    let next = next.map(|handler| -> Action { [handler, 0, 0, 0, 0, 0, 0, 0] });
    let (new, mut old): (_, Action) = (next.as_ref().map_or(ptr::null(), ptr::from_ref), [0; 8]);
    // SAFETY: the pointers are to an action without a handler of ours, or to none, and to room for more than one.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old.as_mut_ptr(), size_of::<u64>()) };
    check(result as c_int)?;
    Ok(old[0])
}

/// How long a process may live on after its parent, in seconds: three times what it takes to end by itself.
const ORPHAN_GRACE_S: libc::c_uint = 3;

/// The parent with which this process ends.
static PARENT: AtomicI32 = AtomicI32::new(0);

/// Makes this process end after its parent, however the parent ends: it gets SIGTERM then. If its loop does not turn, and it
/// has not ended `ORPHAN_GRACE_S` later, SIGALRM kills it. Returns whether `parent` still exists.
/// The kernel sends SIGCONT, which wakes a stopped process, and a handler makes the two others of it. SIGTERM itself would
/// wait in [`Signals`] to be read, by a loop that may never do so; SIGKILL would leave no time for last words.
///
/// # Errors
/// What the kernel says.
pub fn end_with_parent(parent: u32) -> io::Result<bool> {
    PARENT.store(libc::pid_t::try_from(parent).map_err(io::Error::other)?, Ordering::Relaxed);
    let handler: extern "C" fn(c_int) = on_continue;
    // SAFETY: no flags, no restorer and an empty mask are all zeroes on Linux.
    let mut action = unsafe { std::mem::zeroed::<libc::sigaction>() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler has this signature and calls nothing but what signal-safety(7) lists; a null pointer says that
    // the old action is not wanted.
    check(unsafe { libc::sigaction(libc::SIGCONT, &raw const action, ptr::null_mut()) })?;
    // SAFETY: no pointers are passed.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGCONT) })?;
    // It may have ended before.
    Ok(parent_id() == parent)
}

extern "C" fn on_continue(_: c_int) {
    // SAFETY: no pointers are passed.
    if unsafe { libc::getppid() } == PARENT.load(Ordering::Relaxed) {
        return;
    }
    // It is ignored until then, and a handler may call this (signal-safety(7)).
    // SAFETY: no handler of ours is passed.
    unsafe { libc::signal(SIGALRM, libc::SIG_DFL) };
    // SAFETY: no pointers are passed.
    unsafe { libc::alarm(ORPHAN_GRACE_S) };
    // SAFETY: no pointers are passed.
    unsafe { libc::raise(SIGTERM) };
}

/// Gives the process the name that `ps` and `pgrep` show; the kernel keeps 15 bytes of it.
///
/// # Errors
/// What the kernel says.
pub fn set_process_name(name: &CStr) -> io::Result<()> {
    // SAFETY: the pointer is to a string that ends in a zero byte.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) })
}

/// Binds to an address in the kernel's form.
pub(super) fn bind_name<T>(socket: &impl AsRawFd, name: &T) -> io::Result<()> {
    // SAFETY: the pointer is to an address of this size.
    check(unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(name).cast(), size_of::<T>() as socklen_t) })
}

/// Connects to an address in the kernel's form, of which this many bytes count.
pub(super) fn connect_name<T>(socket: &impl AsRawFd, name: &T, bytes: usize) -> io::Result<()> {
    let size = bytes.min(size_of::<T>()) as socklen_t;
    // SAFETY: the pointer is to an address that is at least of this size.
    check(unsafe { libc::connect(socket.as_raw_fd(), ptr::from_ref(name).cast(), size) })
}

pub(super) fn set_option<T: Copy>(socket: &impl AsRawFd, level: c_int, option: c_int, value: T) -> io::Result<()> {
    let size = size_of::<T>() as socklen_t;
    // SAFETY: the pointer is to a value of this size.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) })
}

/// Has a program of classic BPF look at each packet of a socket, for what the option says.
pub(super) fn set_program(socket: &impl AsRawFd, option: c_int, steps: &mut [libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    let (pointer, size) = ((&raw const filter).cast(), size_of_val(&filter) as socklen_t);
    // SAFETY: the pointer is to a value of this size, which has a pointer to as many steps as it says.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, pointer, size) })
}

fn own(descriptor: RawFd) -> io::Result<OwnedFd> {
    check(descriptor)?;
    // SAFETY: the kernel has just made this descriptor for us, and no other owner knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn check(result: c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::listening::{listen, reserve};
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

    #[test]
    fn a_listener_accepts_without_blocking() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        assert!(matches!(accept(&listener), Accepted::NonePending));
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let Accepted::Stream(stream, address) = accept(&listener) else { panic!("a peer has connected") };
        assert_eq!((stream.nodelay().unwrap(), address), (true, Ipv4Addr::LOCALHOST.into()));
        let error = io::Read::read(&mut &stream, &mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_unspecified_ipv6_address_takes_ipv4_too() {
        let Ok(listener) = listen((Ipv6Addr::UNSPECIFIED, 0).into()) else { return };
        let port = listener.local_addr().unwrap().port();
        let _peer = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(matches!(accept(&listener), Accepted::Stream(..)));
    }

    #[test]
    fn an_address_in_use_is_an_error() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = listen(listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_reserved_address_takes_no_connections_and_is_there_for_our_own_kind() {
        let reserved = reserve((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = reserved.local_addr().unwrap();
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let listener = listen(address).unwrap();
        for _ in 0..20 {
            let _peer = TcpStream::connect(address).unwrap();
            assert!(matches!(accept(&listener), Accepted::Stream(..)));
        }
    }
}
