//! The server of routes without a layer.

use std::sync::LazyLock;

use towline::{Server, ServerHandle};

/// Returns the server that routes without a [`layer()`](crate::layer()) use: one with default options,
/// shared by all routers of this process.
///
/// Shut it down as any other. It takes no more requests afterwards, so tests that shut a server down
/// give their router one of its own.
///
/// ```no_run
/// # async fn signal() {}
/// # async fn example(listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {
/// let sockets = towline_axum::default_server();
/// axum::serve(listener, app)
///     .with_graceful_shutdown(towline_axum::shutdown_on(sockets, signal()))
///     .await
/// # }
/// ```
pub fn default_server() -> ServerHandle {
    static SERVER: LazyLock<ServerHandle> = LazyLock::new(|| Server::builder().build_handle());
    SERVER.clone()
}
