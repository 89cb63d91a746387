//! The name server of a network: it answers for the names of a test, whose addresses may change.
//!
//! It stands at the switch, so it stays where it is when hosts move, and speaks as much of RFC 1035 as a look-up by UDP needs.

use std::collections::HashMap;
use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use super::inside::inside;
use super::{Network, settings_of};
use crate::{ms, run};

/// Its address in the network.
const ADDRESS: &str = "10.77.13.200";

/// The answer of a name that is not known (RFC 1035 section 4.1.1).
const NO_SUCH_NAME: u8 = 3;

#[derive(Default)]
struct Shared {
    /// The IPv4 addresses of each name.
    names: Mutex<HashMap<String, Vec<[u8; 4]>>>,
    is_silent: AtomicBool,
    is_over: AtomicBool,
}

/// A name server, ended when this value is dropped.
pub struct Resolver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    /// Starts it. Programs that start at a host from now on ask it.
    pub fn start(network: &Network) -> Self {
        run("ip", &["-n", &network.switch, "address", "add", &format!("{ADDRESS}/24"), "dev", "bridge"]);
        for host in &network.hosts {
            let folder = settings_of(host);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("resolv.conf"), format!("nameserver {ADDRESS}\n")).unwrap();
        }
        let socket = inside(&network.switch, || UdpSocket::bind((ADDRESS, 53)).unwrap());
        socket.set_read_timeout(Some(ms(100))).unwrap();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = Some(thread::spawn(move || serve(&socket, &theirs)));
        Self { shared, thread }
    }

    /// From now on a name stands for these addresses; for none, there is no such name.
    pub fn set(&self, name: &str, addresses: &[String]) {
        let octets = addresses.iter().map(|address| address.parse::<std::net::Ipv4Addr>().unwrap().octets());
        self.shared.names.lock().unwrap().insert(name.to_owned(), octets.collect());
    }

    /// Answers nothing any more, or all again.
    pub fn set_silent(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Relaxed);
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 512];
    while !shared.is_over.load(Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        if shared.is_silent.load(Relaxed) {
            continue;
        }
        if let Some(answer) = answer(&buffer[..length], &shared.names.lock().unwrap()) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to a question about addresses.
fn answer(question: &[u8], names: &HashMap<String, Vec<[u8; 4]>>) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at - length..at)?).to_ascii_lowercase());
    }
    let question = question.get(..at + 4)?;
    let addresses = names.get(&labels.join(".")).map_or(&[][..], Vec::as_slice);
    let is_for_ipv4 = question.get(at..at + 2)? == [0, 1];
    let answers: &[[u8; 4]] = if is_for_ipv4 { addresses } else { &[] };
    let mut out = question.to_vec();
    // It is an answer, recursion is there, and one question comes back.
    out[2..4].copy_from_slice(&[0x81, 0x80 | if addresses.is_empty() { NO_SUCH_NAME } else { 0 }]);
    out[4..12].copy_from_slice(&[0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0]);
    for octets in answers {
        // The name of the question, an IPv4 address, not to be kept, of four bytes.
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        out.extend(octets);
    }
    Some(out)
}
