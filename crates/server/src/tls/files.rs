//! Certificates, keys, authorities and lists of revoked certificates in PEM.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{TlsError, names};

/// A certificate with its chain and its key, and the hosts that it is for.
pub(super) fn certified(
    chain: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<(Vec<String>, Arc<CertifiedKey>), TlsError> {
    let certificates: Vec<CertificateDer<'static>> = items(chain, "certificate")?;
    let hosts = certificates.first().map(|first| names::hosts(first));
    let der = items::<PrivateKeyDer<'static>>(key, "private key")?;
    let Some(der) = der.into_iter().next() else {
        return Err(unusable(key, "no private key in it"));
    };
    let certified = CertifiedKey::from_der(certificates, der, provider)
        .map_err(|error| unusable(key, &format!("not the key of {}: {error}", chain.display())))?;
    Ok((hosts.unwrap_or_default(), Arc::new(certified)))
}

/// Authorities.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in items::<CertificateDer<'static>>(file, "certificate")? {
        store
            .add(certificate)
            .map_err(|error| unusable(file, &error.to_string()))?;
    }
    Ok(store)
}

/// Lists of revoked certificates.
pub(super) fn revoked(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    items(file, "list of revoked certificates")
}

/// What of this kind a file holds; at least one.
fn items<T: PemObject>(file: &Path, kind: &str) -> Result<Vec<T>, TlsError> {
    let octets = std::fs::read(file).map_err(|error| TlsError::Unreadable {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    let found: Result<Vec<T>, pem::Error> = T::pem_slice_iter(&octets).collect();
    let found = found.map_err(|error| unusable(file, not_pem(&error)))?;
    if found.is_empty() {
        return Err(unusable(file, &format!("no {kind} in it")));
    }
    Ok(found)
}

/// What is wrong, without what stands there: of a key that has lost its line ends, pem's own text is the key.
fn not_pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "not in PEM: an END line is missing",
        pem::Error::IllegalSectionStart { .. } => {
            "not in PEM: a BEGIN line does not end as it must"
        }
        pem::Error::Base64Decode(_) => "not in PEM: not base64",
        _ => "not in PEM",
    }
}

fn unusable(file: &Path, reason: &str) -> TlsError {
    TlsError::Unusable {
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}
