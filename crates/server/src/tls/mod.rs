//! Encrypted listeners: certificates and keys from files, read anew when they change.
//!
//! A handshake takes the configuration that is current when it begins. New files take effect for the handshakes that
//! follow; connections that are there keep what they agreed upon. Files that can't be used change nothing.

mod files;
mod names;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig, SupportedProtocolVersion};

use crate::config::{Tls, TlsVerify, TlsVersion};

pub(crate) use names::login_name;

/// Why the files of an encrypted listener can't be used. `Display` is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {reason}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file does not hold what it is for.
    #[error("{}: {reason}", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts do not go together.
    #[error("TLS cannot be set up: {0}")]
    Refused(String),
}

/// What encrypted listeners agree upon with their clients.
pub(crate) struct Certificates {
    settings: Tls,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// Of the files that were last looked at, whether they could be used or not.
    stamps: Vec<Stamp>,
}

/// By what a file is known to have changed: when it was written, and how long it is.
type Stamp = Option<(SystemTime, u64)>;

impl Certificates {
    /// What `settings` name, which must be something.
    pub(crate) fn load(settings: &Tls) -> Result<Self, TlsError> {
        let stamps = stamps(settings);
        let current = Current {
            config: Arc::new(server_config(settings)?),
            stamps,
        };
        Ok(Self {
            settings: settings.clone(),
            current: Mutex::new(current),
        })
    }

    /// What was asked for.
    pub(crate) fn settings(&self) -> &Tls {
        &self.settings
    }

    /// For the next handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.lock().config))
    }

    /// Read the files anew. If they can't be used, everything stays as it is.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let stamps = stamps(&self.settings);
        let read = server_config(&self.settings);
        let mut current = self.current.lock();
        current.stamps = stamps;
        current.config = Arc::new(read?);
        Ok(())
    }

    /// As [`Self::reload`], if a file has changed since it was last looked at; `None` if not.
    pub(crate) fn reload_changed(&self) -> Option<Result<(), TlsError>> {
        let changed = self.current.lock().stamps != stamps(&self.settings);
        changed.then(|| self.reload())
    }
}

/// Look after the files for as long as the node runs.
pub(crate) async fn watch(certificates: Arc<Certificates>) {
    let seconds = certificates.settings.reload_interval_seconds;
    if seconds == 0 {
        return;
    }
    loop {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let looked_at = Arc::clone(&certificates);
        match tokio::task::spawn_blocking(move || looked_at.reload_changed()).await {
            Ok(Some(Ok(()))) => {
                tracing::info!("TLS certificates reloaded: their files have changed");
            }
            Ok(Some(Err(error))) => {
                tracing::error!(%error, "TLS certificates not reloaded: the old ones stay in use");
            }
            // Nothing has changed, or nobody is left to read.
            Ok(None) | Err(_) => {}
        }
    }
}

fn stamps(settings: &Tls) -> Vec<Stamp> {
    let files = settings.certificate.iter().chain(&settings.key);
    let files = files.chain(&settings.ca).chain(&settings.crl);
    files
        .map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
        .collect()
}

/// Reads the files. Blocks.
fn server_config(settings: &Tls) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(&settings.versions))
        .map_err(refused)?;
    let builder = match settings.verify {
        TlsVerify::None => builder.with_no_client_auth(),
        TlsVerify::Peer => builder.with_client_cert_verifier(verifier(settings, &provider)?),
    };
    let mut certified = Vec::new();
    for (chain, key) in settings.certificate.iter().zip(&settings.key) {
        certified.push(files::certified(chain, key, &provider)?);
    }
    Ok(builder.with_cert_resolver(Arc::new(ByName(certified))))
}

fn versions(settings: &[TlsVersion]) -> Vec<&'static SupportedProtocolVersion> {
    [(TlsVersion::V1_3, &TLS13), (TlsVersion::V1_2, &TLS12)]
        .into_iter()
        .filter(|(version, _)| settings.contains(version))
        .map(|(_, supported)| supported)
        .collect()
}

/// Who looks at the certificates of clients. A list of revoked ones that says nothing of an authority does not refuse
/// those whom it has signed.
fn verifier(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let Some(ca) = &settings.ca else {
        return Err(TlsError::Refused("no authority is named".to_owned()));
    };
    let authorities = Arc::new(files::authorities(ca)?);
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(provider));
    if let Some(crl) = &settings.crl {
        builder = builder
            .with_crls(files::revoked(crl)?)
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status();
    }
    if !settings.fail_if_no_peer_cert {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| TlsError::Unusable {
        file: settings.crl.clone().unwrap_or_else(|| ca.clone()),
        reason: error.to_string(),
    })
}

/// Certificates with the hosts that they are for. The first serves whoever names no host of another.
#[derive(Debug)]
struct ByName(Vec<(Vec<String>, Arc<CertifiedKey>)>);

impl ByName {
    fn find(&self, host: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = host.and_then(|host| {
            let is_for = |names: &[String]| names.iter().any(|name| names::covers(name, host));
            self.0.iter().find(|(names, _)| is_for(names))
        });
        named.or(self.0.first()).map(|(_, certified)| certified)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).cloned()
    }
}
