//! What an operator meets: options, side ports, figures, accounts, replacement and shutdown.
//!
//! | file | owns |
//! |---|---|
//! | `accounts` | what events come to |
//! | `cli` | the command line |
//! | `demo` | the demo port |
//! | `drain` | how a process ends by a signal |
//! | `ending` | whatever happens to the supervisor, no worker is left behind |
//! | `environment` | settings by the environment, `--check`, and secrets as hosts mount them |
//! | `giving_up` | what a supervisor cannot make work it gives up, with one line |
//! | `local` | requests of this machine, and those that a web page elsewhere makes a browser send |
//! | `metrics` | what Prometheus is told |
//! | `notification` | the notification port |
//! | `patient_restart` | a rolling restart that does not show (`--leave-delay`) |
//! | `probes` | the stats port for others than this machine, and `--probe` |
//! | `process_page` | the page `/process` |
//! | `replacing` | a worker dies while its replacement lacks something |
//! | `reports` | the file of reports under load, locks and sockets |
//! | `rolling` | a rolling restart of all processes under load |
//! | `rules` | the dashboard for Grafana and the rules for Prometheus |
//! | `service` | what a service manager learns |
//! | `side_ports` | where the side ports listen, and what all of them have in common |
//! | `signals` | every signal to a supervisor, to a worker and to a process on its own |
//! | `standard_output` | standard output is the operator's, in all workers |
//! | `stats` | the stats port |
//! | `supervisor` | `-w N` |
//! | `workers` | daemons with several workers, by the ids that the supervisor logs |

mod accounts;
mod cli;
mod demo;
mod drain;
mod ending;
mod environment;
mod giving_up;
mod local;
mod metrics;
mod notification;
mod patient_restart;
mod probes;
mod process_page;
mod replacing;
mod reports;
mod rolling;
mod rules;
mod service;
mod side_ports;
mod signals;
mod standard_output;
mod stats;
mod supervisor;
mod workers;
