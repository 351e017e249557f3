//! What is kept of a user, first of all the hash of its password.

use std::collections::BTreeSet;

use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Md5;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

/// How a password hash was made (RabbitMQ's page "Passwords"): always a 4-octet salt followed
/// by the digest of salt and password, in base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HashingAlgorithm {
    #[serde(rename = "rabbit_password_hashing_md5")]
    Md5,
    #[default]
    #[serde(rename = "rabbit_password_hashing_sha256")]
    Sha256,
    #[serde(rename = "rabbit_password_hashing_sha512")]
    Sha512,
}

impl HashingAlgorithm {
    fn digest(self, salt: [u8; 4], password: &str) -> Vec<u8> {
        match self {
            Self::Md5 => digest::<Md5>(salt, password),
            Self::Sha256 => digest::<Sha256>(salt, password),
            Self::Sha512 => digest::<Sha512>(salt, password),
        }
    }
}

fn digest<D: Digest>(salt: [u8; 4], password: &str) -> Vec<u8> {
    let digest = D::new().chain_update(salt).chain_update(password);
    digest.finalize().to_vec()
}

/// A user as the definitions keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    /// RabbitMQ's form: base64 of salt and digest. Empty: the user has no password, and none
    /// logs it in.
    pub(crate) password_hash: Secret,
    #[serde(default)]
    pub(crate) hashing_algorithm: HashingAlgorithm,
    pub(crate) tags: Vec<String>,
    /// Limits of the user, kept as they came.
    #[serde(default)]
    pub(crate) limits: Value,
    /// Where older versions wrote down what are permissions now.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) vhosts: BTreeSet<String>,
}

impl UserRecord {
    pub(crate) fn new(password: &str, tags: Vec<String>) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 4];
        getrandom::fill(&mut salt)?;
        let algorithm = HashingAlgorithm::default();
        let mut salted = salt.to_vec();
        salted.extend(algorithm.digest(salt, password));
        let hash = BASE64.encode(salted);
        Ok(Self::with_hash(hash.into(), algorithm, tags))
    }

    pub(crate) fn with_hash(
        password_hash: Secret,
        hashing_algorithm: HashingAlgorithm,
        tags: Vec<String>,
    ) -> Self {
        Self {
            password_hash,
            hashing_algorithm,
            tags,
            limits: Value::Null,
            vhosts: BTreeSet::new(),
        }
    }

    /// The same with the hash of `password`, freshly salted.
    pub(crate) fn hashed(self, password: &str) -> Result<Self, getrandom::Error> {
        let mut hashed = Self::new(password, self.tags)?;
        hashed.limits = self.limits;
        Ok(hashed)
    }

    /// The same with the password of `other`.
    pub(crate) fn hashed_as(self, other: &Self) -> Self {
        Self {
            password_hash: other.password_hash.clone(),
            hashing_algorithm: other.hashing_algorithm,
            ..self
        }
    }

    /// The same with no password that logs in.
    pub(crate) fn without_password(self) -> Self {
        Self {
            password_hash: Secret::default(),
            hashing_algorithm: HashingAlgorithm::default(),
            ..self
        }
    }

    pub(crate) fn matches(&self, password: &str) -> bool {
        let Ok(stored) = BASE64.decode(self.password_hash.expose()) else {
            return false;
        };
        let Some((salt, digest)) = stored.split_first_chunk::<4>() else {
            return false;
        };
        let given = self.hashing_algorithm.digest(*salt, password);
        given.ct_eq(digest).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_salted_and_in_rabbitmqs_form() {
        let a = UserRecord::new("secret", vec![]).unwrap();
        let b = UserRecord::new("secret", vec![]).unwrap();
        assert_ne!(a.password_hash, b.password_hash);
        assert_eq!(BASE64.decode(a.password_hash.expose()).unwrap().len(), 36);
    }

    #[test]
    fn hashes_of_every_algorithm_are_checked() {
        // The first is the worked example of RabbitMQ's page "Passwords".
        let known = [
            (
                HashingAlgorithm::Sha256,
                "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
            ),
            (HashingAlgorithm::Md5, "kI3GChNpte2FApYFXScl+0dIluk="),
            (
                HashingAlgorithm::Sha512,
                "kI3GChuNuIYf8lRbCCxZjgjKwsY19ns6+uFO0zcXRBGA/XGJPYD8OWMy7EB8TaOmAzjP2azv84GbINYwX2cDWb4DHnc=",
            ),
        ];
        for (algorithm, hash) in known {
            let record = UserRecord::with_hash(hash.to_owned().into(), algorithm, vec![]);
            assert!(record.matches("test12"), "{algorithm:?}");
            assert!(!record.matches("test13"), "{algorithm:?}");
        }
        let none = UserRecord::with_hash(Secret::default(), HashingAlgorithm::Md5, vec![]);
        assert!(!none.matches(""));
    }
}
