//! Finding a binding by what it is.

use crate::binding::{Binding, Destination};
use crate::hash::SecretState;
use leveret_wire::{FieldTable, encode_table};
use rustc_hash::FxHashMap;
use std::hash::Hasher as _;

/// A hash of all that makes a binding the one it is.
pub(crate) fn identity_hash(binding: &Binding, secret: &SecretState) -> u64 {
    let mut hasher = secret.hasher();
    hasher.write(binding.source.as_bytes());
    hasher.write_u8(u8::from(matches!(
        binding.destination,
        Destination::Exchange(_)
    )));
    hasher.write(binding.destination.name().as_bytes());
    hasher.write(binding.routing_key.as_bytes());
    if !binding.arguments.inner().is_empty() {
        hasher.write(&octets(&binding.arguments));
    }
    hasher.finish()
}

/// Whether two are the same binding. Arguments are compared by their octets on the wire, sorted by
/// key: there the type of a value counts, and a NaN equals itself.
pub(crate) fn is_same(one: &Binding, other: &Binding) -> bool {
    one.source == other.source
        && one.destination == other.destination
        && one.routing_key == other.routing_key
        && one.arguments.inner().len() == other.arguments.inner().len()
        && (one.arguments.inner().is_empty() || octets(&one.arguments) == octets(&other.arguments))
}

fn octets(arguments: &FieldTable) -> Vec<u8> {
    let mut octets = Vec::new();
    encode_table(arguments, &mut octets);
    octets
}

/// The numbers of bindings by the hash of their identity.
#[derive(Default)]
pub(crate) struct Identities {
    buckets: FxHashMap<u64, Bucket>,
}

/// Bindings of one hash. More than one is next to impossible, but must not go wrong.
enum Bucket {
    One(u32),
    Several(Vec<u32>),
}

impl Bucket {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Several(numbers) => numbers,
        }
    }
}

impl Identities {
    /// The binding with `hash` that `is_wanted`.
    pub(crate) fn find(&self, hash: u64, is_wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let numbers = self.buckets.get(&hash)?.as_slice();
        numbers.iter().copied().find(|number| is_wanted(*number))
    }

    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        match self.buckets.get_mut(&hash) {
            None => {
                self.buckets.insert(hash, Bucket::One(number));
            }
            Some(Bucket::Several(numbers)) => numbers.push(number),
            Some(bucket @ Bucket::One(_)) => {
                let mut numbers = bucket.as_slice().to_vec();
                numbers.push(number);
                *bucket = Bucket::Several(numbers);
            }
        }
    }

    /// How many hashes there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let Some(bucket) = self.buckets.get_mut(&hash) else {
            return;
        };
        let empty = match bucket {
            Bucket::One(only) => *only == number,
            Bucket::Several(numbers) => {
                numbers.retain(|other| *other != number);
                numbers.is_empty()
            }
        };
        if empty {
            self.buckets.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_wire::AMQPValue;

    #[test]
    fn bindings_of_one_hash_are_kept_apart() {
        let mut identities = Identities::default();
        for number in [1, 2, 3] {
            identities.insert(7, number);
        }
        assert_eq!(identities.find(7, |number| number == 2), Some(2));
        identities.remove(7, 2);
        assert_eq!(identities.find(7, |number| number == 2), None);
        assert_eq!(identities.find(7, |number| number == 3), Some(3));
        identities.remove(7, 3);
        identities.remove(7, 1);
        assert_eq!(identities.len(), 0);
        identities.insert(7, 4);
        identities.remove(7, 5);
        assert_eq!(identities.find(7, |_| true), Some(4));
    }

    #[test]
    fn every_part_of_a_binding_is_its_identity() {
        let secret = SecretState::default();
        let argument = |value: AMQPValue| {
            let mut arguments = FieldTable::default();
            arguments.insert("n".into(), value);
            arguments
        };
        let binding = |source: &str, destination, key: &str, arguments| Binding {
            source: source.into(),
            destination,
            routing_key: key.into(),
            arguments,
        };
        let queue = |name: &str| Destination::Queue(name.into());
        let all = [
            binding("x", queue("q"), "k", FieldTable::default()),
            binding("y", queue("q"), "k", FieldTable::default()),
            binding("x", queue("r"), "k", FieldTable::default()),
            binding(
                "x",
                Destination::Exchange("q".into()),
                "k",
                FieldTable::default(),
            ),
            binding("x", queue("q"), "", FieldTable::default()),
            binding("x", queue("qk"), "", FieldTable::default()),
            binding("x", queue("q"), "k", argument(AMQPValue::LongInt(1))),
            binding("x", queue("q"), "k", argument(AMQPValue::LongLongInt(1))),
            binding("x", queue("q"), "k", argument(AMQPValue::LongInt(2))),
            binding("x", queue("q"), "k", argument(AMQPValue::Double(f64::NAN))),
        ];
        for (one, first) in all.iter().enumerate() {
            for (other, second) in all.iter().enumerate() {
                assert_eq!(is_same(first, second), one == other, "{first:?} {second:?}");
                let hashes_agree = identity_hash(first, &secret) == identity_hash(second, &secret);
                assert_eq!(hashes_agree, one == other, "{first:?} {second:?}");
            }
        }
    }
}
