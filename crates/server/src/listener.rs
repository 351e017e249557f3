//! Sockets that clients connect to, and what is said on them before AMQP is: a proxy's header, and TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use leveret_protocol::Limit;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::rustls;

use crate::config::Tcp;
use crate::connection::{self, Client, Transport};
use crate::node::{Handshake, Node};
use crate::proxy::{self, NoHeader};
use crate::tls::{Certificates, login_name};

/// Pause after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What every record of a TLS handshake begins with (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Listen on the first of these addresses that can be listened on.
pub(crate) fn bind(candidates: &[SocketAddr], options: &Tcp) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in candidates {
        match bind_one(*address, options) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr, options: &Tcp) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Accepted sockets have these from the listening one.
    socket.set_keepalive(options.keepalive)?;
    if options.send_buffer_bytes > 0 {
        socket.set_send_buffer_size(options.send_buffer_bytes)?;
    }
    if options.receive_buffer_bytes > 0 {
        socket.set_recv_buffer_size(options.receive_buffer_bytes)?;
    }
    socket.bind(address)?;
    socket.listen(options.backlog)
}

/// Accept AMQP clients until the task is aborted, over TLS if there are `certificates`.
pub(crate) async fn accept(
    listener: TcpListener,
    node: Arc<Node>,
    certificates: Option<Arc<Certificates>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => start(stream, peer, &node, certificates.as_ref()),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn start(
    stream: TcpStream,
    peer: SocketAddr,
    node: &Arc<Node>,
    certificates: Option<&Arc<Certificates>>,
) {
    let peer = canonical(peer);
    // Replies are small and waited for.
    if let Err(error) = stream.set_nodelay(node.nodelay) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    // Here, so that the order of the handshakes is the order in which they came.
    let handshake = node.handshakes.enter();
    let node = Arc::clone(node);
    let certificates = certificates.map(Arc::clone);
    let proxied = node
        .proxy_sources
        .iter()
        .any(|source| source.contains(peer.ip()));
    node.tasks.send_modify(|tasks| *tasks += 1);
    tokio::spawn(async move {
        let ended = EndedTask(&node);
        let accepted = node.clock.now();
        let client = if proxied || certificates.is_some() {
            // Large, and gone before the connection begins.
            let greeting = Greeting {
                node: &node,
                peer,
                certificates: certificates.as_ref(),
                proxied,
            };
            Box::pin(greeting.within_time(stream, &handshake)).await
        } else {
            Some(Client::plain(stream, peer))
        };
        if let Some(client) = client {
            connection::serve(client, &node, handshake, accepted).await;
        }
        drop(ended);
    });
}

/// An IPv4 address that is written as an IPv6 one, as it is on a socket for both, as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What is said before AMQP.
struct Greeting<'a> {
    node: &'a Node,
    /// The socket's other end.
    peer: SocketAddr,
    certificates: Option<&'a Arc<Certificates>>,
    /// The peer is a proxy that says who its client is.
    proxied: bool,
}

