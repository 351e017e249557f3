//! Names in certificates: the hosts that one is for, and whom one lets in.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName};

use crate::config::{AlternativeName, CertificateLogin, Tls};

/// Attributes that are written by name, as RabbitMQ does: their object identifiers.
const ATTRIBUTES: [(&str, &str); 17] = [
    ("2.5.4.3", COMMON_NAME),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "TITLE"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "INITIALS"),
    ("2.5.4.44", "GENERATIONQUALIFIER"),
    ("2.5.4.65", "PSEUDONYM"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
];

const COMMON_NAME: &str = "CN";

/// The name of the user whom a client's certificate, in DER, lets in with EXTERNAL, if it has one.
pub(crate) fn login_name(der: &[u8], settings: &Tls) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = match settings.login_from {
        CertificateLogin::CommonName => common_name(&certificate),
        CertificateLogin::DistinguishedName => distinguished_name(&certificate),
        CertificateLogin::SubjectAlternativeName => {
            let kind = settings.login_san_type;
            let mut names = alternative_names(&certificate, kind).into_iter();
            names.nth(settings.login_san_index)?
        }
    };
    (!name.is_empty()).then_some(name)
}

/// The hosts that a certificate is for.
pub(super) fn hosts(der: &[u8]) -> Vec<String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| alternative_names(&certificate, AlternativeName::Dns))
        .unwrap_or_default()
}

/// Whether a certificate's `name` covers `host`: the same, or a `*` for its first part (RFC 6125, 6.4.3).
pub(super) fn covers(name: &str, host: &str) -> bool {
    let covers_all = |domain: &str| {
        let rest = host.split_once('.').map(|(_, rest)| rest);
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
    };
    name.eq_ignore_ascii_case(host) || name.strip_prefix("*.").is_some_and(covers_all)
}

/// All common names; several are joined by commas, as RabbitMQ does.
fn common_name(certificate: &X509Certificate<'_>) -> String {
    let attributes = certificate.subject().iter_attributes();
    let names: Vec<String> = attributes
        .filter(|attribute| written(attribute) == COMMON_NAME)
        .map(value_of)
        .collect();
    names.join(",")
}

/// RFC 4514: the last part first.
fn distinguished_name(certificate: &X509Certificate<'_>) -> String {
    let part = |part: &RelativeDistinguishedName<'_>| {
        let attributes = part.iter().map(|attribute| {
            let value = escaped(&value_of(attribute));
            format!("{}={value}", written(attribute))
        });
        attributes.collect::<Vec<_>>().join("+")
    };
    let mut parts: Vec<String> = certificate.subject().iter_rdn().map(part).collect();
    parts.reverse();
    parts.join(",")
}

/// The attribute's name, or its object identifier.
fn written(attribute: &AttributeTypeAndValue<'_>) -> String {
    let identifier = attribute.attr_type().to_id_string();
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == identifier);
    known.map_or(identifier, |(_, name)| (*name).to_owned())
}

fn value_of(attribute: &AttributeTypeAndValue<'_>) -> String {
    attribute.as_str().map_or_else(
        |_| String::from_utf8_lossy(attribute.as_slice()).into_owned(),
        str::to_owned,
    )
}

/// RFC 4514, 2.4. As in RabbitMQ, whatever is not printable ASCII is written as octets, so that nobody can be taken for
/// somebody who looks the same.
fn escaped(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, octet) in value.bytes().enumerate() {
        match octet {
            b' ' if at == 0 || at == last => text.push_str("\\ "),
            b'#' if at == 0 => text.push_str("\\#"),
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                text.push('\\');
                text.push(octet.into());
            }
            // RabbitMQ counts the tilde among them.
            0..32 | 126.. => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\{octet:02X}");
            }
            _ => text.push(octet.into()),
        }
    }
    text
}

