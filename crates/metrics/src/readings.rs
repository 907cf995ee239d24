//! Turns the counts of a server into what is new since the last reading.

use std::time::Duration;

use metrics::{Counter, Label, SharedString, counter, gauge, histogram};
use towline::{CloseCode, ErrorKind, Measurement, Mechanism, Quota, ServerStats, Traffic};

use crate::names;

/// The last reading, and the labels of all metrics.
///
/// Counters and gauges change by the difference to it, so that several servers add up.
#[derive(Default)]
pub(crate) struct Readings {
    labels: Vec<Label>,
    last: ServerStats,
}

impl Readings {
    pub(crate) fn add_label(&mut self, label: Label) {
        self.labels.push(label);
    }

    /// Reports what is new.
    pub(crate) fn read(&mut self, now: &ServerStats) {
        let last = std::mem::replace(&mut self.last, now.clone());
        let add = |name, before: u64, now: u64| {
            self.counter(name, &[]).increment(now.saturating_sub(before))
        };
        add(names::CONNECTIONS, last.connections_total, now.connections_total);
        add(names::TLS_FAILURES, last.tls_failed, now.tls_failed);
        add(names::SEND_WAITS, last.waits, now.waits);
        add(names::SEND_WAITED, micros(last.waited), micros(now.waited));
        add(names::BROADCASTS, last.broadcasts, now.broadcasts);
        // Registered even if nothing is ever missed.
        add(names::MISSED, 0, 0);

        let accepted = self.counter(names::HANDSHAKES, &[("status", "accepted".into())]);
        accepted.increment(now.accepted.saturating_sub(last.accepted));
        for (status, count) in &now.rejected {
            let before = last.rejected.get(status).copied().unwrap_or_default();
            let status = status.as_u16().to_string();
            self.counter(names::HANDSHAKES, &[("status", status.into())])
                .increment(count.saturating_sub(before));
        }
        // Registered before the first one, so that rates and alerts have what to begin with.
        for code in [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::ABNORMAL] {
            self.counter(names::CLOSES, &[("code", of_code(code))]).increment(0);
        }
        for (code, count) in &now.closed {
            let before = last.closed.get(code).copied().unwrap_or_default();
            self.counter(names::CLOSES, &[("code", of_code(*code))])
                .increment(count.saturating_sub(before));
        }
        for kind in [ErrorKind::HandshakeTimeout, ErrorKind::Handshake] {
            self.counter(names::HANDSHAKES_FAILED, &[("reason", kind.code().into())]).increment(0);
        }
        for (kind, count) in &now.failed {
            let before = last.failed.get(kind).copied().unwrap_or_default();
            let reason = ("reason", kind.code().into());
            self.counter(names::HANDSHAKES_FAILED, &[reason])
                .increment(count.saturating_sub(before));
        }
        self.read_traffic("sent", &last.sent, &now.sent);
        self.read_traffic("received", &last.received, &now.received);
        let add_pings = |direction, before: u64, now: u64| {
            self.pings(direction).increment(now.saturating_sub(before));
        };
        add_pings("sent", last.pings_sent, now.pings_sent);
        add_pings("received", last.pings_received, now.pings_received);
        self.read_quotas(&last, now);
        self.read_gauges(&last, now);
    }

    /// The use is that of all servers that share a quota, and so is the limit: they do not add up.
    fn read_quotas(&self, last: &ServerStats, now: &ServerStats) {
        for (quota, now) in &now.quotas {
            let before = last.quotas.get(quota).copied().unwrap_or_default();
            let label = [("quota", quota.option().into())];
            for (name, now) in [(names::QUOTA_LIMIT, now.limit), (names::QUOTA_USED, now.used)] {
                if let Some(now) = now {
                    gauge!(name, self.labels(&label)).set(now as f64);
                }
            }
            let add = |name, before: u64, now: u64| {
                self.counter(name, &label).increment(now.saturating_sub(before));
            };
            // Those that a quota can count are there before the first one.
            match quota {
                Quota::MessageRate | Quota::ByteRate => {
                    add(names::QUOTA_SLOWED, before.slowed, now.slowed);
                    add(names::QUOTA_CLOSED, before.closed, now.closed);
                }
                Quota::BufferedBytes => add(names::QUOTA_CLOSED, before.closed, now.closed),
                _ => add(names::QUOTA_REFUSED, before.refused, now.refused),
            }
        }
    }

