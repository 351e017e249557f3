//! What lies in the broker while something else is measured: idle connections, idle queues, a backlog.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cli::Throughput;
use crate::connection::Connection;
use crate::error::Result;
use crate::idle;
use crate::shared::Shared;
use crate::throughput::Load;
use crate::uri::Uri;

/// Things that do nothing, until they are taken away.
#[derive(Debug)]
pub(crate) struct Burden {
    uri: Uri,
    connections: Vec<Connection>,
    queues: Vec<String>,
    backlog: Option<Load>,
}

impl Burden {
    /// Lay there what the options say.
    pub(crate) fn lay(options: &Throughput, interrupt: &Arc<AtomicBool>) -> Result<Self> {
        let mut this = Self {
            uri: options.target.uri.clone(),
            connections: Vec::new(),
            queues: Vec::new(),
            backlog: None,
        };
        match this.lay_all(options, interrupt) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.lift();
                Err(error)
            }
        }
    }

    fn lay_all(&mut self, options: &Throughput, interrupt: &Arc<AtomicBool>) -> Result<()> {
        let burden = options.burden;
        let shared = Shared::new(interrupt);
        let tally = shared.tally();
        if burden.idle_queues > 0 {
            self.queues = idle::declare(&self.uri, burden.idle_queues, &shared, &tally)?;
        }
        if burden.idle_connections > 0 {
            self.connections = idle::open(&self.uri, burden.idle_connections, &shared, &tally)?;
        }
        if burden.idle_backlog > 0 {
            let mut places = options.places.clone();
            (places.queues, places.queue) = (1, None);
            (places.exchange_type, places.exchange) = (None, None);
            let filling = Throughput {
                publishers: 1,
                consumers: 0,
                channels: 1,
                places,
                ..options.clone()
            };
            let mut load = Load::declare(&filling, interrupt)?;
            let outcome = load.lay_backlog(burden.idle_backlog);
            self.backlog = Some(load);
            outcome?;
        }
        Ok(())
    }

    /// Take all of it away. What fails is left: the result of the run is there already.
    pub(crate) fn lift(self) {
        for connection in self.connections {
            let _ = connection.close();
        }
        if !self.queues.is_empty()
            && let Ok(mut control) = Connection::open(&self.uri)
            && control.open_channel(1).is_ok()
        {
            let _ = idle::delete(&mut control, &self.queues);
            let _ = control.close();
        }
        if let Some(load) = self.backlog {
            load.end();
        }
    }
}
