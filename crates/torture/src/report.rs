//! What is said of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::checker::{Checker, Kind, Tally, Violation};
use crate::log::Entry;
use crate::plan::Blow;
use crate::rounds::Blows;

/// Violations that are told with their histories.
const TOLD: usize = 20;
/// Lines of one history.
const LINES: usize = 60;

/// The line of a round.
pub(crate) fn round(
    number: usize,
    rounds: usize,
    blow: Blow,
    took: Duration,
    before: &Tally,
    now: &Tally,
    violations: usize,
) -> String {
    let verdict = if violations == 0 { "ok" } else { "WRONG" };
    format!(
        "{number:>4}/{rounds} {:<18} {:>5} ms  {:>6} published {:>6} confirmed {:>6} delivered {:>6} acked {:>4} definitions {:>3} acks returned  {verdict}",
        blow.word(),
        took.as_millis(),
        now.published - before.published,
        now.confirmed - before.confirmed,
        now.delivered - before.delivered,
        now.acked - before.acked,
        now.definitions - before.definitions,
        now.returned - before.returned,
    )
}

/// The table at the end.
pub(crate) fn table(checker: &Checker, blows: &Blows) -> String {
    let tally = checker.tally();
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    for violation in checker.violations() {
        *kinds.entry(violation.kind).or_default() += 1;
    }
    let of = |kind: Kind| kinds.get(&kind).copied().unwrap_or(0);
    let millis = |nanos: u64| format!("{} ms", nanos.div_ceil(1_000_000));
    let rows: Vec<(&str, String)> = vec![
        (
            "kills under load",
            (blows.kills + blows.kills_after_answer + blows.recovery_rounds).to_string(),
        ),
        (
            "  of them right after an -ok",
            blows.kills_after_answer.to_string(),
        ),
        (
            "  of them followed by kills in recovery",
            blows.recovery_rounds.to_string(),
        ),
        ("kills in recovery", blows.recovery_kills.to_string()),
        (
            "  of them before clients could connect",
            blows.recovery_kills_before_ready.to_string(),
        ),
        ("orderly stops under load", blows.stops.to_string()),
        (
            "  slowest stop",
            format!("{} ms", blows.slowest_stop.as_millis()),
        ),
        ("  stops over 10 s", blows.stops_over_10_s.to_string()),
        (
            "slowest start",
            format!("{} ms", blows.slowest_start.as_millis()),
        ),
        ("messages published", tally.published.to_string()),
        ("messages confirmed", tally.confirmed.to_string()),
        (
            "  of them to be kept over a restart",
            tally.confirmed_lasting.to_string(),
        ),
        ("deliveries", tally.delivered.to_string()),
        ("  marked as redelivered", tally.redelivered.to_string()),
        ("acknowledged", tally.acked.to_string()),
        ("rejected", tally.rejected.to_string()),
        ("given back", tally.requeued.to_string()),
        (
            "declares, binds, unbinds, deletes answered",
            tally.definitions.to_string(),
        ),
        ("confirmed messages lost", of(Kind::Lost).to_string()),
        (
            "declares, binds, unbinds, deletes undone",
            of(Kind::Undone).to_string(),
        ),
        ("messages out of order", of(Kind::Order).to_string()),
        (
            "settled messages back after a kill",
            tally.returned.to_string(),
        ),
        (
            "  oldest, from the writing of the ack",
            millis(tally.returned_oldest),
        ),
        (
            "  of them known to have reached the broker",
            tally.returned_arrived.to_string(),
        ),
        (
            "  oldest of those, from when that was known",
            millis(tally.returned_oldest_arrived),
        ),
        ("  older than allowed", of(Kind::Returned).to_string()),
        (
            "back after a stop, the ack still on its way",
            tally.returned_after_stop.to_string(),
        ),
        (
            "deliveries wrongly marked or not marked",
            (of(Kind::Marked) + of(Kind::NotMarked)).to_string(),
        ),
        ("wrong delivery counts", of(Kind::DeliveryCount).to_string()),
        ("delivered twice", of(Kind::Twice).to_string()),
        ("wrong bodies", of(Kind::WrongBody).to_string()),
        (
            "never published, or to another queue",
            (of(Kind::Unknown) + of(Kind::Misrouted)).to_string(),
        ),
        (
            "transient messages that survived",
            of(Kind::Survived).to_string(),
        ),
        ("wrong message counts", of(Kind::Count).to_string()),
        (
            "refusals and failures of the broker",
            (of(Kind::Refused) + of(Kind::Broker)).to_string(),
        ),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        // A String takes all that is written.
        let _ = writeln!(text, "{name:<44} {value:>12}");
    }
    text
}

/// The first violations with what is known of them, told from the logs of the last lives.
pub(crate) fn violations<'a>(
    violations: &[Violation],
    logs: impl Iterator<Item = &'a (String, Vec<Entry>)> + Clone,
) -> String {
    let mut text = String::new();
    for violation in violations.iter().take(TOLD) {
        let _ = writeln!(text, "{violation}");
        let mut lines = 0;
        for (what, entries) in logs.clone() {
            let concerned: Vec<&Entry> = entries
                .iter()
                .filter(|entry| concerns(entry, violation))
                .collect();
            for entry in concerned {
                if lines < LINES {
                    let _ = writeln!(text, "    {entry}");
                }
                lines += 1;
            }
            if lines > 0 {
                let _ = writeln!(text, "    --- end of: {what}");
            }
        }
    }
    if violations.len() > TOLD {
        let _ = writeln!(text, "... and {} more", violations.len() - TOLD);
    }
    text
}

fn concerns(entry: &Entry, violation: &Violation) -> bool {
    violation
        .message
        .is_some_and(|message| entry.names(message))
        || violation
            .definition
            .as_ref()
            .is_some_and(|name| entry.defines(name))
}