    fn read_traffic(&self, direction: &'static str, last: &Traffic, now: &Traffic) {
        for (name, before, now) in [
            (names::MESSAGES, last.messages, now.messages),
            (names::BYTES, last.payload_bytes, now.payload_bytes),
            (names::FRAMES, last.frames, now.frames),
            (names::WIRE_BYTES, last.wire_bytes, now.wire_bytes),
            (names::UNCOMPRESSED_BYTES, last.plain_bytes, now.plain_bytes),
            (names::COMPRESSED_BYTES, last.compressed_bytes, now.compressed_bytes),
        ] {
            self.counter(name, &[("direction", direction.into())])
                .increment(now.saturating_sub(before));
        }
    }

    fn pings(&self, direction: &'static str) -> Counter {
        self.counter(names::PINGS, &[("direction", direction.into())])
    }

    fn read_gauges(&self, last: &ServerStats, now: &ServerStats) {
        for (name, before, now) in [
            (names::ACTIVE_CONNECTIONS, last.connections, now.connections),
            (names::ACTIVE_REQUESTS, last.requests, now.requests),
            (names::QUEUE_MESSAGES, last.queued_messages, now.queued_messages),
            (names::QUEUE_BYTES, last.queued_bytes, now.queued_bytes),
        ] {
            let gauge = gauge!(name, self.labels(&[]));
            if now >= before {
                gauge.increment((now - before) as f64);
            } else {
                gauge.decrement((before - now) as f64);
            }
        }
        for (name, before, now) in [
            (names::ROUND_TRIP_MEAN, last.round_trip_mean, now.round_trip_mean),
            (names::ROUND_TRIP_MAX, last.round_trip_max, now.round_trip_max),
        ] {
            // Once there is none, the last one would stay.
            if before.or(now).is_some() {
                let now = now.unwrap_or_default().as_secs_f64();
                gauge!(name, self.labels(&[])).set(now);
            }
        }
    }

    /// Records a measurement in its histogram.
    pub(crate) fn record(&self, measurement: &Measurement) {
        match measurement {
            Measurement::Handshake { status, mechanism, is_secure, duration, .. } => {
                let (method, version) = match mechanism {
                    Mechanism::ExtendedConnect => ("CONNECT", "2"),
                    _ => ("GET", "1.1"),
                };
                let labels = self.labels(&[
                    ("http.request.method", method.into()),
                    ("http.response.status_code", status.as_u16().to_string().into()),
                    ("network.protocol.version", version.into()),
                    ("url.scheme", if *is_secure { "https" } else { "http" }.into()),
                ]);
                histogram!(names::REQUEST_DURATION, labels).record(duration.as_secs_f64());
            }
            Measurement::Ended { closed, stats, .. } => {
                let labels = self.labels(&[("code", of_code(closed.code()))]);
                histogram!(names::CONNECTION_DURATION, labels).record(stats.age.as_secs_f64());
            }
            Measurement::Missed(count) => self.counter(names::MISSED, &[]).increment(*count),
            _ => {}
        }
    }

    fn counter(&self, name: &'static str, own: &[(&'static str, SharedString)]) -> Counter {
        counter!(name, self.labels(own))
    }

    fn labels(&self, own: &[(&'static str, SharedString)]) -> Vec<Label> {
        let own = own.iter().map(|(name, value)| Label::new(*name, value.clone()));
        self.labels.iter().cloned().chain(own).collect()
    }
}

/// Gauges of a server that is not observed any more are without what it has added. The use of its quotas
/// is 0, until another server that shares them is read.
impl Drop for Readings {
    fn drop(&mut self) {
        self.read_gauges(&self.last, &ServerStats::default());
        for (quota, stats) in &self.last.quotas {
            if stats.used.is_some() {
                let label = [("quota", quota.option().into())];
                gauge!(names::QUOTA_USED, self.labels(&label)).set(0.0);
            }
        }
    }
}

/// The label for a close code. The codes that peers can choose count together.
fn of_code(code: CloseCode) -> SharedString {
    match code.class().get() {
        0 => "other".into(),
        code => code.to_string().into(),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