fn alternative_names(certificate: &X509Certificate<'_>, kind: AlternativeName) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match (kind, name) {
            (AlternativeName::Dns, GeneralName::DNSName(name))
            | (AlternativeName::Email, GeneralName::RFC822Name(name))
            | (AlternativeName::Uri, GeneralName::URI(name)) => Some((*name).to_owned()),
            (AlternativeName::Ip, GeneralName::IPAddress(octets)) => address(octets),
            _ => None,
        })
        .collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let address: IpAddr = if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        Ipv4Addr::from(octets).into()
    } else {
        Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into()
    };
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn settings(login_from: CertificateLogin) -> Tls {
        Tls {
            login_from,
            ..Tls::default()
        }
    }

    #[test]
    fn a_distinguished_name_reads_from_its_end_and_is_escaped() {
        let der = certificate(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::CountryName, "NL");
            name.push(DnType::OrganizationName, "Carrots, \"Greens\" + Co");
            name.push(DnType::OrganizationalUnitName, " #burrow ");
            name.push(DnType::CustomDnType(vec![1, 2, 3]), "x");
            name.push(DnType::CommonName, "h\u{e4}schen");
        });
        let settings = settings(CertificateLogin::DistinguishedName);
        assert_eq!(
            login_name(&der, &settings).as_deref(),
            Some(
                "CN=h\\C3\\A4schen,1.2.3=x,OU=\\ #burrow\\ ,O=Carrots\\, \\\"Greens\\\" \\+ Co,C=NL"
            )
        );
    }

    #[test]
    fn the_common_name_alone_may_be_the_login() {
        let settings = settings(CertificateLogin::CommonName);
        let der = certificate(|params| {
            params.distinguished_name.push(DnType::CountryName, "NL");
            params.distinguished_name.push(DnType::CommonName, "a,b");
        });
        assert_eq!(login_name(&der, &settings).as_deref(), Some("a,b"));
        let nameless = certificate(|params| {
            params.distinguished_name.push(DnType::CountryName, "NL");
        });
        assert_eq!(login_name(&nameless, &settings), None);
    }

    #[test]
    fn an_alternative_name_is_chosen_by_kind_and_number() {
        let ia5 = |text: &str| Ia5String::try_from(text).unwrap();
        let der = certificate(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName(ia5("one.example")),
                SanType::Rfc822Name(ia5("hare@example.org")),
                SanType::DnsName(ia5("two.example")),
                SanType::IpAddress("10.1.2.3".parse().unwrap()),
                SanType::IpAddress("2001:db8::1".parse().unwrap()),
                SanType::URI(ia5("spiffe://burrow/hare")),
            ];
        });
        let login = |login_san_type, login_san_index| {
            let settings = Tls {
                login_san_type,
                login_san_index,
                ..settings(CertificateLogin::SubjectAlternativeName)
            };
            login_name(&der, &settings)
        };
        for (kind, index, name) in [
            (AlternativeName::Dns, 0, Some("one.example")),
            (AlternativeName::Dns, 1, Some("two.example")),
            (AlternativeName::Dns, 2, None),
            (AlternativeName::Email, 0, Some("hare@example.org")),
            (AlternativeName::Ip, 0, Some("10.1.2.3")),
            (AlternativeName::Ip, 1, Some("2001:db8::1")),
            (AlternativeName::Uri, 0, Some("spiffe://burrow/hare")),
        ] {
            assert_eq!(login(kind, index).as_deref(), name, "{kind:?} {index}");
        }
        assert_eq!(hosts(&der), ["one.example", "two.example"]);
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        let settings = settings(CertificateLogin::DistinguishedName);
        assert_eq!(login_name(b"\x30\x82\xff\xff", &settings), None);
        assert!(hosts(b"").is_empty());
    }

    #[test]
    fn a_star_covers_one_part() {
        assert!(covers("mq.example", "MQ.example"));
        assert!(covers("*.mq.example", "a.mq.example"));
        assert!(!covers("*.mq.example", "mq.example"));
        assert!(!covers("*.mq.example", "a.b.mq.example"));
        assert!(!covers("mq.example", "a.mq.example"));
    }
}
