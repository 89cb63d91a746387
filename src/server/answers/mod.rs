//! What requests are answered with.
//!
//! | file | owns |
//! |---|---|
//! | `answer` | what an answer is, and what it is made from |
//! | `audience_port` | answers of the audience port: joins, leaving, scripts |
//! | `stats_port` | answers of the stats port |
//! | `notification_port` | answers of the notification port |
//! | `demo_port` | answers of the demo port |
//! | `route` | what a request on the audience port asks for |
//! | `admission` | which events there are, and whether an address is signed |
//! | `access` | whether a request comes from where its port expects it |
//! | `watching` | answers to requests to watch, on two ports |
//! | `pages` | the pages of the stats port about the cluster and this process |
//! | `cursor` | replies that are too long for one turn |
//! | `assets` | the embedded pages and scripts |
//! | `replies` | the forms of short replies |
//!
//! This file owns the choice of the port. Answers keep no state but what was decided at start, and whether a warning was
//! logged. A request comes in, the audience is called, and figures are read from a view. Bytes come out, with a word about
//! what becomes of the connection.
//!
//! Invariant: an answer touches no socket, and a request that is refused has no effect on the audience.

mod access;
mod admission;
pub(in crate::server) mod answer;
mod assets;
mod audience_port;
pub(in crate::server) mod cursor;
mod demo_port;
mod notification_port;
mod pages;
mod replies;
mod route;
mod stats_port;
mod watching;

use crate::collections::tick::Now;
use crate::config::Config;
use crate::server::audience::Audience;
use crate::server::figures::metrics::Metrics;
use crate::server::ports::port::Port;
use crate::wire::http::{Refusal, Request};
use crate::wire::reply::DateField;
use answer::{AfterReply, Answer, Asker, Confirmation, Returning, Sources};
use audience_port::AudiencePort;
use cursor::Cursor;
use demo_port::DemoPort;
use notification_port::NotificationPort;
use stats_port::StatsPort;

/// All that was decided at start about answers.
pub(in crate::server) struct Answers {
    audience: AudiencePort,
    stats: StatsPort,
    notification: NotificationPort,
    demo: DemoPort,
    date: DateField,
}

impl Answers {
    /// Ready to answer, with pages that join on `audience_port`, and with these metrics.
    ///
    /// # Errors
    /// A token or a key that cannot be read, as a line for a person.
    pub(in crate::server) fn new(
        config: &Config,
        audience_port: u16,
        metrics: &'static Metrics,
        now: Now,
    ) -> Result<Self, String> {
        Ok(Self {
            audience: AudiencePort::new(config, now)?,
            stats: StatsPort::new(config, metrics)?,
            notification: NotificationPort::new(config)?,
            demo: DemoPort::new(audience_port),
            date: DateField::default(),
        })
    }

    /// Answers a request, and its body if that has been read. The bytes are written into `buffer`, whose earlier contents are
    /// dropped.
    pub(in crate::server) fn answer<'a>(
        &mut self,
        request: &Request<'_>,
        body: Option<&[u8]>,
        asker: Asker,
        sources: Sources<'_>,
        buffer: &'a mut Vec<u8>,
        now: Now,
    ) -> Answer<'a> {
        buffer.clear();
        let after = match asker.port {
            Port::Audience => self.audience.answer(request, asker, sources.audience, buffer, now),
            Port::Stats => self.stats.answer(request, asker, sources, buffer, now),
            Port::Notification => self.notification.answer(request, body, sources.audience, buffer, now),
            Port::Demo => self.demo.answer(request, buffer),
        };
        if matches!(after, AfterReply::ReadBody) {
            return Answer { bytes: buffer, after };
        }
        self.dated(buffer, after, now)
    }

    /// Answers a page that comes back after a farewell, once it is known whether another stream has its uuid.
    pub(in crate::server) fn let_back<'a>(
        &mut self,
        returning: &Returning,
        is_held: bool,
        asker: Asker,
        audience: &mut Audience,
        buffer: &'a mut Vec<u8>,
        now: Now,
    ) -> Answer<'a> {
        buffer.clear();
        let after = self.audience.let_back(returning, is_held, asker, audience, buffer, now);
        self.dated(buffer, after, now)
    }

    /// Answers what is no request. At the ports for pages, any page may read why.
    pub(in crate::server) fn refuse<'a>(
        &mut self,
        refusal: Refusal,
        port: Port,
        is_head: bool,
        buffer: &'a mut Vec<u8>,
        now: Now,
    ) -> Answer<'a> {
        buffer.clear();
        let push =
            if matches!(port, Port::Audience | Port::Demo) { replies::push_public_text } else { replies::push_text };
        push(buffer, refusal.status(), &refusal, is_head);
        self.dated(buffer, AfterReply::Drain, now)
    }

    /// Answers a message that is settled, of which this number of living nodes has confirmed nothing.
    pub(in crate::server) fn confirm<'a>(
        &mut self,
        confirmation: &Confirmation,
        unconfirmed: usize,
        audience: &mut Audience,
        buffer: &'a mut Vec<u8>,
        now: Now,
    ) -> Answer<'a> {
        buffer.clear();
        notification_port::push_settled(buffer, confirmation, unconfirmed, &audience.meter.mail(now));
        self.dated(buffer, AfterReply::Drain, now)
    }

    /// The answer that has been written, with its date.
    fn dated<'a>(&mut self, buffer: &'a mut Vec<u8>, after: AfterReply, now: Now) -> Answer<'a> {
        self.date.insert(buffer, now.unix_s());
        Answer { bytes: buffer, after }
    }
}

/// The JSON without a head, for a client that connects and says nothing.
pub(in crate::server) fn raw_stats() -> Answer<'static> {
    Answer { bytes: &[], after: AfterReply::DrainPieces(Box::new(Cursor::stats())) }
}
