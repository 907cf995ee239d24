//! The names of the metrics, their units, and what they are.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(crate) const REQUEST_DURATION: &str = "http.server.request.duration";
pub(crate) const ACTIVE_REQUESTS: &str = "http.server.active_requests";
pub(crate) const HANDSHAKES: &str = "websocket.handshakes";
pub(crate) const HANDSHAKES_FAILED: &str = "websocket.handshakes.failed";
pub(crate) const TLS_FAILURES: &str = "websocket.tls.failures";
pub(crate) const CONNECTIONS: &str = "websocket.connections";
pub(crate) const ACTIVE_CONNECTIONS: &str = "websocket.connections.active";
pub(crate) const CONNECTION_DURATION: &str = "websocket.connection.duration";
pub(crate) const CLOSES: &str = "websocket.closes";
pub(crate) const MESSAGES: &str = "websocket.messages";
pub(crate) const BYTES: &str = "websocket.bytes";
pub(crate) const FRAMES: &str = "websocket.frames";
pub(crate) const WIRE_BYTES: &str = "websocket.wire.bytes";
pub(crate) const UNCOMPRESSED_BYTES: &str = "websocket.uncompressed.bytes";
pub(crate) const COMPRESSED_BYTES: &str = "websocket.compressed.bytes";
pub(crate) const PINGS: &str = "websocket.pings";
pub(crate) const ROUND_TRIP_MEAN: &str = "websocket.round_trip.mean";
pub(crate) const ROUND_TRIP_MAX: &str = "websocket.round_trip.max";
pub(crate) const QUEUE_MESSAGES: &str = "websocket.queue.messages";
pub(crate) const QUEUE_BYTES: &str = "websocket.queue.bytes";
pub(crate) const SEND_WAITS: &str = "websocket.send.waits";
pub(crate) const SEND_WAITED: &str = "websocket.send.waited";
pub(crate) const BROADCASTS: &str = "websocket.broadcasts";
pub(crate) const MISSED: &str = "websocket.measurements.missed";
pub(crate) const QUOTA_LIMIT: &str = "websocket.quota.limit";
pub(crate) const QUOTA_USED: &str = "websocket.quota.used";
pub(crate) const QUOTA_REFUSED: &str = "websocket.quota.refused";
pub(crate) const QUOTA_SLOWED: &str = "websocket.quota.slowed";
pub(crate) const QUOTA_CLOSED: &str = "websocket.quota.closed";
pub(crate) const TOPICS: &str = "websocket.topics.active";
pub(crate) const TOPICS_MEMBERS: &str = "websocket.topics.members";
pub(crate) const TOPICS_PUBLISHED: &str = "websocket.topics.published";
pub(crate) const TOPICS_RELAYED: &str = "websocket.topics.relayed";
pub(crate) const TOPICS_DELIVERED: &str = "websocket.topics.delivered";
pub(crate) const TOPICS_SKIPPED: &str = "websocket.topics.skipped";
pub(crate) const TOPICS_RELAY_LOST: &str = "websocket.topics.relay.lost";

/// Describes the metrics of topics to the recorder.
pub(crate) fn describe_topics() {
    for (name, description) in [
        (TOPICS, "Topics that exist"),
        (TOPICS_MEMBERS, "Memberships of connections in topics"),
        (TOPICS_RELAY_LOST, "1 while the relay is without its broker"),
    ] {
        describe_gauge!(name, Unit::Count, description);
    }
    for (name, description) in [
        (TOPICS_PUBLISHED, "Messages published to topics on this node"),
        (TOPICS_RELAYED, "Messages of topics from other nodes"),
        (TOPICS_DELIVERED, "Messages of topics queued at members"),
        (TOPICS_SKIPPED, "Messages of topics skipped because a member was slow"),
    ] {
        describe_counter!(name, Unit::Count, description);
    }
}

/// Describes the metrics of servers to the recorder.
pub(crate) fn describe() {
    for (name, unit, description) in [
        (HANDSHAKES, Unit::Count, "Opening handshakes, by the status of the response"),
        (HANDSHAKES_FAILED, Unit::Count, "Handshakes without a valid request, by reason"),
        (TLS_FAILURES, Unit::Count, "TLS handshakes that failed"),
        (CONNECTIONS, Unit::Count, "Connections that were established"),
        (CLOSES, Unit::Count, "Connections that have ended, by close code"),
        (MESSAGES, Unit::Count, "Messages, by direction"),
        (BYTES, Unit::Bytes, "Payload of messages before compression, by direction"),
        (FRAMES, Unit::Count, "Frames, control frames included, by direction"),
        (WIRE_BYTES, Unit::Bytes, "Frames with their headers, without TLS, by direction"),
        (UNCOMPRESSED_BYTES, Unit::Bytes, "Payload of compressed messages, uncompressed"),
        (COMPRESSED_BYTES, Unit::Bytes, "Payload of compressed messages, compressed"),
        (PINGS, Unit::Count, "Pings, by direction"),
        (SEND_WAITS, Unit::Count, "Waits of senders for room in a queue"),
        (SEND_WAITED, Unit::Microseconds, "Time of senders that waited for room in a queue"),
        (BROADCASTS, Unit::Count, "Broadcasts to all connections"),
        (MISSED, Unit::Count, "Measurements that are missing in the histograms"),
        (QUOTA_REFUSED, Unit::Count, "Handshakes that were refused, by quota"),
        (QUOTA_SLOWED, Unit::Count, "Pauses in reading from clients that sent too fast, by quota"),
        (QUOTA_CLOSED, Unit::Count, "Connections that were closed, by quota"),
    ] {
        describe_counter!(name, unit, description);
    }
    for (name, unit, description) in [
        (ACTIVE_REQUESTS, Unit::Count, "Requests that are not answered yet"),
        (ACTIVE_CONNECTIONS, Unit::Count, "Connections that are open or closing"),
        (ROUND_TRIP_MEAN, Unit::Seconds, "Mean of the smoothed round trips of open connections"),
        (ROUND_TRIP_MAX, Unit::Seconds, "Longest smoothed round trip of an open connection"),
        (QUEUE_MESSAGES, Unit::Count, "Messages that wait to be written"),
        (QUEUE_BYTES, Unit::Bytes, "Bytes that wait to be written"),
        (QUOTA_LIMIT, Unit::Count, "Limits of quotas: handshakes, connections, or bytes"),
        (QUOTA_USED, Unit::Count, "Use of quotas: handshakes, connections, or bytes"),
    ] {
        describe_gauge!(name, unit, description);
    }
    for (name, description) in [
        (REQUEST_DURATION, "Time from a handshake's request to its response"),
        (CONNECTION_DURATION, "Time from the handshake to the end of a connection"),
    ] {
        describe_histogram!(name, Unit::Seconds, description);
    }
}
