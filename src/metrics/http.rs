//! Who asks for metrics, health and readiness over HTTP, and what are they told?
//!
//! Shell: hyper on the control thread. Read-only; bounded connections, and time for a request's head.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Gauges, Readiness};
use crate::limits::METRICS_CLIENTS_MAX;

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest life of a connection: a scraper's next question opens another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

struct Pages {
    gauges: Rc<Gauges>,
    readiness: Readiness,
    prometheus: PrometheusHandle,
}

/// Serves until the future is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    gauges: Rc<Gauges>,
    readiness: Readiness,
    prometheus: PrometheusHandle,
) {
    let pages = Rc::new(Pages {
        gauges,
        readiness,
        prometheus,
    });
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
            let answer =
                service_fn(|request| std::future::ready(Ok::<_, Infallible>(pages.answer(&request))));
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
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return page(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are served\n".to_owned(),
            );
        }
        match request.uri().path() {
            "/metrics" => {
                self.gauges.refresh();
                self.prometheus.run_upkeep();
                page(StatusCode::OK, self.prometheus.render())
            }
            // That it is answered at all is the news: the control loop's thread is alive.
            "/healthz" => page(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => match self.readiness.missing() {
                missing if missing.is_empty() => page(StatusCode::OK, "ready\n".to_owned()),
                missing => page(StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n"),
            },
            _ => page(
                StatusCode::NOT_FOUND,
                "there are /metrics, /healthz and /readyz\n".to_owned(),
            ),
        }
    }
}

fn page(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
