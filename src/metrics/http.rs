//! Who asks for metrics, health and readiness over HTTP, and what are they told?
//!
//! Shell: hyper on the control thread. Read-only; bounded connections, and time for a request's head.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::page::{self, POLICY};
use super::{Gauges, Glance, Readiness};
use crate::limits::METRICS_CLIENTS_MAX;

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest life of a connection: a scraper's next question opens another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is served.
pub(crate) struct Pages {
    pub(crate) gauges: Rc<Gauges>,
    pub(crate) glance: Glance,
    pub(crate) readiness: Readiness,
    pub(crate) prometheus: PrometheusHandle,
}

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, pages: Pages) {
    let pages = Rc::new(pages);
    let permits = std::sync::Arc::new(Semaphore::new(METRICS_CLIENTS_MAX));
    loop {
        // A permit before accept: what is not accepted waits in the kernel, bounded there.
        let Ok(permit) = std::sync::Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a metrics connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let pages = Rc::clone(&pages);
        tokio::task::spawn_local(async move {
            let answer = service_fn(|request| {
                let pages = Rc::clone(&pages);
                async move { Ok::<_, Infallible>(pages.answer(&request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), answer);
            // A peer that breaks off or talks nonsense is its own affair.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(permit);
        });
    }
}

impl Pages {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let text = "only GET and HEAD are served\n";
            let refusal = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, text);
            return with(refusal, &[(ALLOW, "GET, HEAD")]);
        }
        match request.uri().path() {
            "/" => self.page().await,
            "/status.json" => self.status().await,
            "/metrics" => {
                self.gauges.refresh();
                self.prometheus.run_upkeep();
                page(StatusCode::OK, PLAIN, self.prometheus.render())
            }
            // That it is answered at all is the news: the control loop's thread is alive.
            "/healthz" => page(StatusCode::OK, PLAIN, "ok\n"),
            "/readyz" => match self.readiness.missing() {
                missing if missing.is_empty() => page(StatusCode::OK, PLAIN, "ready\n"),
                missing => page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, missing.join("\n") + "\n"),
            },
            _ => {
                let text = "there are /, /status.json, /metrics, /healthz and /readyz\n";
                page(StatusCode::NOT_FOUND, PLAIN, text)
            }
        }
    }

    /// What a browser shows. It asks for what is new by itself.
    async fn page(&self) -> Response<Full<Bytes>> {
        let (status, html) = match self.glance.look().await {
            Ok(latest) => (StatusCode::OK, latest.html().await),
            Err(error) => {
                let html = page::without(&error.to_string());
                (StatusCode::SERVICE_UNAVAILABLE, Bytes::from(html))
            }
        };
        let page = page(status, "text/html; charset=utf-8", html);
        with(page, &[(CONTENT_SECURITY_POLICY, POLICY.as_str())])
    }

    async fn status(&self) -> Response<Full<Bytes>> {
        const JSON: &str = "application/json";
        match self.glance.look().await {
            Ok(latest) => page(StatusCode::OK, JSON, latest.json.clone()),
            Err(error) => {
                let told = serde_json::json!({ "error": error.to_string() });
                page(StatusCode::SERVICE_UNAVAILABLE, JSON, told.to_string())
            }
        }
    }
}

/// What is told is of this moment, and what it is called is what it is.
fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    with(
        response,
        &[
            (CONTENT_TYPE, kind),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ],
    )
}

fn with(
    mut response: Response<Full<Bytes>>,
    headers: &[(HeaderName, &'static str)],
) -> Response<Full<Bytes>> {
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
