//! Hashing of what peers choose: names, keys, words, header values.
//!
//! The hash of the standard library withstands collision attacks but takes longer than the rest of
//! a direct route; `FxHash` is quick but its collisions can be computed in advance. This one folds
//! 128-bit products (as `wyhash` and `foldhash` do) under a secret drawn at start, so that a peer
//! who never sees a hash cannot prepare keys that collide.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Builds hashers that share one secret.
#[derive(Clone)]
pub(crate) struct SecretState {
    /// What every hasher begins with.
    seed: u64,
    /// What every word of input is mixed with.
    secret: u64,
}

impl Default for SecretState {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            seed: random.hash_one(0_u8),
            // Odd, so that no product loses its low bits to it.
            secret: random.hash_one(1_u8) | 1,
        }
    }
}

impl SecretState {
    /// A state that is the same in every process: for hashes that decide where messages go, which
    /// must not change with a restart.
    pub(crate) fn fixed() -> Self {
        Self {
            seed: 0x243f_6a88_85a3_08d3,
            secret: 0x1319_8a2e_0370_7345,
        }
    }

    /// A hasher to feed several parts of one identity to.
    pub(crate) fn hasher(&self) -> SecretHasher {
        self.build_hasher()
    }
}

impl BuildHasher for SecretState {
    type Hasher = SecretHasher;

    fn build_hasher(&self) -> SecretHasher {
        SecretHasher {
            state: self.seed,
            secret: self.secret,
        }
    }
}

/// One hash in the making.
pub(crate) struct SecretHasher {
    /// All input so far, folded.
    state: u64,
    /// The secret of the state it was built by.
    secret: u64,
}

impl SecretHasher {
    /// Mix two words into the state.
    fn mix(&mut self, low: u64, high: u64) {
        let product = u128::from(low ^ self.state) * u128::from(high ^ self.secret);
        // Both halves: the upper one carries what the lower one lost.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the halves of the product are wanted"
        )]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        self.state = folded.rotate_left(23) ^ self.secret;
    }
}

/// Spread the bits of a number over all of it (the finalizer of `splitmix64`).
pub(crate) fn spread(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Up to eight octets as a number; absent ones count as zero (the length is mixed in apart).
fn word(octets: &[u8]) -> u64 {
    match <[u8; 8]>::try_from(octets) {
        Ok(whole) => u64::from_le_bytes(whole),
        Err(_) => octets
            .iter()
            .rev()
            .fold(0, |number, octet| (number << 8) | u64::from(*octet)),
    }
}

impl Hasher for SecretHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut blocks = bytes.chunks_exact(16);
        for block in &mut blocks {
            let (low, high) = block.split_at(8);
            self.mix(word(low), word(high));
        }
        let rest = blocks.remainder();
        let (low, high) = rest.split_at(rest.len().min(8));
        self.mix(
            word(low),
            word(high) ^ ((bytes.len() as u64) << 56) ^ bytes.len() as u64,
        );
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number), 1);
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number), 4);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64, 8);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn equal_octets_hash_alike_and_near_octets_apart() {
        let state = SecretState::default();
        let mut seen = HashSet::new();
        for length in 0..40_usize {
            let mut octets = vec![0_u8; length];
            assert_eq!(
                state.hash_one(octets.as_slice()),
                state.hash_one(octets.clone().as_slice())
            );
            assert!(
                seen.insert(state.hash_one(octets.as_slice())),
                "{length} zeros"
            );
            for place in 0..length {
                octets[place] = 1;
                assert!(
                    seen.insert(state.hash_one(octets.as_slice())),
                    "{length} octets, {place} set"
                );
                octets[place] = 0;
            }
        }
    }

    #[test]
    fn two_states_have_two_secrets() {
        let (one, other) = (SecretState::default(), SecretState::default());
        assert_ne!(one.hash_one("orders"), other.hash_one("orders"));
    }
}
