//! The opening handshake: what the server answers, also to requests that are slightly different.

use http::header::{CONNECTION, LOCATION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use serde_json::json;

use crate::check::doctor::{Answer, Doctor, Trouble};
use crate::check::finding::Finding;
use crate::check::talk::Talk;
use crate::exit::Exit;
use crate::secrets;

/// Asks as a usual client does. Returns the connection, or the exit code if there is none.
pub(crate) async fn handshake(doctor: &mut Doctor) -> Result<Talk, Exit> {
    let answer = match doctor.ask(|_| ()).await {
        Ok(answer) => answer,
        Err(trouble) => {
            if doctor.is_late() {
                doctor.add(trouble.of("handshake"));
                return Err(Exit::TimedOut);
            }
            let exit = match trouble {
                Trouble::OutOfTime | Trouble::Silent(_) => Exit::TimedOut,
                _ => Exit::Refused,
            };
            doctor.add(
                Finding::fault("handshake", trouble.to_string())
                    .rfc("RFC 6455, section 4.2.2")
                    .advice("see whether the port is that of an HTTP server, and whether it waits for another"),
            );
            return Err(exit);
        }
    };
    let hints = hints(&answer);
    let status = answer.status();
    let values = json!({ "status": status.as_u16(), "server": answer.header("server"), "via": answer.header("via") });
    if answer.talk.is_none() {
        let refused = refused(&answer, doctor.way.proxy.is_some());
        doctor.report.add(refused.values(values));
        if let Some(hints) = hints {
            doctor.report.add(Finding::note("between", hints));
        }
        return Err(Exit::Refused);
    }
    let wrong = wrong(&answer);
    doctor.report.add(match wrong.is_empty() {
        true => Finding::ok("handshake", "101, with the right Sec-WebSocket-Accept"),
        false => Finding::fault("handshake", format!("101, but {}", wrong.join("; ")))
            .advice("clients have to refuse this: use a WebSocket library for the handshake, or see what the proxy changes"),
    }.rfc("RFC 6455, section 4.2.2").values(values));
    if let Some(hints) = hints {
        doctor.report.add(Finding::note("between", hints));
    }
    let odd = odd(&answer);
    if !odd.is_empty() {
        doctor.report.add(
            Finding::warning("headers", odd.join("; "))
                .rfc("RFC 9110, sections 6.4.1 and 8.6")
                .advice("a 101 has no body, so it has no Content-Length and no Transfer-Encoding"),
        );
    }
    answer.talk.ok_or(Exit::Refused)
}

/// What is wrong with a 101, as the ends of a sentence.
fn wrong(answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    if answer.response.version() < http::Version::HTTP_11 {
        wrong.push("the response is HTTP/1.0".to_owned());
    }
    let upgrade = answer.header("upgrade").unwrap_or_default();
    if !upgrade.eq_ignore_ascii_case("websocket") {
        wrong.push(format!("Upgrade is {upgrade:?} and not \"websocket\""));
    }
    let connection = answer.response.headers().get_all(CONNECTION).iter();
    let has_upgrade = connection
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")));
    if !has_upgrade {
        wrong.push("Connection has no \"Upgrade\"".to_owned());
    }
    match answer.header("sec-websocket-accept") {
        Some(accept) if accept == answer.accept => {}
        Some(_) => {
            wrong.push("Sec-WebSocket-Accept does not answer the key that was sent".to_owned())
        }
        None => wrong.push("Sec-WebSocket-Accept is missing".to_owned()),
    }
    if answer.response.headers().contains_key("sec-websocket-extensions") {
        wrong.push("an extension was agreed on that was not offered".to_owned());
    }
    wrong
}

/// Headers of a 101 that do no harm to most clients.
fn odd(answer: &Answer) -> Vec<String> {
    let headers = answer.response.headers();
    ["content-length", "transfer-encoding"]
        .into_iter()
        .filter(|name| headers.contains_key(*name))
        .map(|name| format!("the 101 has {name}"))
        .collect()
}

/// What the headers say of a server or proxy between, if they do.
fn hints(answer: &Answer) -> Option<String> {
    let names =
        ["server", "via", "x-powered-by", "cf-ray", "x-cache", "x-served-by", "x-amz-cf-id"];
    let found: Vec<_> = names
        .into_iter()
        .filter_map(|name| {
            let value = answer.header(name)?;
            Some(match name {
                "server" | "via" | "x-powered-by" => {
                    format!("{name}: {}", value.chars().take(80).collect::<String>())
                }
                _ => name.to_owned(),
            })
        })
        .collect();
    (!found.is_empty()).then(|| format!("the response names what sent it: {}", found.join(", ")))
}

/// Why there was no 101, from what the answer looks like.
fn refused(answer: &Answer, is_proxied: bool) -> Finding {
    let status = answer.status();
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let is_html = body.contains("<html") || body.contains("<!doctype");
    let is_between = answer.response.headers().contains_key("via") || is_proxied;
    let stripped = "it looks as if the request came without Upgrade: a proxy between has to pass it on \
        (nginx: proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and Connection \"upgrade\"; \
        Apache: mod_proxy_wstunnel; load balancers: HTTP/1.1 to the server)";
    let mentions_upgrade = body.contains("upgrade") || body.contains("websocket");
    let location = answer.response.headers().get(LOCATION);
    let location =
        location.map(|location| secrets::url(&String::from_utf8_lossy(location.as_bytes())));
    let advice = match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => {
            "browsers and most clients follow no redirect of a handshake: use the URL that it leads to, \
             or --follow-redirects 1"
        }
        401 | 407 => {
            "the server wants credentials: -H 'Authorization: …' or a cookie, or user:password@ in the URL"
        }
        403 => {
            "it may be the Origin: --origin URL sends that of your page; or credentials: -H 'Cookie: …'"
        }
        404 => {
            "the path is not that of the WebSocket, or a proxy between sends it elsewhere or removes Upgrade"
        }
        // The request had the version that every server speaks.
        426 | 505 => stripped,
        400 if body.contains("https") || body.contains("tls") => "the port speaks TLS: use wss://",
        400 if mentions_upgrade || is_between => stripped,
        400 => {
            "the server did not like the request: it may need a subprotocol (--protocol NAME), a header (-H), \
                or it did not see Upgrade, which a proxy may have removed"
        }
        200..=299 if is_html => {
            "this is a page, as if the request were a plain GET: the path is not that of the \
                WebSocket, or a proxy between removes Upgrade (nginx: proxy_set_header Upgrade $http_upgrade)"
        }
        200..=299 => stripped,
        502..=504 => {
            "a proxy or load balancer could not reach the server behind it, or all are busy: see whether it runs, \
                      and whether the proxy speaks HTTP/1.1 to it"
        }
        429 => "the server limits how often one connects: try later, or with --gentle",
        _ => "see the server's log",
    };
    let reason = reason(answer).map_or_else(String::new, |reason| format!(": {reason:?}"));
    let seen = match location {
        Some(location) => format!("{status}, to {location}"),
        None if is_html => format!("{status} in place of 101, with a page of HTML"),
        None => format!("{status} in place of 101{reason}"),
    };
    Finding::fault("handshake", seen).rfc("RFC 6455, section 4.2.2").advice(advice)
}

