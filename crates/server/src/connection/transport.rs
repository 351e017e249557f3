//! What a connection reads from and writes to: a socket, or TLS upon one.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Two-way octets. A choice at each read and write, next to which a system call stands, costs less than two copies of
/// the code that uses it.
pub(crate) enum Transport {
    /// The socket itself.
    Plain(TcpStream),
    /// Its own state is large, and rare.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Nobody on the way can read it.
    pub(crate) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Read once; ready with 0 at the end.
    #[inline]
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Future::poll(pin!(stream.read_buf(buffer)), context),
            Self::Tls(stream) => {
                let polled = Future::poll(pin!(stream.read_buf(buffer)), context);
                polled.map(|read| match read {
                    // Most clients just close the socket. AMQP says itself where it ends.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                    read => read,
                })
            }
        }
    }

    /// Write once.
    #[inline]
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, slices),
        }
    }

    /// Have the socket take what was written. A socket itself has it already.
    #[inline]
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    /// Write all of it, and no more afterwards.
    pub(super) async fn end_with(&mut self, last: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => {
                if !last.is_empty() {
                    stream.write_all(last).await?;
                }
                stream.shutdown().await
            }
            Self::Tls(stream) => {
                stream.write_all(last).await?;
                stream.shutdown().await
            }
        }
    }

    /// Throw away what comes, to the end.
    pub(super) async fn drain(&mut self) {
        let mut scratch = [0; 4096];
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
        };
        while matches!(socket.read(&mut scratch).await, Ok(count) if count > 0) {}
    }

    /// Tell the peer at once what has come. Clients that hold small writes back until the last one is acknowledged
    /// (Nagle's algorithm) would otherwise wait some 40 ms in a handshake. The system forgets it soon.
    pub(super) fn acknowledge_quickly(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::net::sockopt::set_tcp_quickack(self.socket(), true) {
            tracing::trace!(%error, "cannot set TCP_QUICKACK");
        }
    }
}