impl Greeting<'_> {
    /// The client, unless it takes too long, its place is needed, or the node stops.
    async fn within_time(&self, stream: TcpStream, handshake: &Handshake) -> Option<Client> {
        let mut stopping = self.node.stopping.subscribe();
        let patience = self.node.protocol.handshake_timeout;
        let over = tokio::select! {
            greeted = tokio::time::timeout(patience, self.greet(stream)) => {
                if let Ok(greeted) = greeted {
                    return greeted;
                }
                self.node.protocol.limits_met.count(Limit::HandshakeTimeout);
                "it took too long"
            }
            () = handshake.displaced.notified() => "others wait for its place",
            _ = stopping.wait_for(|stopping| *stopping) => "the broker stops",
        };
        tracing::debug!(peer = %self.peer, "connection closed before AMQP began: {over}");
        None
    }

    async fn greet(&self, mut stream: TcpStream) -> Option<Client> {
        let announced = if self.proxied {
            match proxy::read(&mut stream).await {
                Ok(announced) => announced,
                Err(error) => return self.no_header(&error),
            }
        } else {
            None
        };
        let client = announced.map_or(self.peer, |(source, _)| canonical(source));
        let Some(certificates) = self.certificates else {
            let mut client = Client::plain(stream, client);
            self.add_proxy(&mut client, announced.map(|(_, destination)| destination));
            return Some(client);
        };
        let mut encrypted = match self.encrypt(stream, certificates).await {
            Ok(encrypted) => Client {
                peer: client,
                ..encrypted
            },
            Err(reason) => {
                self.node.churn.tls_failed.fetch_add(1, Ordering::Relaxed);
                reason.log(client);
                return None;
            }
        };
        self.add_proxy(
            &mut encrypted,
            announced.map(|(_, destination)| destination),
        );
        Some(encrypted)
    }

    fn add_proxy(&self, client: &mut Client, destination: Option<SocketAddr>) {
        client.from_loopback &= self.peer.ip().is_loopback() && client.peer.ip().is_loopback();
        if let Some(destination) = destination {
            client.own = Some(canonical(destination));
        }
    }

    fn no_header(&self, error: &NoHeader) -> Option<Client> {
        let peer = self.peer;
        if matches!(error, NoHeader::Nothing) {
            tracing::debug!(%peer, "connection closed before any octet");
            return None;
        }
        self.node
            .churn
            .proxy_refused
            .fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%peer, "connection closed: {error}");
        None
    }

    /// The handshake of TLS.
    async fn encrypt(&self, stream: TcpStream, from: &Certificates) -> Result<Client, NoTls> {
        let mut first = [0];
        let patience = Duration::from_secs(from.settings().handshake_timeout_seconds);
        let agreed = async {
            match stream.peek(&mut first).await {
                Ok(0) => return Err(NoTls::Nothing),
                Ok(_) if first != [TLS_HANDSHAKE] => return Err(NoTls::Plain(stream)),
                Ok(_) => {}
                Err(error) => return Err(NoTls::Failed(error)),
            }
            from.acceptor().accept(stream).await.map_err(NoTls::Failed)
        };
        let stream = tokio::time::timeout(patience, agreed)
            .await
            .map_err(|_| NoTls::TooSlow)??;
        let (socket, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let certificate_name = certificate.and_then(|der| login_name(der, from.settings()));
        Ok(Client {
            own: socket.local_addr().ok(),
            peer: self.peer,
            from_loopback: self.peer.ip().is_loopback(),
            certificate_name,
            transport: Transport::Tls(Box::new(stream)),
        })
    }
}

/// Why nothing is encrypted.
enum NoTls {
    /// Nothing came at all.
    Nothing,
    /// What came is not TLS.
    Plain(TcpStream),
    /// It took too long.
    TooSlow,
    /// The two do not agree, or the socket failed.
    Failed(io::Error),
}

impl NoTls {
    /// One line, and a plain end of the socket.
    fn log(self, peer: SocketAddr) {
        match self {
            // A health check connects and goes; nobody wants to read of it.
            Self::Nothing => tracing::debug!(%peer, "connection closed before any octet"),
            Self::Plain(stream) => {
                tracing::warn!(%peer, "connection closed: plain text on a port for TLS");
                discard(&stream);
            }
            Self::TooSlow => {
                tracing::warn!(%peer, "connection closed: the TLS handshake took too long");
            }
            Self::Failed(error) => {
                let reason = reason(&error);
                tracing::warn!(%peer, reason, "connection closed: the TLS handshake failed");
            }
        }
    }
}

/// Read what is there, so that the socket ends in good order: unread octets would make it a reset.
fn discard(stream: &TcpStream) {
    let mut scratch = [0; 4096];
    while matches!(stream.try_read(&mut scratch), Ok(count) if count > 0) {}
}

/// The texts of TLS where it is its failure, else the system's.
fn reason(error: &io::Error) -> String {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Counts a connection task out, also when it panics.
struct EndedTask<'a>(&'a Arc<Node>);

impl Drop for EndedTask<'_> {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|tasks| *tasks -= 1);
    }
}
