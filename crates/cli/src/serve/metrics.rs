//! `--metrics`: the metrics of all workers for Prometheus, on an address of their own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use towline::ServerHandle;
use towline::topics::Topics;
use towline_hyper::HttpServer;
use towline_metrics::{Observer, TopicsObserver};

use crate::exit::{Exit, Failure};
use crate::say;
use crate::serve::listening;
use crate::serve::pages::{for_method, is_read, only_read, plain};

/// The address without a value: the port that OpenTelemetry's exporters for Prometheus have.
pub(crate) const ADDRESS: &str = "127.0.0.1:9464";

/// How often measurements are collected even if nobody asks.
const UPKEEP: Duration = Duration::from_secs(1);

/// The boundaries that OpenTelemetry advises for HTTP requests, in seconds.
const REQUEST_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A second to a day.
const CONNECTION_SECONDS: [f64; 8] = [1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0];

/// The format of Prometheus's text (version 0.0.4).
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the page of metrics is made from.
#[derive(Clone)]
pub(crate) struct Metrics {
    prometheus: PrometheusHandle,
    /// One for each worker.
    observers: Arc<Mutex<Vec<Observer>>>,
    topics: Arc<Mutex<Option<TopicsObserver>>>,
}

/// The page of metrics while it is served.
pub(crate) struct Serving {
    pub(crate) metrics: Metrics,
    /// Serves until it is dropped.
    addresses: Vec<SocketAddr>,
    _http: Box<dyn Send>,
}

impl Serving {
    /// Prints where the metrics are.
    pub(crate) fn announce(&self) {
        for address in &self.addresses {
            say::out(format_args!("metrics on http://{address}/metrics"));
        }
    }
}

impl Metrics {
    /// Serves the metrics on this address, apart from those of `--listen`.
    pub(crate) async fn serve(address: &str, listening: &[SocketAddr]) -> Result<Serving, Failure> {
        let bound = listening::bind(&[address.to_owned()], None, "--metrics").await;
        let (addresses, sockets) = match bound {
            Err(_) if listening::is_taken_by(address, listening).await => {
                let message = format!(
                    "can't listen on {address} (--metrics): --listen has the same address; choose \
                     another port with --metrics, or 0 for a free one"
                );
                return Err(Failure::new(Exit::NoConnection, message));
            }
            bound => bound?,
        };
        let failed = |error: &dyn std::error::Error| {
            Failure::new(Exit::Unclean, format!("can't serve metrics: {error}"))
        };
        let buckets = |name: &str| Matcher::Full(name.to_owned());
        let prometheus = PrometheusBuilder::new()
            .with_recommended_naming(true)
            .set_buckets_for_metric(buckets("http.server.request.duration"), &REQUEST_SECONDS)
            .and_then(|builder| {
                let name = buckets("websocket.connection.duration");
                builder.set_buckets_for_metric(name, &CONNECTION_SECONDS)
            })
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|error| failed(&error))?;
        let metrics = Self { prometheus, observers: Arc::default(), topics: Arc::default() };
        let page = {
            let metrics = metrics.clone();
            move |request: Request<hyper::body::Incoming>| {
                let metrics = metrics.clone();
                async move {
                    let response = metrics.answer(&request);
                    let response = for_method(request.method(), response, Full::default);
                    Ok::<_, Infallible>(response)
                }
            }
        };
        let http = HttpServer::new(service_fn(page));
        for socket in sockets.into_iter().flatten() {
            http.listen(TcpListener::from_std(socket).map_err(|error| failed(&error))?);
        }
        tokio::spawn(metrics.clone().keep_up());
        Ok(Serving { metrics, addresses, _http: Box::new(http) })
    }

    /// Adds the metrics of a worker.
    pub(crate) fn observe(&self, server: ServerHandle) {
        self.observers().push(Observer::new(server));
    }

    /// Adds the metrics of topics, which all workers share.
    pub(crate) fn observe_topics(&self, topics: Topics) {
        *self.topics.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(TopicsObserver::new(topics));
    }

    async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.collect();
            self.prometheus.run_upkeep();
        }
    }

    fn collect(&self) {
        self.observers().iter_mut().for_each(Observer::collect);
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topics) = &mut *topics {
            topics.collect();
        }
    }

    fn observers(&self) -> MutexGuard<'_, Vec<Observer>> {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.uri().path() != "/metrics" {
            return plain(StatusCode::NOT_FOUND, "Not found. The metrics are at /metrics.\n");
        }
        if !is_read(request) {
            return only_read();
        }
        self.collect();
        let mut response = plain(StatusCode::OK, self.prometheus.render());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
        response
    }
}
