//! From the protocol header to open-ok, step by step.

use leveret_wire::method::connection::{Open, Start, StartOk, Tune, TuneOk};
use leveret_wire::{AMQPValue, FieldTable, LongString};

use crate::Client;
use crate::requests::table;

/// The header of AMQP 0-9-1.
pub const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// What a client says of itself, and what it asks for.
#[derive(Clone, Debug)]
pub struct Login {
    /// SASL mechanism.
    pub mechanism: String,
    /// Its response.
    pub response: Vec<u8>,
    /// The vhost to open.
    pub vhost: String,
    /// Names of the capabilities that are announced as true.
    pub capabilities: Vec<&'static str>,
    /// For tune-ok; `None` takes the broker's.
    pub frame_max: Option<u32>,
    /// For tune-ok; `None` takes the broker's.
    pub channel_max: Option<u16>,
    /// Seconds, for tune-ok.
    pub heartbeat: u16,
}

impl Default for Login {
    /// The default user with everything that clients can do, without heartbeats.
    fn default() -> Self {
        Self {
            mechanism: "PLAIN".to_owned(),
            response: b"\0guest\0guest".to_vec(),
            vhost: "/".to_owned(),
            capabilities: vec![
                "authentication_failure_close",
                "basic.nack",
                "connection.blocked",
                "consumer_cancel_notify",
                "publisher_confirms",
            ],
            frame_max: None,
            channel_max: None,
            heartbeat: 0,
        }
    }
}

impl Login {
    /// With a name and password, by PLAIN.
    pub fn plain(user: &str, password: &str) -> Self {
        Self {
            response: format!("\0{user}\0{password}").into_bytes(),
            ..Self::default()
        }
    }

    /// With a name and password, by AMQPLAIN.
    pub fn amqplain(user: &str, password: &str) -> Self {
        Self {
            mechanism: "AMQPLAIN".to_owned(),
            response: amqplain(&[("LOGIN", user), ("PASSWORD", password)]),
            ..Self::default()
        }
    }

    /// A client that announces nothing, as clients of 2008 do.
    pub fn without_capabilities() -> Self {
        Self {
            capabilities: Vec::new(),
            ..Self::default()
        }
    }

    /// The start-ok.
    pub fn start_ok(&self) -> StartOk {
        let capabilities = self
            .capabilities
            .iter()
            .map(|name| (*name, AMQPValue::Boolean(true)));
        let capabilities: FieldTable = table(capabilities);
        let client_properties = if self.capabilities.is_empty() {
            FieldTable::default()
        } else {
            table([("capabilities", AMQPValue::FieldTable(capabilities))])
        };
        StartOk {
            client_properties,
            mechanism: self.mechanism.as_str().into(),
            response: LongString::from(self.response.clone()),
            locale: "en_US".into(),
        }
    }
}

/// The contents of a table of long strings, as AMQPLAIN sends it.
pub fn amqplain(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut response = Vec::new();
    for (key, value) in entries {
        response.push(u8::try_from(key.len()).unwrap());
        response.extend_from_slice(key.as_bytes());
        response.push(b'S');
        response.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        response.extend_from_slice(value.as_bytes());
    }
    response
}

impl Client {
    /// Say the protocol header and take the broker's start.
    #[track_caller]
    pub fn expect_start(&mut self) -> Start {
        self.write(PROTOCOL_HEADER);
        self.expect(0)
    }

    /// As far as the broker's tune.
    #[track_caller]
    pub fn expect_tune(&mut self, login: &Login) -> Tune {
        let start = self.expect_start();
        self.server_properties = start.server_properties;
        self.mechanisms =
            String::from_utf8(start.mechanisms.as_bytes().to_vec()).expect("mechanisms are text");
        self.send(0, login.start_ok());
        self.expect(0)
    }

    /// All of the handshake.
    #[track_caller]
    pub fn open_connection(&mut self, login: &Login) {
        let tune = self.expect_tune(login);
        self.send(
            0,
            TuneOk {
                channel_max: login.channel_max.unwrap_or(tune.channel_max),
                frame_max: login.frame_max.unwrap_or(tune.frame_max),
                heartbeat: login.heartbeat,
            },
        );
        let vhost = Open {
            virtual_host: login.vhost.as_str().into(),
        };
        self.call(0, vhost);
    }
}
