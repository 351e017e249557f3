use proptest::prelude::*;

use super::*;

/// A header of version 2 with this command, family and rest.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

/// What is announced by all of `header`, with octets of the client's behind it.
fn announced_by(header: &[u8]) -> Result<Option<(String, String)>, Malformed> {
    let mut octets = header.to_vec();
    octets.extend(b"AMQP\0\0\x09\x01");
    let (announced, length) = parse(&octets)?.expect("the header is whole");
    assert_eq!(length, header.len());
    Ok(announced.map(|(source, destination)| (source.to_string(), destination.to_string())))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside None")]
fn pair(source: &str, destination: &str) -> Option<(String, String)> {
    Some((source.to_owned(), destination.to_owned()))
}

#[test]
fn a_line_announces_addresses() {
    let known = [
        (
            "PROXY TCP4 203.0.113.7 10.0.0.1 40000 5672\r\n",
            pair("203.0.113.7:40000", "10.0.0.1:5672"),
        ),
        (
            "PROXY TCP6 2001:db8::7 ::1 65535 0\r\n",
            pair("[2001:db8::7]:65535", "[::1]:0"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ff:: whatever it is\r\n", None),
    ];
    for (line, announced) in known {
        assert_eq!(announced_by(line.as_bytes()), Ok(announced), "{line:?}");
    }
}

#[test]
fn a_line_in_any_other_form_is_refused() {
    for line in [
        "AMQP",
        "PROXY TCP4\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 ::1 1.2.3.4 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed), "{line:?}");
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; LINE_MAX]].concat();
    assert_eq!(parse(&endless), Err(Malformed));
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_MAX - 16));
    assert_eq!(longest.len(), LINE_MAX);
    assert_eq!(announced_by(longest.as_bytes()), Ok(None));
}

#[test]
fn octets_announce_addresses() {
    let four = [203, 0, 113, 7, 10, 0, 0, 1, 0x9c, 0x40, 0x16, 0x28];
    let announced = pair("203.0.113.7:40000", "10.0.0.1:5672");
    assert_eq!(
        announced_by(&binary(0x21, 0x11, &four)),
        Ok(announced.clone())
    );
    // Notes behind the addresses are passed over.
    let noted = [four.as_slice(), &[0x04, 0, 2, 0xaa, 0xbb]].concat();
    assert_eq!(announced_by(&binary(0x21, 0x11, &noted)), Ok(announced));
    let mut six = [0; 36];
    six[15] = 1;
    six[31] = 2;
    six[33] = 80;
    six[35] = 81;
    let announced = pair("[::1]:80", "[::2]:81");
    assert_eq!(announced_by(&binary(0x21, 0x21, &six)), Ok(announced));
    assert_eq!(announced_by(&binary(0x20, 0x00, &[])), Ok(None), "LOCAL");
    assert_eq!(announced_by(&binary(0x20, 0x11, &four)), Ok(None), "LOCAL");
    assert_eq!(
        announced_by(&binary(0x21, 0x00, &[1, 2])),
        Ok(None),
        "UNSPEC"
    );
    assert_eq!(
        announced_by(&binary(0x21, 0x31, &[0; 216])),
        Ok(None),
        "UNIX"
    );
}

#[test]
fn octets_in_any_other_form_are_refused() {
    let mut long = binary(0x21, 0x11, &[0; 12]);
    long[14] = 0xff;
    for header in [
        binary(0x11, 0x11, &[0; 12]),
        binary(0x22, 0x11, &[0; 12]),
        binary(0x21, 0x41, &[0; 12]),
        binary(0x21, 0x11, &[0; 11]),
        binary(0x21, 0x21, &[0; 35]),
        long,
    ] {
        assert_eq!(parse(&header), Err(Malformed), "{header:?}");
    }
}

/// Whole headers with what they announce.
fn header() -> impl Strategy<Value = (Vec<u8>, Option<(SocketAddr, SocketAddr)>)> {
    let line = (any::<bool>(), any::<[u128; 2]>(), any::<[u16; 2]>()).prop_map(
        |(six, addresses, ports)| {
            let [source, destination] = [0, 1].map(|at: usize| {
                let address: IpAddr = if six {
                    Ipv6Addr::from(addresses[at]).into()
                } else {
                    Ipv4Addr::from(u32::try_from(addresses[at] >> 96).unwrap()).into()
                };
                SocketAddr::new(address, ports[at])
            });
            let family = if six { "TCP6" } else { "TCP4" };
            let line = format!(
                "PROXY {family} {} {} {} {}\r\n",
                source.ip(),
                destination.ip(),
                source.port(),
                destination.port()
            );
            (line.into_bytes(), Some((source, destination)))
        },
    );
    let octets = (
        any::<[u8; 4]>(),
        any::<[u8; 4]>(),
        any::<[u16; 2]>(),
        prop::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(|(source, destination, ports, notes)| {
            let ports_octets: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
            let rest = [source.as_slice(), &destination, &ports_octets, &notes].concat();
            let pair = (
                SocketAddr::new(source.into(), ports[0]),
                SocketAddr::new(destination.into(), ports[1]),
            );
            (binary(0x21, 0x11, &rest), Some(pair))
        });
    prop_oneof![line, octets]
}

proptest! {
    #[test]
    fn a_header_is_known_at_its_last_octet_and_not_before((header, announced) in header(), more in prop::collection::vec(any::<u8>(), 0..20)) {
        for length in 0..header.len() {
            prop_assert_eq!(parse(&header[..length]), Ok(None));
        }
        let length = header.len();
        let octets = [header, more].concat();
        prop_assert_eq!(parse(&octets), Ok(Some((announced, length))));
    }

    #[test]
    fn no_octets_make_it_fail_or_wait_for_ever(start in prop_oneof![Just(SIGNATURE.to_vec()), Just(WORD.to_vec()), Just(Vec::new())], rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let octets = [start, rest].concat();
        if let Ok(Some((_, length))) = parse(&octets) {
            prop_assert!(length <= octets.len());
        }
        let filled = [octets, vec![b'x'; FIXED + NOTES_MAX]].concat();
        prop_assert_ne!(parse(&filled), Ok(None));
    }

    #[test]
    fn a_changed_header_is_read_or_refused((header, _) in header(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut header = header;
        let at = at.index(header.len());
        header[at] = octet;
        if let Ok(Some((_, length))) = parse(&header) {
            prop_assert!(length <= header.len());
        }
    }
}
