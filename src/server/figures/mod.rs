//! What this process and its audience come to, in numbers: the metrics, and the view that they are read from.
//!
//! | file | owns |
//! |---|---|
//! | `tally` | running counts that belong to no single room |
//! | `view` | the process at one moment: what figures may read |
//! | `family` | the shape of a family of metrics: name, help, label, getter |
//! | `families` | the table of families; a new metric is an entry there |
//! | `metrics` | the counters of a process in the order of a datagram |
//! | `page` | the page of the processes of this host |
//! | `audience` | figures of the whole audience |
//! | `announced` | the counters that this node has announced |
//! | `largest` | the largest namespaces, and the sum of the others |
//! | `exposition` | the text format of Prometheus |
//!
//! Of the other rooms of the server, the files here import `troubles` alone: the rooms above fill the view.

pub(in crate::server) mod announced;
pub(in crate::server) mod audience;
pub(in crate::server) mod exposition;
mod families;
mod family;
pub(in crate::server) mod largest;
pub(in crate::server) mod metrics;
pub(in crate::server) mod page;
pub(in crate::server) mod tally;
pub(in crate::server) mod view;
