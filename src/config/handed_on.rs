//! What a supervisor hands on to its workers of the settings: what is in files with secrets, and the addresses of peers and
//! brokers.
//!
//! Owns the order of the files. What was right when the supervisor started is not judged anew by a worker that starts later:
//! the supervisor reads the files before each start, and hands on what it has read last.
//!
//! Invariant: at its start, a worker reads no file with a secret and waits for no name server.

use std::net::SocketAddr;

use super::credentials::credentials_in;
use super::key::{SecretFile, keys_in, token_in};
use super::{Config, Peer};
use crate::log;
use crate::wire::handover::{self, Frame};

/// What is wrong with the content of a file, if something is.
type Judge = fn(&[u8]) -> Result<(), String>;

/// The files with secrets, as a supervisor has read them last.
#[derive(Debug, Default)]
pub struct Secrets {
    contents: Vec<(u8, Vec<u8>)>,
}

impl Secrets {
    /// Reads all files that the settings name.
    ///
    /// # Errors
    /// What is wrong with one of them, as a line for a person.
    pub fn read(config: &mut Config) -> Result<Self, String> {
        let mut contents = Vec::new();
        for (number, file, judge) in config.secret_files() {
            contents.push((number, read(file, judge)?));
        }
        Ok(Self { contents })
    }

    /// Reads the files again. Of one that cannot be used now, the content stays as it was, and the log warns.
    pub fn reread(&mut self, config: &mut Config) {
        for ((_, content), (_, file, judge)) in self.contents.iter_mut().zip(config.secret_files()) {
            match read(file, judge) {
                Ok(next) => *content = next,
                Err(problem) => log::warn("secret_kept", &[("error", problem[..].into())]),
            }
        }
    }

    /// Appends what a worker gets.
    pub fn push(&self, out: &mut Vec<u8>) {
        for (number, content) in &self.contents {
            handover::push(out, &Frame::Secret(*number, content));
        }
    }
}

fn read(file: &SecretFile, judge: Judge) -> Result<Vec<u8>, String> {
    let content = file.read()?;
    judge(&content).map_err(|problem| file.explain(&problem))?;
    Ok(content)
}

impl Config {
    /// The files with secrets, each with its number.
    fn secret_files(&mut self) -> impl Iterator<Item = (u8, &mut SecretFile, Judge)> {
        let are_keys: Judge = |content| keys_in(content).map(drop);
        let is_token: Judge = |content| token_in(content).map(drop);
        let key = self.cluster.key.as_mut().and_then(|key| key.file());
        let [of_stats, of_notification] =
            [&mut self.stats, &mut self.notification].map(|port| port.token.as_mut().and_then(|token| token.file()));
        let are_credentials: Judge = |content| credentials_in(content).map(drop);
        let credentials = self.cluster.credentials.as_mut().and_then(|credentials| credentials.file());
        let join_key = self.admission.key.as_mut().and_then(|key| key.file());
        let files = [
            (key, are_keys),
            (of_stats, is_token),
            (of_notification, is_token),
            (credentials, are_credentials),
            (join_key, are_keys),
        ];
        (0..).zip(files).filter_map(|(number, (file, judge))| Some((number, file?, judge)))
    }

    /// A host of this name has these addresses now.
    pub fn set_addresses(&mut self, name: &str, addresses: &[SocketAddr]) {
        self.hosts_mut().filter(|host| host.name == name).for_each(|host| host.addresses = addresses.to_vec());
    }

    /// The other hosts: the peers, and the servers of the broker.
    pub fn hosts(&self) -> impl Iterator<Item = &Peer> {
        let servers = self.cluster.broker.iter().flat_map(|broker| &broker.servers);
        self.cluster.peers.iter().chain(servers)
    }

    /// The same, to be changed.
    fn hosts_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        let servers = self.cluster.broker.iter_mut().flat_map(|broker| &mut broker.servers);
        self.cluster.peers.iter_mut().chain(servers)
    }

    /// Appends the addresses of the hosts that have names, for a worker.
    pub fn push_peers(&self, out: &mut Vec<u8>) {
        let has_name = |host: &Peer| host.name.parse::<SocketAddr>().is_err();
        for (place, peer) in (0..).zip(self.hosts()).filter(|(_, host)| has_name(host)) {
            peer.addresses.iter().for_each(|&address| handover::push(out, &Frame::Peer(place, address)));
        }
    }

    /// Takes what a supervisor has handed on, if it is of the settings.
    pub fn adopt(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Secret(number, content) => {
                if let Some((_, file, _)) = self.secret_files().find(|(known, ..)| known == number) {
                    file.set_handed_on(Some(content.to_vec()));
                }
            }
            Frame::Peer(place, address) => {
                if let Some(peer) = self.hosts_mut().nth(usize::from(*place)) {
                    peer.addresses.push(*address);
                }
            }
            _ => {}
        }
    }
}
