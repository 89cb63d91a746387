//! What `--help` says, which is also how the README lists the options.
//!
//! Owns the words. That every option of them is parsed, and every one that is parsed is in them, is tested from outside.

/// The usage text, with every option and its default.
pub const USAGE: &str = "\
Usage: audience-meter [options]

Tells how many people are at a live event, to everybody who is there.

Options:

  -h, --help                           output usage information
  -V, --version                        output the version number
  -d, --debug                          log everything
  -w, --workers <num>                  number of worker processes to spawn (default the number of CPUs)
  -m, --cluster-addr <ip:port>         use a given multicast IP:PORT to sync several instances of audience-meter
                                       (by default, instances on one host and port are synced over loopback;
                                       preferred address is 239.255.13.37:314)
      --cluster-ttl <num>              how many routers multicast datagrams may pass, plus one (default 1)
      --cluster-interface <ip>         address of the interface to use for multicast (default as the routes say)
      --cluster-peers <host:port,...>  audience ports of other hosts to sync with by unicast, where there is no
                                       multicast
      --cluster-key-file <path>        file with a key of at least 16 bytes that all instances share, readable by its
                                       owner only (default the environment variable AUDIENCE_METER_CLUSTER_KEY)
      --cluster-max-nodes <num>        number of other instances that are believed (default 256)
      --cluster-max-namespaces <num>   number of namespaces that each of them may tell of (default 1000000)
      --port <port>                    audience port (default 80, or the environment variable PORT; 0 lets the
                                       system choose)
      --host <ip>                      address of the audience and demo ports (default all, IPv4 and IPv6, or the
                                       environment variable HOST)
      --max-conn-duration <seconds>    maximum number of seconds a connection can stay established; the last tenth
                                       is left to chance, so that those who came together do not leave together
                                       (default 3600, 0 to disable)
      --enable-uuid                    take the second segment of a path for a UUID, and prevent several connections
                                       with the same one
      --cluster-notify-interval <seconds>
                                       longest interval between notifications of changes of a node; it is shorter the
                                       fewer nodes there are, down to 0.05 (default 2)
      --cluster-node-timeout <seconds> delay after which a node's members are forgotten if nothing is heard of it
                                       (default 5)
      --notify-delta-ratio <ratio>     minimum change of the number of members before listeners are notified, as a
                                       fraction of the number they were told last (default 0.1)
      --notify-min-delay <seconds>     minimum delay between notifications (default 2)
      --notify-max-delay <seconds>     delay after which listeners are notified even of a smaller change, or of none
                                       (default 25)
      --increment-delay <seconds>      number of seconds a member must stay before it is counted, to mitigate floods
                                       of connections and disconnections (default 0)
      --namespace-clean-delay <seconds>
                                       delay before an empty namespace is forgotten (default 60)
      --head-timeout <seconds>         number of seconds within which a request head must have arrived (default 10)
      --max-connections <num>          number of members of a process (default what the limit of descriptors, raised as
                                       far as it may be, is enough for)
      --max-conn-per-ip <num>          number of members of one address, or IPv6 network of 64 bits, that a process
                                       counts; it serves more of them, uncounted (default no limit)
      --trust-proxy <cidr,...>         proxies that are believed for whom they connect, by the PROXY protocol or
                                       X-Forwarded-For (default none)
      --max-namespaces <num>           number of namespaces, past which a process lets nobody in who would make another
                                       (default 250000)
      --max-name-length <bytes>        length of a namespace's name, and of a UUID (default 255, which is the most)
      --max-heads <num>                number of connections to a process whose request head has not arrived whole
                                       (default 4096)
      --peer-timeout <seconds>         delay after which a member is gone whose machine answers nothing, counted from
                                       what was last sent to it (default 30, 0 to disable)
      --drain-delay <seconds>          number of seconds over which members are let go, one after the other, when the
                                       process is told to end (default 5, 0 for all at once)
      --retry-min <seconds>            browsers are told to wait at least this long before they come back (default 2)
      --retry-max <seconds>            and at most this long, at random for each (default 10)
      --allow-origin <list>            origins whose pages may join, separated by commas (default *, all)
      --allow-listen                   let anybody watch namespaces at the audience port without being counted, as at the
                                       stats port: /?watch=name,prefix*,*
      --milestones <list>              totals whose crossing is told to those who watch, separated by commas (default
                                       10,100,1000 and so on up to 1000000000)
      --report-file <path>             file to which a line of JSON is appended when an event is over: how many there
                                       were at most and when, for how long, and how many ever
      --history-namespaces <num>       number of namespaces of which the last 24 hours are kept, minute by minute; the
                                       largest keep theirs (default 100, 0 to disable)
      --metrics-namespaces <num>       number of namespaces that have series of their own in the metrics, the largest; the
                                       others are summed up (default 20)
      --demo-port <port>               public port on which to bind the demo server (default 8080, 0 to disable)
      --stats-port <port>              local port on which to bind the stats server (default 1442, 0 to disable)
      --notification-port <port>       local port on which to bind the notification server (default 2442, 0 to
                                       disable)
      --notification-host <ip>         address of the notification port (default loopback; any other asks for a token)
      --notification-token-file <path> file with a token of at least 16 bytes that has to come with every message
                                       (`Authorization: Bearer <token>`), readable by its owner only

Every duration takes fractions of a second, as in 0.5.
";
