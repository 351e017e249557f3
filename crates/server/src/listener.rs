//! Sockets that clients connect to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::connection;
use crate::node::Node;

/// Pause after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accept AMQP clients until the task is aborted.
pub(crate) async fn accept(listener: TcpListener, node: Arc<Node>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => start(stream, peer, &node),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn start(stream: TcpStream, peer: SocketAddr, node: &Arc<Node>) {
    // Replies are small and waited for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    // Here, so that the order of the handshakes is the order in which they came.
    let handshake = node.handshakes.enter();
    let node = Arc::clone(node);
    node.tasks.send_modify(|tasks| *tasks += 1);
    tokio::spawn(async move {
        let ended = EndedTask(&node);
        connection::serve(stream, peer, &node, handshake).await;
        drop(ended);
    });
}

/// Counts a connection task out, also when it panics.
struct EndedTask<'a>(&'a Arc<Node>);

impl Drop for EndedTask<'_> {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|tasks| *tasks -= 1);
    }
}
