//! How a refusal reaches a lapin user: as the error of the call, and as an event of the connection.

use std::pin::pin;
use std::time::Duration;

use lapin::{Connection, Error, ErrorKind, Event};
use tokio::time::timeout;
use tokio_stream::StreamExt;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs `action` and expects the broker to close its channel or the connection, whichever goes with the code.
/// Works for commands without an answer too, whose error comes when it comes.
pub async fn refused<T>(connection: &Connection, code: u16, text: &str, action: impl Future<Output = T>) {
    let mut events = pin!(connection.events_listener());
    action.await; // its own outcome says the same, or nothing
    let event = loop {
        match timeout(TIMEOUT, events.next()).await {
            Ok(Some(Event::Error(error))) => break error,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => panic!("not refused: expected {code} {text}"),
        }
    };
    assert_error(&event, code, text);
}

pub fn assert_error(error: &Error, code: u16, text: &str) {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        panic!("expected {code} {text}, got {error}");
    };
    let message = refusal.get_message().as_str();
    assert!(refusal.get_id() == code && message.contains(text), "expected {code} {text}, got {error}");
}
