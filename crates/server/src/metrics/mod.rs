//! Prometheus text under RabbitMQ's metric names (the aggregated `/metrics` of its Prometheus
//! plugin), so that its dashboards work as they are.
//!
//! Nothing is counted here: a scrape sums what connections, queues and the store have counted,
//! and writes it down.

mod bounded;
mod families;
mod limits;
mod process;
mod scrape;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::node::Node;

use self::bounded::{Bounded, PATIENCE, PLACES};
pub(crate) use self::process::{max_fds, open_fds};
pub(crate) use self::scrape::Identity;

/// What a scrape reads.
pub(crate) struct Source {
    pub(crate) node: Arc<Node>,
    pub(crate) identity: Identity,
    /// The limits in force, by the keys of their settings.
    pub(crate) limits: Vec<(&'static str, u64)>,
}

/// Serve metrics until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, source: Arc<Source>) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .with_state(source);
    let listener = Bounded::new(listener, PLACES, PATIENCE);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the metrics listener failed");
    }
}

async fn metrics(State(source): State<Arc<Source>>) -> Response {
    // Walking many queues takes a while, and a worker has connections to serve.
    let text = tokio::task::spawn_blocking(move || scrape::text(&source)).await;
    match text {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Ok(Err(error)) => failure(&error.to_string()),
        Err(error) => failure(&error.to_string()),
    }
}

fn failure(reason: &str) -> Response {
    tracing::error!(reason, "cannot make the metrics");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("cannot make the metrics: {reason}\n"),
    )
        .into_response()
}
