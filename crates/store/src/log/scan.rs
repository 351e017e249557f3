//! Reading a whole segment when the store opens, past damage where that is right.
//!
//! In the newest segment, a place where no record can be read is either the end of what was being written when the
//! process died (nothing after it was confirmed, so the log ends there) or damage to records that were synced long
//! ago. The start of every batch says up to where the segment was synced before; if such a start is found behind the
//! bad place and vouches for it, it is damage, and what follows is served. Older segments were synced before the next
//! one was used, so there a bad place is always damage.

use crate::log::record::{ALIGNMENT, Bad, RECORD_HEADER, Record, Seal, announced_len};
use crate::log::segment::SEGMENT_HEADER;
use crate::octets::{index, wide};

/// How often the octets of a segment may be gone over in search of the next good record: a body full of what looks
/// like records must not hold up the opening.
const SEARCH_FACTOR: usize = 16;

/// A place that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Octets from the segment's start.
    pub(crate) offset: u64,
    /// Octets passed over.
    pub(crate) len: u64,
    pub(crate) reason: String,
}

/// What reading a segment came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Where the last good record ends.
    pub(crate) end: u64,
    /// Octets after that which are not zero up to the last such: the unfinished write that is cut off.
    pub(crate) torn: u64,
    /// Places passed over.
    pub(crate) damage: Vec<Damage>,
    /// Records seen.
    pub(crate) records: u64,
}

/// Call `visit` with every record of a segment in order. `newest` says that no later segment holds a record.
pub(crate) fn scan(
    octets: &[u8],
    seal: Seal,
    newest: bool,
    mut visit: impl FnMut(&Record<'_>),
) -> Scanned {
    let mut search = Search {
        octets,
        seal,
        budget: octets.len().saturating_mul(SEARCH_FACTOR),
    };
    let mut scanned = Scanned {
        end: SEGMENT_HEADER,
        ..Scanned::default()
    };
    let mut at = SEGMENT_HEADER;
    let mut used = None;
    while index(at) < octets.len() {
        let bad = match search.parse(at) {
            Ok(record) => {
                visit(&record);
                at += wide(record.len);
                scanned.end = at;
                scanned.records += 1;
                continue;
            }
            Err(bad) => bad,
        };
        let used = *used.get_or_insert_with(|| used_len(octets));
        let resume = if index(at) < used {
            search.next_record(at)
        } else {
            None
        };
        let resume = resume.filter(|resume| !newest || search.vouches(*resume, at));
        if newest && resume.is_none() {
            scanned.torn = wide(used).saturating_sub(at);
            break;
        }
        let next = resume.unwrap_or(wide(octets.len()));
        scanned.damage.push(Damage {
            offset: at,
            len: next - at,
            reason: bad.to_string(),
        });
        at = next;
    }
    scanned
}

/// Octets up to the last one that is not zero.
fn used_len(octets: &[u8]) -> usize {
    octets
        .iter()
        .rposition(|octet| *octet != 0)
        .map_or(0, |last| last + 1)
}

struct Search<'a> {
    octets: &'a [u8],
    seal: Seal,
    /// Octets that may still be checksummed in searching.
    budget: usize,
}

impl<'a> Search<'a> {
    fn parse(&self, at: u64) -> Result<Record<'a>, Bad> {
        let rest = self.octets.get(index(at)..).unwrap_or(&[]);
        Record::parse(rest, self.seal, at)
    }

    /// As [`Search::parse`], but pays for what it looks at.
    fn probe(&mut self, at: u64) -> Option<Record<'a>> {
        let rest = self.octets.get(index(at)..).unwrap_or(&[]);
        let len = announced_len(rest)?;
        match Record::parse(rest, self.seal, at) {
            Ok(record) => Some(record),
            Err(Bad::Crc) => {
                self.budget = self.budget.saturating_sub(len);
                None
            }
            Err(_) => None,
        }
    }

    /// Where the next good record after the bad place `at` stands. The bad one's length is believed only where a search
    /// finds nothing before: it may be what is damaged, and would lead past good ones.
    fn next_record(&mut self, at: u64) -> Option<u64> {
        let rest = self.octets.get(index(at)..).unwrap_or(&[]);
        let announced = announced_len(rest).map(|len| at + wide(len));
        let announced = announced.filter(|next| self.probe(*next).is_some());
        let end = announced.map_or(self.octets.len(), index);
        let mut next = at + wide(ALIGNMENT);
        while index(next) + RECORD_HEADER <= end && self.budget > 0 {
            if self.probe(next).is_some() {
                return Some(next);
            }
            next += wide(ALIGNMENT);
        }
        announced
    }

    /// Whether a batch that begins at `from` or later says that `at` was synced before.
    fn vouches(&mut self, from: u64, at: u64) -> bool {
        let mut from = from;
        loop {
            match self.parse(from) {
                Ok(record) if record.synced().is_some_and(|synced| synced > at) => return true,
                Ok(record) => from += wide(record.len),
                Err(_) => match self.next_record(from) {
                    Some(next) => from = next,
                    None => return false,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
