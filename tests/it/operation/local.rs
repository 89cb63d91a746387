//! Requests of this machine, and those that a web page elsewhere makes a browser send.

use std::net::SocketAddr;

/// What a web page elsewhere makes a browser send.
pub(super) const FOREIGN: [&str; 15] = [
    "Host: evil.example\r\n",
    "Host: evil.example:1442\r\n",
    "Host: localhost.evil.example\r\n",
    "Host: 127.0.0.1.evil.example\r\n",
    "Host: evil-localhost\r\n",
    "Host: 192.0.2.1\r\n",
    "Host: localhost\r\nOrigin: http://evil.example\r\n",
    "Host: localhost\r\nOrigin: http://localhost.evil.example\r\n",
    "Host: localhost\r\nOrigin: null\r\n",
    "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
    "Host: localhost\r\nsec-fetch-site:cross-site\r\n",
    "Host: localhost\r\nOrigin: http://localhost\r\nSec-Fetch-Site: cross-site\r\n",
    "Host: 127.evil.example\r\n",
    "Host: ip6-localhost.evil.example\r\n",
    "Host: localhost..\r\n",
];

/// What somebody on this machine sends, for the port of `address`.
pub(super) fn local(address: SocketAddr) -> [String; 12] {
    let port = address.port();
    [
        format!("Host: localhost:{port}\r\n"),
        "Host: localhost\r\n".to_owned(),
        format!("Host: 127.0.0.1:{port}\r\n"),
        format!("Host: [::1]:{port}\r\n"),
        format!("Host: localhost.:{port}\r\n"),
        format!("Host: ip6-localhost:{port}\r\n"),
        format!("Host: IP6-Loopback:{port}\r\n"),
        format!("Host: 127.1:{port}\r\n"),
        "Host: 127.255.255.254\r\n".to_owned(),
        format!("Host: [::ffff:127.0.0.1]:{port}\r\n"),
        format!("Host: LocalHost:{port}\r\nSec-Fetch-Site: none\r\n"),
        format!("Host: localhost:{port}\r\nSec-Fetch-Site: same-origin\r\n"),
    ]
}
