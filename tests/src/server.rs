//! A broker inside the test process.

use std::net::SocketAddr;

use leveret::{Broker, BrokerBuilder};
use tokio::runtime::Runtime;

use crate::{Client, Login, trace};

/// Threads that serve one test's broker.
const THREADS: usize = 2;

/// A running broker with a runtime of its own. It goes with this value.
pub struct Server {
    /// Always there until the drop.
    runtime: Option<Runtime>,
    broker: Option<Broker>,
    address: SocketAddr,
}

impl Server {
    /// A broker in memory.
    pub fn start() -> Self {
        Self::build(|builder| builder)
    }

    /// A broker set up by `change`. Failed logins are answered at once unless that says otherwise:
    /// the delay guards passwords, and a test has none to guard.
    pub fn build(change: impl FnOnce(BrokerBuilder) -> BrokerBuilder) -> Self {
        trace::start();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()
            .unwrap();
        let builder =
            Broker::builder().configure(|config| config.limits.login_failure_delay_seconds = 0);
        let broker = runtime
            .block_on(change(builder).start())
            .expect("the broker starts");
        Self {
            address: broker.address(),
            broker: Some(broker),
            runtime: Some(runtime),
        }
    }

    /// Where it listens for AMQP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for AMQP over TLS.
    pub fn encrypted_address(&self) -> SocketAddr {
        let addresses = self.running().amqps_addresses();
        *addresses.first().expect("the test asked for TLS")
    }

    /// Where it serves metrics.
    pub fn metrics_address(&self) -> SocketAddr {
        let addresses = self.running().metrics_addresses();
        *addresses.first().expect("the test asked for metrics")
    }

    /// The broker.
    pub fn running(&self) -> &Broker {
        self.broker.as_ref().expect("the broker was not shut down")
    }

    /// A client with channel 1 open.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.log_in(&Login::default())
    }

    /// As [`Self::client`], as somebody else or with other limits.
    #[track_caller]
    pub fn log_in(&self, login: &Login) -> Client {
        let mut client = Client::log_in(self.address, login);
        client.open_channel(1);
        client
    }

    /// Shut it down in good order.
    pub fn shut_down(&mut self) {
        let broker = self.broker.take().expect("the broker was not shut down");
        let runtime = self
            .runtime
            .as_ref()
            .expect("the runtime is there until the drop");
        runtime.block_on(broker.shutdown());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.broker.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
