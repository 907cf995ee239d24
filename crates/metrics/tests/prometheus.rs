//! What an exporter shows of a server: rendered for Prometheus, by a recorder of the test's own.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use http::StatusCode;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use towline::topics::Topics;
use towline::{CloseCode, Connection, Quotas, Rate, Server};
use towline_kit::relay::Way;
use towline_metrics::{Observer, TopicsObserver};

const REQUEST: &[u8] = b"GET /?token=s3cret HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Runs the test with a recorder, on virtual time.
fn with_prometheus<F: Future>(test: impl FnOnce(PrometheusHandle) -> F) {
    let builder = PrometheusBuilder::new().set_buckets(&[0.5, 2.0, 100.0]).unwrap();
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test(handle)));
}

async fn connects(server: &mut Server) -> (Connection, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(64 << 10);
    server.serve(near, None);
    far.write_all(REQUEST).await.unwrap();
    (server.next_request().await.unwrap().accept().await.unwrap(), far)
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The value of a series.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

#[test]
fn all_that_a_server_does_is_there() {
    with_prometheus(|prometheus| async move {
        let mut server = Server::builder().build();
        let mut observer = Observer::new(server.handle());
        let (first, mut at_first) = connects(&mut server).await;
        let (second, _at_second) = connects(&mut server).await;
        for message in ["one", "two", "three"] {
            first.send(message).await.unwrap();
        }
        server.connections().broadcast("to all").await;
        let (near, mut far) = tokio::io::duplex(64 << 10);
        server.serve(near, None);
        far.write_all(REQUEST).await.unwrap();
        let refused = server.next_request().await.unwrap();
        let (near, mut stranger) = tokio::io::duplex(64 << 10);
        server.serve(near, None);
        stranger.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
        settle().await;
        observer.collect();
        assert_eq!(value(&prometheus.render(), "http_server_active_requests"), 1.0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        refused.reject(StatusCode::FORBIDDEN, "no").await.unwrap();
        settle().await;
        // Twice, since nothing may count twice.
        observer.collect();
        observer.collect();
        let text = prometheus.render();
        for (series, expected) in [
            ("websocket_connections_active", 2.0),
            ("websocket_connections", 2.0),
            ("http_server_active_requests", 0.0),
            ("websocket_handshakes{status=\"accepted\"}", 2.0),
            ("websocket_handshakes{status=\"403\"}", 1.0),
            ("websocket_handshakes{status=\"400\"}", 1.0),
            ("websocket_handshakes_failed{reason=\"ERR_NOT_HTTP\"}", 1.0),
            ("websocket_handshakes_failed{reason=\"ERR_HANDSHAKE_TIMEOUT\"}", 0.0),
            ("websocket_messages{direction=\"sent\"}", 5.0),
            ("websocket_messages{direction=\"received\"}", 0.0),
            ("websocket_bytes{direction=\"sent\"}", 11.0 + 12.0),
            ("websocket_wire_bytes{direction=\"sent\"}", 11.0 + 12.0 + 10.0),
            ("websocket_broadcasts", 1.0),
            ("websocket_measurements_missed", 0.0),
        ] {
            assert_eq!(value(&text, series), expected, "{series} in {text}");
        }
        let of = |status, le| {
            format!(
                "http_server_request_duration_bucket{{http_request_method=\"GET\",\
                 http_response_status_code=\"{status}\",network_protocol_version=\"1.1\",\
                 url_scheme=\"http\",le=\"{le}\"}}"
            )
        };
        assert_eq!(value(&text, &of(101, "0.5")), 2.0);
        assert_eq!(value(&text, &of(403, "0.5")), 0.0);
        assert_eq!(value(&text, &of(403, "2")), 1.0);
        assert!(text.contains("# HELP websocket_messages Messages, by direction\n"), "{text}");
        assert!(text.contains("# TYPE websocket_messages counter\n"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");

        tokio::time::sleep(Duration::from_secs(10)).await;
        first.abort(CloseCode::POLICY, "");
        drop(second);
        at_first.read_to_end(&mut Vec::new()).await.unwrap();
        drop(_at_second);
        settle().await;
        observer.collect();
        let text = prometheus.render();
        assert_eq!(value(&text, "websocket_connections_active"), 0.0);
        assert_eq!(value(&text, "websocket_closes{code=\"1008\"}"), 1.0);
        let buckets = "websocket_connection_duration_bucket{code=\"1008\",le=";
        assert_eq!(value(&text, &format!("{buckets}\"2\"}}")), 0.0);
        assert_eq!(value(&text, &format!("{buckets}\"100\"}}")), 1.0);
        assert_eq!(value(&text, "websocket_messages{direction=\"sent\"}"), 5.0);
    });
}

#[test]
fn it_reports_by_itself_until_the_server_has_ended() {
    with_prometheus(|prometheus| async move {
        let mut server = Server::builder().build();
        let observing = tokio::spawn(towline_metrics::observe(server.handle()));
        let (connection, _far) = connects(&mut server).await;
        connection.send("ahoy").await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let text = prometheus.render();
        assert_eq!(value(&text, "websocket_connections_active"), 1.0);
        assert_eq!(value(&text, "websocket_messages{direction=\"sent\"}"), 1.0);
        connection.send("farewell").await.unwrap();
        server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(1)).await.unwrap();
        observing.await.unwrap();
        let text = prometheus.render();
        assert_eq!(value(&text, "websocket_connections_active"), 0.0);
        assert_eq!(value(&text, "websocket_messages{direction=\"sent\"}"), 2.0, "the last as well");
    });
}

#[test]
fn measurements_that_come_too_fast_are_counted() {
    with_prometheus(|prometheus| async move {
        let server = Server::builder().build();
        let mut observer = Observer::new(server.handle());
        for _ in 0..1500 {
            let (near, mut far) = tokio::io::duplex(1024);
            server.serve(near, None);
            far.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            far.read_u8().await.unwrap();
        }
        observer.collect();
        let text = prometheus.render();
        assert_eq!(value(&text, "websocket_handshakes{status=\"426\"}"), 1500.0);
        let missed = value(&text, "websocket_measurements_missed");
        assert!(missed > 0.0, "{text}");
        let recorded =
            text.lines().find(|line| line.starts_with("http_server_request_duration_count"));
        let recorded: f64 = recorded.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
        assert_eq!(recorded + missed, 1500.0);
    });
}

#[test]
fn servers_of_a_process_add_up_or_are_told_apart() {
    with_prometheus(|prometheus| async move {
        let (mut one, mut two) = (Server::builder().build(), Server::builder().build());
        let mut observers = [Observer::new(one.handle()), Observer::new(two.handle())];
        let mut named = Observer::new(two.handle()).label("server", "two");
        let _first = connects(&mut one).await;
        let _second = connects(&mut two).await;
        observers.iter_mut().for_each(Observer::collect);
        named.collect();
        let text = prometheus.render();
        assert_eq!(value(&text, "websocket_connections_active"), 2.0);
        assert_eq!(value(&text, "websocket_connections_active{server=\"two\"}"), 1.0);
        let [_, second] = observers;
        drop(second);
        assert_eq!(value(&prometheus.render(), "websocket_connections_active"), 1.0);
    });
}

#[test]
fn the_usual_ends_are_counted_before_the_first_one() {
    with_prometheus(|prometheus| async move {
        let server = Server::builder().build();
        Observer::new(server.handle()).collect();
        let text = prometheus.render();
        for code in ["1000", "1001", "1006"] {
            assert_eq!(value(&text, &format!("websocket_closes{{code=\"{code}\"}}")), 0.0);
        }
    });
}

/// However many codes peers make up, there are only so many series.
#[test]
fn peers_make_few_series() {
    with_prometheus(|prometheus| async move {
        let mut server = Server::builder().build();
        let mut observer = Observer::new(server.handle());
        for code in (3000..3030).chain(4000..4030) {
            let (mut connection, mut far) = connects(&mut server).await;
            let [high, low] = u16::to_be_bytes(code);
            far.write_all(&[0x88, 0x82, 0, 0, 0, 0, high, low]).await.unwrap();
            let _ = connection.recv().await;
            settle().await;
        }
        observer.collect();
        let text = prometheus.render();
        let is_series =
            |line: &&str| line.starts_with("websocket_closes{") && !line.ends_with(" 0");
        assert_eq!(text.lines().filter(is_series).count(), 2, "{text}");
        assert_eq!(value(&text, "websocket_closes{code=\"3000\"}"), 30.0);
        assert_eq!(value(&text, "websocket_closes{code=\"4000\"}"), 30.0);
    });
}

#[test]
fn what_topics_do_is_there() {
    with_prometheus(|prometheus| async move {
        let mut server = Server::builder().build();
        let topics = server.handle().topics().clone();
        let mut observer = TopicsObserver::new(topics.clone()).label("node", "a");
        let (first, _at_first) = connects(&mut server).await;
        let (second, _at_second) = connects(&mut server).await;
        let room = topics.topic("room/7").unwrap();
        room.join(&first).await.unwrap();
        room.join(&second).await.unwrap();
        room.publish("one").await;
        room.publish("two").await;
        settle().await;
        observer.collect();
        let text = prometheus.render();
        for (name, expected) in [
            ("active", 1.0),
            ("members", 2.0),
            ("published", 2.0),
            ("delivered", 4.0),
            ("skipped", 0.0),
        ] {
            let series = format!("websocket_topics_{name}{{node=\"a\"}}");
            assert_eq!(value(&text, &series), expected, "{name}");
        }
        // A topic that is gone stays in the counters, and not in the gauges.
        room.leave(&first);
        room.leave(&second);
        drop(room);
        observer.collect();
        let text = prometheus.render();
        for (name, expected) in [("active", 0.0), ("members", 0.0), ("delivered", 4.0)] {
            let series = format!("websocket_topics_{name}{{node=\"a\"}}");
            assert_eq!(value(&text, &series), expected, "{name}");
        }
    });
}

#[test]
fn a_broker_that_is_lost_is_there() {
    with_prometheus(|prometheus| async move {
        let way = Way::default();
        let topics = Topics::builder().relay(way.clone()).build();
        let mut observer = TopicsObserver::new(topics);
        let mut lost = || {
            observer.collect();
            value(&prometheus.render(), "websocket_topics_relay_lost")
        };
        assert_eq!(lost(), 0.0);
        way.incoming().lost("gone");
        assert_eq!([lost(), lost()], [1.0, 1.0]);
        way.incoming().back();
        assert_eq!(lost(), 0.0);
        way.incoming().lost("gone again");
        assert_eq!(lost(), 1.0);
        drop(observer);
        assert_eq!(value(&prometheus.render(), "websocket_topics_relay_lost"), 0.0);
    });
}

#[test]
fn quotas_that_servers_share_are_there_once_and_what_they_do_adds_up() {
    with_prometheus(|prometheus| async move {
        let builder = Server::builder()
            .quotas(Quotas::new())
            .max_connections(2)
            .max_message_rate(Rate::per_second(10).burst(1))
            .max_buffered_bytes(1 << 20);
        let (mut one, mut two) = (builder.clone().build(), builder.build());
        let mut observers = [Observer::new(one.handle()), Observer::new(two.handle())];
        let (mut first, mut at_first) = connects(&mut one).await;
        let _second = connects(&mut two).await;
        for server in [&one, &two] {
            let (near, mut far) = tokio::io::duplex(64 << 10);
            server.serve(near, None);
            far.write_all(REQUEST).await.unwrap();
            let mut answer = [0; 12];
            far.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 503");
        }
        at_first.write_all(&[0x81, 0x80, 0, 0, 0, 0].repeat(2)).await.unwrap();
        for _ in 0..2 {
            first.recv().await.unwrap().unwrap();
        }
        for _ in 0..2 {
            observers.iter_mut().for_each(Observer::collect);
        }
        let text = prometheus.render();
        for (series, expected) in [
            ("limit{quota=\"max_connections\"}", 2.0),
            ("used{quota=\"max_connections\"}", 2.0),
            ("refused{quota=\"max_connections\"}", 2.0),
            ("slowed{quota=\"max_message_rate\"}", 1.0),
            ("closed{quota=\"max_message_rate\"}", 0.0),
            ("limit{quota=\"max_buffered_bytes\"}", 1_048_576.0),
            ("used{quota=\"max_buffered_bytes\"}", 0.0),
            ("closed{quota=\"max_buffered_bytes\"}", 0.0),
            ("refused{quota=\"max_handshakes\"}", 0.0),
        ] {
            assert_eq!(value(&text, &format!("websocket_quota_{series}")), expected, "{series}");
        }
        assert!(!text.contains("used{quota=\"max_message_rate\"}"), "{text}");
        assert!(!text.contains("max_byte_rate"), "{text}");
        // What is not observed any more is not in use.
        let used = |text: &str| value(text, "websocket_quota_used{quota=\"max_connections\"}");
        let [mut one, two] = observers;
        drop(two);
        assert_eq!(used(&prometheus.render()), 0.0);
        one.collect();
        assert_eq!(used(&prometheus.render()), 2.0);
        drop(one);
        let text = prometheus.render();
        assert_eq!(used(&text), 0.0);
        assert!(!text.contains("used{quota=\"max_message_rate\"}"), "{text}");
    });
}

#[test]
fn round_trips_are_gone_with_their_connections() {
    with_prometheus(|prometheus| async move {
        let mut server = Server::builder().build();
        let mut observer = Observer::new(server.handle());
        let (connection, mut far) = connects(&mut server).await;
        let (sender, mut receiver) = connection.split();
        let receiving = tokio::spawn(async move { receiver.recv().await });
        let answering = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.unwrap());
            }
            let mut ping = [0; 10];
            far.read_exact(&mut ping).await.unwrap();
            tokio::time::sleep(Duration::from_secs(2)).await;
            far.write_all(&[&[0x8A, 0x88, 0, 0, 0, 0], &ping[2..]].concat()).await.unwrap();
        };
        let (round_trip, ()) = tokio::join!(sender.round_trip(), answering);
        assert_eq!(round_trip.unwrap().as_secs(), 2);
        let both = ["websocket_round_trip_mean", "websocket_round_trip_max"];
        observer.collect();
        let text = prometheus.render();
        assert!(both.iter().all(|name| value(&text, name).round() == 2.0), "{text}");
        sender.abort(CloseCode::POLICY, "");
        drop(far);
        assert!(receiving.await.unwrap().unwrap().is_none());
        settle().await;
        observer.collect();
        let text = prometheus.render();
        assert!(both.iter().all(|name| value(&text, name) == 0.0), "{text}");
    });
}
