//! Reachability: the name, the addresses, TLS and the certificate.

use serde_json::json;
use tokio::time::Instant;
use towline::{ErrorKind, TlsInfo};

use crate::certificate::Certificate;
use crate::check::doctor::{Doctor, Trouble};
use crate::check::finding::{Finding, milliseconds};
use crate::check::way::NoWay;
use crate::exit::Exit;
use crate::quantity::counted;

/// The most addresses that are tried.
const MOST_ADDRESSES: usize = 6;

/// Certificates with fewer days left are warned of.
const FEW_DAYS: i64 = 21;

/// Finds an address that answers, and sees what TLS agrees on. The error is the exit code if there is
/// no way to the server.
pub(crate) async fn reach(doctor: &mut Doctor) -> Result<(), Exit> {
    let addresses = match doctor.way.look_up(doctor.deadline).await {
        Ok(addresses) => addresses,
        Err(_) if doctor.is_late() => return Err(out_of_time(doctor, "address")),
        Err(no_way) => {
            doctor.report.add(Finding::fault("address", no_way.to_string()).advice(
                "look at the host's spelling, at the DNS records of it (A, AAAA), and at the resolver \
                 of this machine",
            ));
            return Err(exit_of(&no_way));
        }
    };
    let (host, _) = doctor.way.dialled();
    let list: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let proxy = match &doctor.way.proxy {
        Some(proxy) => format!("through the proxy {proxy}; "),
        None => String::new(),
    };
    let seen = match host == list.join("") {
        true => format!("{proxy}{host}, an address: no name to look up"),
        false => format!("{proxy}{host} is {}", list.join(", ")),
    };
    doctor.report.add(Finding::ok("address", seen).values(json!({ "addresses": list })));
    tcp(doctor, &addresses).await?;
    if !doctor.way.target.is_secure() {
        if doctor.way.proxy.is_some() {
            tunnel(doctor).await?;
        }
        let is_local = doctor.way.addresses.iter().all(|address| address.ip().is_loopback());
        doctor.report.add(match is_local {
            true => Finding::note("tls", "ws:// without TLS, on this machine"),
            false => Finding::warning(
                "tls",
                "ws:// without TLS: everybody between can read and change it",
            )
            .rfc("RFC 6455, section 10.6")
            .advice(
                "serve wss://; pages of https:// can't open ws:// at all, and proxies that do not \
                     know WebSockets often break it",
            ),
        });
        return Ok(());
    }
    tls(doctor).await
}

async fn tcp(doctor: &mut Doctor, addresses: &[std::net::SocketAddr]) -> Result<(), Exit> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut last = Exit::NoConnection;
    let mut fastest = None;
    for address in addresses.iter().take(MOST_ADDRESSES) {
        match doctor.take_a_place().await {
            Ok(()) => {}
            // Checks of one that was found come to the same end.
            Err(_) if !good.is_empty() => break,
            Err(trouble) => {
                doctor.report.add(trouble.of("tcp"));
                return Err(Exit::TimedOut);
            }
        }
        let begun = Instant::now();
        match doctor.way.knock(*address, doctor.deadline).await {
            Ok(_tcp) => {
                let took = begun.elapsed();
                fastest = Some(fastest.map_or(took, |fastest| took.min(fastest)));
                good.push(*address);
            }
            Err(_) if doctor.is_late() => return Err(out_of_time(doctor, "tcp")),
            Err(no_way) => {
                last = exit_of(&no_way);
                bad.push(no_way.to_string());
            }
        }
    }
    let count = good.len();
    if good.is_empty() {
        doctor.report.add(Finding::fault("tcp", format!("no connection: {}", bad.join("; "))).advice(
            "\"refused\" means that nothing listens on that port, or that it listens on another address; \
             no answer means that a firewall drops it",
        ));
        return Err(last);
    }
    doctor.way.settle(good);
    let milliseconds = milliseconds(fastest.unwrap_or_default());
    let finding = match bad.is_empty() {
        true => Finding::ok(
            "tcp",
            format!("{count} of {count} connected, the fastest after {milliseconds:.2} ms"),
        ),
        // A server of this machine need not listen on both.
        false if addresses.iter().all(|address| address.ip().is_loopback()) => Finding::note(
            "tcp",
            format!("{count} of {} connected: {}", count + bad.len(), bad.join("; ")),
        ),
        false => Finding::warning(
            "tcp",
            format!("{count} of {} connected: {}", count + bad.len(), bad.join("; ")),
        )
        .advice(
            "clients that try one address after the other wait for each that is dead: take it \
                     out of the DNS, or let the server listen there too",
        ),
    };
    doctor.report.add(finding.values(json!({ "milliseconds": milliseconds, "failed": bad })));
    Ok(())
}

/// Sees whether the proxy connects to the server. With TLS, that shows by itself.
async fn tunnel(doctor: &mut Doctor) -> Result<(), Exit> {
    if let Err(trouble) = doctor.take_a_place().await {
        doctor.report.add(trouble.of("proxy"));
        return Err(Exit::TimedOut);
    }
    match doctor.way.open(doctor.deadline).await {
        Ok(_stream) => {
            doctor.report.add(Finding::ok("proxy", "the proxy connects to the server"));
            Ok(())
        }
        Err(_) if doctor.is_late() => Err(out_of_time(doctor, "proxy")),
        Err(no_way) => {
            doctor.report.add(
                Finding::fault("proxy", no_way.to_string())
                    .advice("see whether the proxy allows CONNECT to this host and port; --no-proxy goes around it"),
            );
            Err(exit_of(&no_way))
        }
    }
}

