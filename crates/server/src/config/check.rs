//! Checks of a whole configuration.

use super::Config;
use super::error::{ConfigError, Conflict, Invalid, Origin};
use super::setting::SETTINGS;

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
                    key: setting.key,
                    reason,
                })?;
        }
        self.check_combinations(&|_| None)
    }

    pub(super) fn check_combinations(&self, origin_of: &OriginOf<'_>) -> Result<(), ConfigError> {
        let invalid = |key, reason| ConfigError::Invalid {
            origin: origin_of(key),
            key,
            reason,
        };
        if self.listen.is_empty() {
            return Err(invalid("listen", Invalid::Empty));
        }
        if !is_version(&self.server.version) {
            return Err(invalid(
                "server.version",
                Invalid::Version(self.server.version.clone()),
            ));
        }
        self.check_addresses(origin_of)?;
        self.check_marks(origin_of)
    }

    /// An address named twice could not be bound the second time. Port 0 is another port each time.
    fn check_addresses(&self, origin_of: &OriginOf<'_>) -> Result<(), ConfigError> {
        let amqp = self.listen.iter().map(|address| ("listen", address));
        let metrics = self
            .metrics_listen
            .iter()
            .map(|address| ("metrics_listen", address));
        let all: Vec<_> = amqp
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
