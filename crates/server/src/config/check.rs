//! Checks of a whole configuration.

use super::error::{ConfigError, Conflict, Invalid, Origin};
use super::setting::SETTINGS;
use super::{Config, MECHANISMS, Tls, TlsVerify};

/// Where the value of a key came from; `None`: it is the default, or came from code.
type OriginOf<'o> = dyn Fn(&str) -> Option<Origin> + 'o;

impl Config {
    /// Whether a broker can run with this: every value within its setting's bounds, and all of them
    /// together. [`Config::load`] has checked what it returns.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // The table's fields are for writing; a copy at start is cheaper than a second table.
        let mut copy = self.clone();
        for setting in SETTINGS {
            (setting.field)(&mut copy)
                .check(&setting.allowed)
                .map_err(|reason| ConfigError::Invalid {
                    origin: None,
                    key: setting.key.into(),
                    reason,
                })?;
        }
        self.check_combinations(&|_| None)
    }

    pub(super) fn check_combinations(&self, origin_of: &OriginOf<'_>) -> Result<(), ConfigError> {
        let invalid = |key: &'static str, reason| ConfigError::Invalid {
            origin: origin_of(key),
            key: key.into(),
            reason,
        };
        if self.listen.is_empty() && !self.tls.is_on() {
            return Err(invalid("listen", Invalid::Empty));
        }
        if !is_version(&self.server.version) {
            return Err(invalid(
                "server.version",
                Invalid::Version(self.server.version.clone()),
            ));
        }
        self.check_mechanisms()
            .map_err(|reason| invalid("auth_mechanisms", reason))?;
        self.check_addresses(origin_of)?;
        self.check_tls(origin_of)?;
        self.check_marks(origin_of)
    }

    fn check_mechanisms(&self) -> Result<(), Invalid> {
        if self.auth_mechanisms.is_empty() {
            return Err(Invalid::Empty);
        }
        let unknown = self
            .auth_mechanisms
            .iter()
            .find(|name| !MECHANISMS.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| {
            Err(Invalid::Kind {
                expected: r#""PLAIN", "AMQPLAIN" or "EXTERNAL""#.to_owned(),
                found: format!("{name:?}"),
            })
        })
    }

    /// A certificate is of no use without its key, nor an authority that nobody is asked about.
    fn check_tls(&self, origin_of: &OriginOf<'_>) -> Result<(), ConfigError> {
        let tls = &self.tls;
        let needs = |first, second| {
            Err(ConfigError::Conflict {
                origin: origin_of(first).or_else(|| origin_of(second)),
                conflict: Conflict::Needs { first, second },
            })
        };
        if tls.certificate.len() != tls.key.len() {
            let (first, second) = if tls.key.is_empty() {
                ("tls.certificate", "tls.key")
            } else {
                ("tls.key", "tls.certificate")
            };
            return needs(first, second);
        }
        let asked_for = origin_of("tls.listen").is_some() && tls.listen != Tls::default().listen;
        if !tls.is_on() && asked_for && !tls.listen.is_empty() {
            return needs("tls.listen", "tls.certificate");
        }
        if tls.is_on() && tls.listen.is_empty() && self.listen.is_empty() {
            return Err(ConfigError::Invalid {
                origin: origin_of("listen"),
                key: "listen".into(),
                reason: Invalid::Empty,
            });
        }
        if tls.verify == TlsVerify::Peer && tls.ca.is_none() {
            return needs("tls.verify", "tls.ca");
        }
        if tls.fail_if_no_peer_cert && tls.verify == TlsVerify::None {
            return needs("tls.fail_if_no_peer_cert", "tls.verify");
        }
        Ok(())
    }

    /// An address named twice could not be bound the second time. Port 0 is another port each time.
    fn check_addresses(&self, origin_of: &OriginOf<'_>) -> Result<(), ConfigError> {
        let amqp = self.listen.iter().map(|address| ("listen", address));
        let metrics = self
            .metrics_listen
            .iter()
            .map(|address| ("metrics_listen", address));
        let tls = self.tls.listen.iter().filter(|_| self.tls.is_on());
        let all: Vec<_> = amqp
            .chain(tls.map(|address| ("tls.listen", address)))
            .chain(metrics)
            .filter(|(_, address)| address.port() != 0)
            .collect();
        for (index, (second, address)) in all.iter().enumerate() {
            let Some((first, _)) = all
                .iter()
                .take(index)
                .find(|(_, earlier)| earlier == address)
            else {
                continue;
            };
            return Err(ConfigError::Conflict {
                origin: origin_of(second).or_else(|| origin_of(first)),
                conflict: Conflict::AddressTwice {
                    first,
                    second,
                    address: address.to_string(),
                },
            });
        }
        Ok(())
    }

    fn check_marks(&self, origin_of: &OriginOf<'_>) -> Result<(), ConfigError> {
        let (low_key, high_key) = ("limits.outbox_low_bytes", "limits.outbox_high_bytes");
        let (low, high) = (self.limits.outbox_low_bytes, self.limits.outbox_high_bytes);
        if low < high {
            return Ok(());
        }
        Err(ConfigError::Conflict {
            origin: origin_of(low_key).or_else(|| origin_of(high_key)),
            conflict: Conflict::Marks {
                low_key,
                low,
                high_key,
                high,
            },
        })
    }
}

/// Whether `text` reads x.y.z, all numbers: clients split it at the dots and compare.
fn is_version(text: &str) -> bool {
    let mut numbers = 0;
    let all = text.split('.').all(|number| {
        numbers += 1;
        number.bytes().all(|octet| octet.is_ascii_digit()) && number.parse::<u32>().is_ok()
    });
    all && numbers == 3
}