/// The reason of a refusal, if it is a short text.
fn reason(answer: &Answer) -> Option<&str> {
    let kind = answer.header("content-type").unwrap_or("text/plain");
    let text = std::str::from_utf8(&answer.body).ok()?.trim();
    let is_short = !text.is_empty() && text.len() <= 200 && !text.contains('\n');
    Some(text).filter(|_| is_short && kind.starts_with("text/plain"))
}

/// What the server answers to other requests than the usual one.
pub(crate) async fn variants(doctor: &mut Doctor) {
    let finding = plain_get(doctor).await.unwrap_or_else(|trouble| ended(trouble, "plain-get"));
    doctor.add(finding);
    let finding = other_version(doctor).await.unwrap_or_else(|trouble| ended(trouble, "version"));
    doctor.add(finding);
    let finding =
        as_firefox(doctor).await.unwrap_or_else(|trouble| trouble.of("connection-header"));
    doctor.add(finding);
    let finding = without_key(doctor).await.unwrap_or_else(|trouble| ended(trouble, "key"));
    doctor.add(finding);
}

/// The line for a request that is no handshake and gets no response.
fn ended(trouble: Trouble, check: &'static str) -> Finding {
    let Trouble::Ended(why) = &trouble else { return trouble.of(check) };
    let request = match check {
        "version" => "version 99",
        "key" => "a handshake without Sec-WebSocket-Key",
        _ => "a GET without Upgrade",
    };
    Finding::warning(check, format!("{request}: {why}"))
        .rfc("RFC 6455, section 4.2.1")
        .advice("answer with 426 or 400: a client that gets nothing takes it for a broken network")
}

