//! How fast passwords may be guessed: failed logins by address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

/// Addresses that are remembered. Each is forgotten a second after its last failure; there can't be many, as a failed
/// login keeps one of the few places of those who have not logged in.
const ADDRESSES_MAX: usize = 16_384;

/// What one failure adds to an address's level. It sinks by the bound each millisecond.
const FAILURE: u64 = 1000;

/// Addresses from which logins have failed lately.
#[derive(Debug)]
pub(crate) struct FailedLogins {
    /// Failures a second from one address; 0: no bound.
    per_second: u64,
    levels: Mutex<HashMap<IpAddr, Level>>,
}

/// A bucket that leaks: full after a second's worth of failures, empty a second later.
#[derive(Clone, Copy, Debug)]
struct Level {
    height: u64,
    /// When it was so high.
    at: Duration,
}

impl FailedLogins {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.into(),
            levels: Mutex::default(),
        }
    }

    /// Whether a login from `peer` is to be looked at.
    pub(crate) fn may_try(&self, peer: IpAddr, now: Duration) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let levels = self.levels.lock();
        let height = levels
            .get(&whose(peer))
            .map_or(0, |level| self.height(*level, now));
        height + FAILURE <= self.per_second * FAILURE
    }

    /// A login from `peer` has failed.
    pub(crate) fn note_failure(&self, peer: IpAddr, now: Duration) {
        if self.per_second == 0 {
            return;
        }
        let mut levels = self.levels.lock();
        if levels.len() >= ADDRESSES_MAX {
            levels.retain(|_, level| self.height(*level, now) > 0);
        }
        let known = levels.len();
        let peer = whose(peer);
        if known >= ADDRESSES_MAX && !levels.contains_key(&peer) {
            return;
        }
        let level = levels.entry(peer).or_insert(Level { height: 0, at: now });
        level.height = self.height(*level, now) + FAILURE;
        level.at = now;
    }

    fn height(&self, level: Level, now: Duration) -> u64 {
        let since = now.saturating_sub(level.at).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        level
            .height
            .saturating_sub(since.saturating_mul(self.per_second))
    }
}

/// Who is behind an address: of IPv6, everybody has a network of 2^64.
fn whose(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn a_seconds_worth_of_failures_is_borne() {
        let logins = FailedLogins::new(3);
        let peer = at("203.0.113.1");
        for _ in 0..3 {
            assert!(logins.may_try(peer, START));
            logins.note_failure(peer, START);
        }
        assert!(!logins.may_try(peer, START));
        assert!(logins.may_try(at("203.0.113.2"), START));
        // One may be tried as soon as one has leaked away.
        let third = START + Duration::from_millis(333);
        assert!(!logins.may_try(peer, third));
        assert!(logins.may_try(peer, third + Duration::from_millis(1)));
        for _ in 0..3 {
            assert!(logins.may_try(peer, START + Duration::from_secs(1)));
            logins.note_failure(peer, START + Duration::from_secs(1));
        }
        assert!(!logins.may_try(peer, START + Duration::from_secs(1)));
    }

    #[test]
    fn an_address_is_who_is_behind_it() {
        let logins = FailedLogins::new(1);
        logins.note_failure(at("::ffff:10.0.0.1"), START);
        assert!(!logins.may_try(at("10.0.0.1"), START));
        logins.note_failure(at("2001:db8::1"), START);
        assert!(!logins.may_try(at("2001:db8::ffff:1"), START));
        assert!(logins.may_try(at("2001:db8:0:1::1"), START));
    }

    #[test]
    fn without_a_bound_all_are_looked_at() {
        let logins = FailedLogins::new(0);
        for _ in 0..1000 {
            logins.note_failure(at("10.0.0.1"), START);
        }
        assert!(logins.may_try(at("10.0.0.1"), START));
        assert!(logins.levels.lock().is_empty());
    }

    #[test]
    fn memory_is_bounded_and_the_old_make_room() {
        let logins = FailedLogins::new(10);
        let all = u32::try_from(ADDRESSES_MAX).unwrap() + 1000;
        for number in 0..all {
            logins.note_failure(IpAddr::from(number.to_be_bytes()), START);
        }
        assert_eq!(logins.levels.lock().len(), ADDRESSES_MAX);
        logins.note_failure(at("203.0.113.1"), START + Duration::from_secs(1));
        assert_eq!(logins.levels.lock().len(), 1);
    }
}
