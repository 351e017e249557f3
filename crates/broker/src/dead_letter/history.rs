//! The headers that tell how a message died: x-death, x-first-death-*, x-last-death-*.
//!
//! As RabbitMQ 3.10 has them, with the x-last-death-* headers of 3.13 added. A death in the
//! same queue for the same reason as before raises the count of its entry and moves it to the
//! front; everything else in it tells of the first time. Headers are sorted by name afterwards.

use leveret_wire::{ArrayBuilder, RawTable, RawValue, TableBuilder};

use super::Reason;

const DEATHS: &[u8] = b"x-death";
const CARBON_COPIES: &[u8] = b"CC";
const FIRST: [&[u8]; 3] = [
    b"x-first-death-exchange",
    b"x-first-death-queue",
    b"x-first-death-reason",
];
const LAST: [&[u8]; 3] = [
    b"x-last-death-exchange",
    b"x-last-death-queue",
    b"x-last-death-reason",
];

/// One death.
pub(super) struct Death<'a> {
    pub(super) reason: Reason,
    /// The queue that gave the message up.
    pub(super) queue: &'a str,
    pub(super) time_secs: u64,
    /// The exchange it was published to.
    pub(super) exchange: &'a [u8],
    /// Its own key, then those of CC.
    pub(super) routing_keys: &'a [&'a [u8]],
    /// The expiration property it had.
    pub(super) expiration: Option<&'a [u8]>,
}

impl Death<'_> {
    fn reason(&self) -> RawValue<'_> {
        RawValue::LongString(self.reason.word().as_bytes())
    }

    fn queue(&self) -> RawValue<'_> {
        RawValue::LongString(self.queue.as_bytes())
    }

    fn is_of(&self, entry: &RawTable<'_>) -> bool {
        entry.get(b"queue") == Some(self.queue()) && entry.get(b"reason") == Some(self.reason())
    }

    /// The headers of a kind of death: exchange, queue, reason.
    fn put_summary(&self, names: [&[u8]; 3], headers: &mut TableBuilder) {
        headers.put(names[0], &RawValue::LongString(self.exchange));
        headers.put(names[1], &self.queue());
        headers.put(names[2], &self.reason());
    }

    fn new_entry(&self) -> TableBuilder {
        let mut keys = ArrayBuilder::new();
        for key in self.routing_keys {
            keys.push(&RawValue::LongString(key));
        }
        let mut entry = TableBuilder::new();
        entry
            .put(b"count", &RawValue::I64(1))
            .put(b"reason", &self.reason())
            .put(b"queue", &self.queue())
            .put(b"time", &RawValue::Timestamp(self.time_secs))
            .put(b"exchange", &RawValue::LongString(self.exchange))
            .put(b"routing-keys", &RawValue::Array(keys.as_array()));
        if let Some(expiration) = self.expiration {
            entry.put(b"original-expiration", &RawValue::LongString(expiration));
        }
        entry
    }
}

/// The headers with one more death, as a table's content. `drops_cc`: the message goes on with
/// one key of the queue's, so its own CC means nothing any more.
pub(super) fn record(death: &Death<'_>, headers: RawTable<'_>, drops_cc: bool) -> Vec<u8> {
    let before = deaths(headers);
    let is_first = headers.get(DEATHS).is_none();
    let mut deaths = ArrayBuilder::new();
    let again = before
        .iter()
        .find(|entry| death.is_of(entry))
        .map(|entry| once_more(*entry));
    let newest = again.unwrap_or_else(|| {
        let mut entry = death.new_entry();
        // As in RabbitMQ, only the first entry of all keeps the order in which it is made.
        if matches!(headers.get(DEATHS), Some(RawValue::Array(_))) {
            entry.sort();
        }
        entry
    });
    deaths.push(&RawValue::Table(newest.as_table()));
    for entry in before.iter().filter(|entry| !death.is_of(entry)) {
        deaths.push(&RawValue::Table(*entry));
    }
    let mut replaced = vec![DEATHS];
    replaced.extend(LAST);
    if is_first {
        replaced.extend(FIRST);
    }
    if drops_cc {
        replaced.push(CARBON_COPIES);
    }
    let mut recorded = TableBuilder::new();
    recorded.put_all_but(headers, &replaced);
    recorded.put(DEATHS, &RawValue::Array(deaths.as_array()));
    if is_first {
        death.put_summary(FIRST, &mut recorded);
    }
    death.put_summary(LAST, &mut recorded);
    recorded.sort();
    recorded.into_content()
}

/// Would a message with these headers go in a circle that nobody but the broker keeps up, if
/// it went into `queue`? It would if it died there before, and was not rejected since.
pub(super) fn is_cycle(queue: &str, headers: Option<RawTable<'_>>) -> bool {
    let Some(headers) = headers else { return false };
    for entry in deaths(headers) {
        if entry.get(b"reason") == Some(RawValue::LongString(Reason::Rejected.word().as_bytes())) {
            return false;
        }
        if entry.get(b"queue") == Some(RawValue::LongString(queue.as_bytes())) {
            return true;
        }
    }
    false
}

/// The entries of x-death, newest first; none if the header is something else.
fn deaths(headers: RawTable<'_>) -> Vec<RawTable<'_>> {
    let Some(RawValue::Array(deaths)) = headers.get(DEATHS) else {
        return Vec::new();
    };
    deaths.iter().filter_map(|entry| entry.as_table()).collect()
}

fn once_more(entry: RawTable<'_>) -> TableBuilder {
    let count = entry
        .get(b"count")
        .and_then(|count| count.as_integer())
        .unwrap_or(0);
    let mut again = TableBuilder::new();
    again.put_all_but(entry, &[b"count"]);
    again.put(b"count", &RawValue::I64(count.saturating_add(1)));
    again.sort();
    again
}

#[cfg(test)]
mod tests;