/// Removes all that makes a handshake of it.
fn make_plain(request: &mut Request<()>) {
    let headers = request.headers_mut();
    headers.remove(UPGRADE);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    for name in ["key", "version", "protocol", "extensions"] {
        if let Ok(name) = HeaderName::try_from(format!("sec-websocket-{name}")) {
            headers.remove(name);
        }
    }
}

async fn plain_get(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let answer = doctor.ask(make_plain).await?;
    let status = answer.status();
    let finding = match status.as_u16() {
        426 if answer.response.headers().contains_key(UPGRADE) => {
            Finding::ok("plain-get", "a GET without Upgrade gets 426, with Upgrade")
        }
        426 => {
            Finding::note("plain-get", "a GET without Upgrade gets 426, without the header Upgrade")
                .advice("a 426 names the protocol: Upgrade: websocket")
        }
        400..=499 => Finding::ok("plain-get", format!("a GET without Upgrade gets {status}")),
        101 => Finding::fault("plain-get", "a GET without Upgrade gets 101")
            .advice("a handshake needs Upgrade, Connection and Sec-WebSocket-Key"),
        500..=599 => Finding::warning("plain-get", format!("a GET without Upgrade gets {status}"))
            .advice("answer it with 426 or a page; health checks and crawlers send such requests"),
        _ => Finding::note("plain-get", format!("a GET without Upgrade gets {status}")),
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 9110, section 15.5.22").values(json!({ "status": status.as_u16() })))
}

async fn other_version(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let version = HeaderValue::from_static("99");
    let answer = doctor
        .ask(|request| drop(request.headers_mut().insert(SEC_WEBSOCKET_VERSION, version)))
        .await?;
    let status = answer.status();
    let named = answer.header("sec-websocket-version").map(ToOwned::to_owned);
    let finding = match (status.as_u16(), &named) {
        (101, _) => Finding::fault("version", "version 99 of the protocol is accepted")
            .advice("the server does not look at Sec-WebSocket-Version: it has to be 13"),
        (426, Some(named)) => Finding::ok(
            "version",
            format!("version 99 gets 426, with Sec-WebSocket-Version: {named}"),
        ),
        (_, Some(named)) => Finding::note(
            "version",
            format!("version 99 gets {status}, with Sec-WebSocket-Version: {named}"),
        )
        .advice("426 is the status for it"),
        (426, None) => {
            Finding::warning("version", "version 99 gets 426, without Sec-WebSocket-Version")
                .advice("the answer has to name the versions that the server speaks")
        }
        (_, None) => Finding::note(
            "version",
            format!("version 99 gets {status}, without Sec-WebSocket-Version"),
        )
        .advice("answer 426 with Sec-WebSocket-Version: 13, so that a client knows what to speak"),
    };
    answer.leave(doctor).await;
    Ok(finding
        .rfc("RFC 6455, section 4.4")
        .values(json!({ "status": status.as_u16(), "versions": named })))
}

/// `Connection: keep-alive, Upgrade` is what Firefox sends; the case of the value is free.
async fn as_firefox(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let answer = doctor
        .ask(|request| {
            let headers = request.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        })
        .await?;
    let status = answer.status();
    let finding = match status {
        StatusCode::SWITCHING_PROTOCOLS => Finding::ok(
            "connection-header",
            "\"keep-alive, Upgrade\" and \"WebSocket\" are understood",
        ),
        _ => Finding::fault(
            "connection-header",
            format!("Connection: keep-alive, Upgrade with Upgrade: WebSocket gets {status}"),
        )
        .advice("Connection is a list, and both values ignore case: Firefox sends such a request"),
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6455, section 4.2.1"))
}

async fn without_key(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let answer =
        doctor.ask(|request| drop(request.headers_mut().remove(SEC_WEBSOCKET_KEY))).await?;
    let status = answer.status();
    let finding = match status.as_u16() {
        101 => Finding::fault("key", "a handshake without Sec-WebSocket-Key is accepted")
            .advice("the key keeps caches and forms from opening WebSockets: answer 400"),
        400 => Finding::ok("key", "a handshake without Sec-WebSocket-Key gets 400"),
        _ => Finding::note("key", format!("a handshake without Sec-WebSocket-Key gets {status}"))
            .advice("400 is the status for it"),
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6455, section 4.2.1"))
}