async fn tls(doctor: &mut Doctor) -> Result<(), Exit> {
    let trouble = match handshake(doctor, false).await {
        Ok(info) => {
            doctor.report.add(version(&info));
            for finding in certificate(&info, doctor.way.target.host()) {
                doctor.report.add(finding);
            }
            return Ok(());
        }
        Err(_) if doctor.is_late() => return Err(out_of_time(doctor, "tls")),
        Err(no_way) => no_way,
    };
    let exit = exit_of(&trouble);
    let kind = match &trouble {
        NoWay::Library(error) if error.is_tls() => error.kind(),
        _ => {
            doctor.report.add(Finding::fault("tls", trouble.to_string()));
            return Err(exit);
        }
    };
    let advice = match kind {
        ErrorKind::CertificateExpired => "renew the certificate, and let the server reload it",
        ErrorKind::CertificateName => {
            "the certificate has to have the URL's host among its names (subjectAltName)"
        }
        ErrorKind::CertificateUntrusted => {
            "let the server send its chain up to a root that clients trust (the intermediate is often \
             missing); for a root of your own use --ca FILE"
        }
        ErrorKind::NotTls => "the port speaks no TLS: use ws://, or the port of TLS",
        ErrorKind::ClientCertificate => "the server asks for a certificate: --cert FILE --key FILE",
        _ => "the server has to offer TLS 1.2 or 1.3 with a modern cipher suite",
    };
    doctor.report.add(Finding::fault("tls", trouble.to_string()).advice(advice));
    if kind.is_certificate() {
        // Only to describe it: nothing is sent to a server that is not trusted.
        if let Ok(info) = handshake(doctor, true).await {
            for finding in certificate(&info, doctor.way.target.host()) {
                doctor.report.add(finding);
            }
        }
    }
    Err(exit)
}

async fn handshake(doctor: &mut Doctor, accepts_any: bool) -> Result<TlsInfo, NoWay> {
    let place = doctor.take_a_place().await;
    place.map_err(|trouble| NoWay::TimedOut(trouble.to_string()))?;
    let mut client = doctor.way.client.clone();
    if accepts_any {
        client = client.tls(doctor.way.tls.clone().dangerously_accept_any_certificate());
    }
    let stream = doctor.way.open_by(client, doctor.deadline).await?;
    stream.tls().cloned().ok_or_else(|| NoWay::Failed("there is no TLS on the stream".to_owned()))
}

fn version(info: &TlsInfo) -> Finding {
    let alpn = info.alpn.as_deref().map(String::from_utf8_lossy);
    let words = alpn.as_ref().map_or("no ALPN".to_owned(), |alpn| format!("ALPN {alpn}"));
    let seen = format!("{}, {}, {words}", info.version, info.cipher_suite);
    let values = json!({ "version": info.version, "cipher": info.cipher_suite, "alpn": alpn });
    let finding = match info.version {
        "TLS 1.3" => Finding::ok("tls", seen),
        _ => Finding::note("tls", seen).advice(
            "TLS 1.3 saves a round trip of each connection, and is the default of current servers",
        ),
    };
    finding.values(values)
}

/// Describes the certificate and its chain.
fn certificate(info: &TlsInfo, host: &str) -> Vec<Finding> {
    let chain: Vec<_> =
        info.peer_certificates.iter().filter_map(|der| Certificate::of(der)).collect();
    let Some(own) = chain.first() else {
        return vec![Finding::warning("certificate", "the certificate can't be read")];
    };
    let days = own.days_left;
    let until = &own.not_after;
    let values = json!({
        "names": own.names, "issuer": own.issuer, "not_before": own.not_before,
        "not_after": until, "days_left": days, "chain": chain.len(), "sha256": own.fingerprint,
    });
    let is_self_signed = own.subject == own.issuer;
    let signed = match is_self_signed {
        true => "self-signed".to_owned(),
        false => {
            format!("signed by {}, {} sent", own.issuer, counted(chain.len() as u64, "certificate"))
        }
    };
    let about = format!("for {}, {signed}", own.whose());
    let dates = if own.is_expired {
        Finding::fault("certificate", format!("{about}; it expired on {until}"))
            .advice("renew it, and let the server reload it")
    } else if days < FEW_DAYS {
        Finding::warning("certificate", format!("{about}; {} left, to {until}", counted_days(days)))
            .advice("renew it now, and see why it was not renewed by itself")
    } else {
        Finding::ok("certificate", format!("{about}; {} left, to {until}", counted_days(days)))
    };
    let mut findings = vec![dates.values(values)];
    if let Some(late) = chain.iter().skip(1).find(|other| other.days_left < FEW_DAYS) {
        findings.push(
            Finding::warning(
                "chain",
                format!("{} in the chain is valid to {} only", late.subject, late.not_after),
            )
            .advice("let the server send the current intermediate certificate"),
        );
    }
    if own.names.is_empty() {
        findings.push(
            Finding::warning(
                "certificate-names",
                format!("no name of {host}: it has a subject alone"),
            )
            .advice("clients read subjectAltName, and no longer the subject's CN"),
        );
    }
    findings
}

fn counted_days(days: i64) -> String {
    counted(u64::try_from(days).unwrap_or_default(), "day")
}

/// The time was over before there was a way to the server.
fn out_of_time(doctor: &mut Doctor, check: &'static str) -> Exit {
    doctor.report.add(Trouble::OutOfTime.of(check));
    Exit::TimedOut
}

fn exit_of(no_way: &NoWay) -> Exit {
    match no_way {
        NoWay::TimedOut(_) => Exit::TimedOut,
        NoWay::Library(error) if error.is_timeout() => Exit::TimedOut,
        NoWay::Library(error) if error.is_tls() => Exit::NoTls,
        NoWay::Failed(_) | NoWay::Library(_) => Exit::NoConnection,
    }
}
