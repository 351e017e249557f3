//! Settings of encrypted listeners.

use std::path::PathBuf;

use super::address::ListenAddress;

/// The listeners that speak TLS (RabbitMQ page "TLS Support"). There are none until a certificate and its key are
/// named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Where AMQP clients are listened for over TLS, once there is a certificate; 5671 is the port of AMQPS.
    pub listen: Vec<ListenAddress>,
    /// Files in PEM, each a certificate and the chain that leads to its authority. The first is the one of clients
    /// that ask for no name of another; the others are chosen by the names in them (SNI).
    pub certificate: Vec<PathBuf>,
    /// Files in PEM with the keys of the certificates, in the same order.
    pub key: Vec<PathBuf>,
    /// File in PEM with the authorities of client certificates.
    pub ca: Option<PathBuf>,
    /// File in PEM with lists of client certificates that were revoked.
    pub crl: Option<PathBuf>,
    /// Whether clients are asked for certificates.
    pub verify: TlsVerify,
    /// Whether a client that has none is refused, where they are asked.
    pub fail_if_no_peer_cert: bool,
    /// The versions that are spoken.
    pub versions: Vec<TlsVersion>,
    /// What of a client's certificate is the user's name, for the mechanism EXTERNAL.
    pub login_from: CertificateLogin,
    /// Which kind of alternative name, if it is one.
    pub login_san_type: AlternativeName,
    /// Which of several of that kind, from 0.
    pub login_san_index: usize,
    /// Seconds that a client has for the handshake of TLS; RabbitMQ's `ssl_handshake_timeout`. It is part of the
    /// time for the whole handshake.
    pub handshake_timeout_seconds: u64,
    /// Seconds between two looks at the files: changed ones are read anew. 0: only a signal has them read.
    pub reload_interval_seconds: u64,
}

impl Tls {
    /// Whether there is anything to encrypt with.
    pub fn is_on(&self) -> bool {
        !self.certificate.is_empty()
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::localhost(5671)],
            certificate: Vec::new(),
            key: Vec::new(),
            ca: None,
            crl: None,
            verify: TlsVerify::None,
            fail_if_no_peer_cert: false,
            versions: vec![TlsVersion::V1_3, TlsVersion::V1_2],
            login_from: CertificateLogin::DistinguishedName,
            login_san_type: AlternativeName::Dns,
            login_san_index: 0,
            handshake_timeout_seconds: 5,
            reload_interval_seconds: 10,
        }
    }
}

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVerify {
    /// They are not.
    None,
    /// They are, and a certificate that is not good ends the connection.
    Peer,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// What of a client's certificate is the user's name; RabbitMQ's `ssl_cert_login_from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateLogin {
    /// The common name of the subject.
    CommonName,
    /// The subject, as RFC 4514 writes it.
    DistinguishedName,
    /// One of the alternative names.
    SubjectAlternativeName,
}

/// A kind of alternative name; RabbitMQ's `ssl_cert_login_san_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// A host's name.
    Dns,
    /// An address of electronic mail.
    Email,
    /// An IP address.
    Ip,
    /// A URI.
    Uri,
}

/// A setting that is one of a few words.
pub(super) trait Word: Copy + 'static {
    /// What is written, and what it means. The first word of a meaning is the one to write.
    const WORDS: &'static [(&'static str, Self)];
    /// The words, for a message.
    const EXPECTED: &'static str;

    /// What `text` means.
    fn of(text: &str) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning)
    }
}

impl Word for TlsVerify {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("peer", Self::Peer),
        ("verify_none", Self::None),
        ("verify_peer", Self::Peer),
    ];
    const EXPECTED: &'static str = r#""none" or "peer""#;
}

impl Word for TlsVersion {
    const WORDS: &'static [(&'static str, Self)] =
        &[("tlsv1.2", Self::V1_2), ("tlsv1.3", Self::V1_3)];
    const EXPECTED: &'static str = r#""tlsv1.2" or "tlsv1.3""#;
}

impl Word for CertificateLogin {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("distinguished_name", Self::DistinguishedName),
        ("common_name", Self::CommonName),
        ("subject_alternative_name", Self::SubjectAlternativeName),
        ("subject_alt_name", Self::SubjectAlternativeName),
    ];
    const EXPECTED: &'static str =
        r#""distinguished_name", "common_name" or "subject_alternative_name""#;
}

impl Word for AlternativeName {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("dns", Self::Dns),
        ("ip", Self::Ip),
        ("email", Self::Email),
        ("uri", Self::Uri),
    ];
    const EXPECTED: &'static str = r#""dns", "ip", "email" or "uri""#;
}
