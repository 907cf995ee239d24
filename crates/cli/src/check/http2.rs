//! WebSockets over HTTP/2 (RFC 8441).

use serde_json::json;
use tokio::time::{Instant, timeout};
use towline::{Client, CloseCode, Config, Connection, Error, ErrorKind, HttpVersion};

use crate::check::doctor::{Doctor, Trouble};
use crate::check::finding::Finding;
use crate::check::way::{NoWay, in_options};

/// Asks for HTTP/2 by ALPN, and for an extended CONNECT.
pub(crate) async fn http2(doctor: &mut Doctor) {
    if !doctor.way.target.is_secure() {
        let why = "over ws:// a server has to know that HTTP/2 is meant; browsers use it over wss:// only";
        doctor.add(Finding::unseen("http2", why));
        return;
    }
    let finding = extended(doctor).await.unwrap_or_else(|trouble| trouble.of("http2"));
    doctor.add(finding);
}

async fn extended(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let check = "http2";
    let rfc = "RFC 8441, section 3";
    doctor.take_a_place().await?;
    let client = doctor.client(Config::client()).http_version(HttpVersion::Http2);
    let error = match opened(doctor, client).await? {
        Ok(mut connection) => {
            let _ = timeout(doctor.way.step, connection.close(CloseCode::NORMAL, "")).await;
            return Ok(Finding::ok(check, "a WebSocket over HTTP/2 opens (extended CONNECT)")
                .rfc(rfc)
                .values(json!({ "works": true })));
        }
        Err(error) => error,
    };
    let message = in_options(&error);
    let finding = match error.kind() {
        ErrorKind::HttpResponse => Finding::warning(check, format!("HTTP/2 with SETTINGS_ENABLE_CONNECT_PROTOCOL, and then: {message}"))
            .advice("browsers that share an HTTP/2 connection get this answer: take WebSockets over it, or leave the setting out"),
        ErrorKind::HandshakeTimeout => Finding::warning(check, message).advice("see what the server does with an extended CONNECT"),
        ErrorKind::NoExtendedConnect => {
            Finding::note(check, "HTTP/2, without SETTINGS_ENABLE_CONNECT_PROTOCOL: clients open another connection, over HTTP/1.1")
        }
        ErrorKind::NoApplicationProtocol => {
            Finding::note(check, "HTTP/1.1 only: \"h2\" was not selected by ALPN")
        }
        _ => Finding::note(check, format!("no WebSocket over HTTP/2: {message}")),
    };
    Ok(finding.rfc(rfc).values(json!({ "works": false })))
}

/// Opens a stream, and a WebSocket on it: if there is no stream, that is not about HTTP/2.
async fn opened(
    doctor: &mut Doctor,
    client: Client,
) -> Result<Result<Connection, Box<Error>>, Trouble> {
    let transport = match doctor.way.open_by(client.clone(), doctor.deadline).await {
        Ok(transport) => transport,
        Err(NoWay::Library(error)) if error.kind() == ErrorKind::NoApplicationProtocol => {
            return Ok(Err(error));
        }
        Err(no_way) => return Err(doctor.excused(Trouble::Failed(no_way.to_string()))),
    };
    let left = doctor.deadline.saturating_duration_since(Instant::now());
    let client = client.connect_timeout(doctor.way.step.min(left));
    let connected = client.connect_over(transport, doctor.asked.uri.to_string()).await;
    Ok(connected.map_err(Box::new))
}
