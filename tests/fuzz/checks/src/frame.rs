//! Frames, and whole publishes, cut out of octets as they come.

use leveret_wire::{
    FRAME_END, FRAME_OVERHEAD, FrameError, FrameHeader, FrameKind, Message, OutputBuffer, cut,
    cut_publish, encode_deliver, encode_get_ok, encode_return, parse_content_header, parse_publish,
    split_method,
};

use crate::allocation::bounded;
use crate::input::Input;

/// The input: a choice of `frame_max`, then what a peer sends.
pub fn check(input: &[u8]) {
    let mut choices = Input::new(input);
    let payload_max = [4096, 64, u32::MAX][usize::from(choices.u8() % 3)];
    let stream = choices.rest();
    let mut at = 0;
    while let Some(rest) = stream.get(at..) {
        check_publish(rest, payload_max);
        match bounded(rest.len(), 1, || cut(rest, payload_max)) {
            Ok(Some(frame)) => {
                let header = FrameHeader {
                    kind: frame.kind.octet(),
                    channel: frame.channel,
                    size: u32::try_from(frame.payload.len()).unwrap(),
                };
                assert!(header.size <= payload_max);
                assert_eq!(FrameHeader::parse(rest), Some(header));
                let again = [&header.octets()[..], frame.payload, &[FRAME_END]].concat();
                assert_eq!(again, rest[..frame.encoded_len()]);
                // An octet less is no frame yet.
                assert_eq!(cut(&again[..again.len() - 1], payload_max), Ok(None));
                at += frame.encoded_len();
            }
            Ok(None) => {
                check_incomplete(rest, payload_max);
                break;
            }
            Err(error) => {
                check_refused(rest, payload_max, &error);
                break;
            }
        }
    }
}

/// More is waited for only while it is not all there, and no longer than the limit.
fn check_incomplete(rest: &[u8], payload_max: u32) {
    if let Some(header) = FrameHeader::parse(rest) {
        assert!(header.size <= payload_max);
        assert!(rest.len() < usize::try_from(header.size).unwrap() + FRAME_OVERHEAD);
    } else {
        assert!(rest.len() < 7);
    }
}

/// What is refused is refused for the reason that is given, and nothing that follows changes it.
fn check_refused(rest: &[u8], payload_max: u32, error: &FrameError) {
    let header = FrameHeader::parse(rest).unwrap();
    let size = usize::try_from(header.size).unwrap();
    match error {
        FrameError::TooLarge { .. } => assert!(header.size > payload_max),
        FrameError::BadEnd { end, .. } => {
            assert_eq!(*end, rest[7 + size]);
            assert_ne!(*end, FRAME_END);
        }
        FrameError::UnknownType { kind, .. } => {
            let known = match FrameKind::of(*kind) {
                Some(FrameKind::Method) => size >= 4,
                Some(FrameKind::Header) => size >= 12,
                Some(FrameKind::Body) => true,
                Some(FrameKind::Heartbeat) => size == 0,
                None => false,
            };
            assert!(!known);
        }
    }
    assert!(error.to_string().len() < 4096);
    let longer = [rest, &[0]].concat();
    assert_eq!(cut(&longer, payload_max).as_ref(), Err(error));
}

/// A publish that is taken whole is what its frames say one by one.
fn check_publish(rest: &[u8], payload_max: u32) {
    let Some(whole) = bounded(rest.len(), 1, || cut_publish(rest, payload_max)) else {
        return;
    };
    let next = |at: usize| cut(&rest[at..], payload_max).unwrap().unwrap();
    let method = next(0);
    let (60, 40, arguments) = split_method(method.payload).unwrap() else {
        panic!("not a publish");
    };
    let publish = parse_publish(arguments).unwrap();
    assert_eq!(publish, whole.publish);
    let mut len = method.encoded_len();
    let frame = next(len);
    assert_eq!(
        (frame.kind, frame.channel),
        (FrameKind::Header, method.channel)
    );
    let header = parse_content_header(frame.payload).unwrap();
    assert_eq!(header, whole.header);
    len += frame.encoded_len();
    let mut body = &[][..];
    if header.body_size > 0 {
        let frame = next(len);
        assert_eq!(
            (frame.kind, frame.channel),
            (FrameKind::Body, method.channel)
        );
        assert_eq!(frame.payload, &rest[whole.body_range()]);
        body = frame.payload;
        len += frame.encoded_len();
    }
    assert_eq!((whole.channel, whole.body), (method.channel, body));
    assert_eq!(whole.encoded_len(), len);
    let message = bounded(len, 4, || whole.message());
    let by_parts = Message::new(publish.routing, header.raw, body.into());
    for message in [message, by_parts] {
        assert_eq!(message.exchange(), publish.exchange());
        assert_eq!(message.routing_key(), publish.routing_key());
        assert_eq!(message.header(), header.raw);
        assert_eq!(message.body(), body);
        assert_eq!(
            message.priority(),
            header.properties().priority().unwrap_or(0)
        );
        assert_eq!(
            message.is_persistent(),
            header.properties().delivery_mode() == Some(2)
        );
        check_message(&message, payload_max);
    }
}

/// Sent and stored, a message is the same, and no frame of it is larger than the peer takes.
pub(crate) fn check_message(message: &Message, payload_max: u32) {
    let (header, body) = (message.header(), message.body());
    let mut stored = Vec::new();
    message.encode(&mut stored);
    assert_eq!(stored.len(), message.encoded_len());
    let decoded = Message::decode(stored.into()).unwrap();
    assert_eq!(decoded.routing(), message.routing());
    assert_eq!((decoded.header(), decoded.body()), (header, body));
    for frame_max in [0, 64, payload_max.max(4096)] {
        let encoders: [&dyn Fn(&mut OutputBuffer); 3] = [
            &|out| encode_deliver(out, 9, b"tag", 1, true, message, frame_max),
            &|out| encode_get_ok(out, 9, 1, true, 1, message, frame_max),
            &|out| encode_return(out, 9, 312, "NO_ROUTE", message, frame_max),
        ];
        for encode in encoders {
            let mut out = OutputBuffer::new();
            encode(&mut out);
            let octets = drain(&mut out);
            let mut rest = &octets[..];
            let (mut kinds, mut joined) = (Vec::new(), Vec::new());
            while !rest.is_empty() {
                let frame = cut(rest, u32::MAX).unwrap().unwrap();
                assert_eq!(frame.channel, 9);
                match frame.kind {
                    FrameKind::Header => assert_eq!(frame.payload, header),
                    FrameKind::Body => {
                        let max = usize::try_from(frame_max).unwrap();
                        assert!(frame_max == 0 || frame.encoded_len() <= max);
                        joined.extend_from_slice(frame.payload);
                    }
                    _ => {}
                }
                kinds.push(frame.kind);
                rest = &rest[frame.encoded_len()..];
            }
            assert_eq!(kinds[..2], [FrameKind::Method, FrameKind::Header]);
            assert!(kinds[2..].iter().all(|kind| *kind == FrameKind::Body));
            assert_eq!(joined, body);
        }
    }
}

/// All octets of an output, in order.
pub(crate) fn drain(output: &mut OutputBuffer) -> Vec<u8> {
    let mut octets = Vec::with_capacity(output.len());
    while !output.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 4];
        let filled = output.chunks(&mut slices);
        let taken = octets.len();
        for slice in &slices[..filled] {
            octets.extend_from_slice(slice);
        }
        assert!(
            octets.len() > taken,
            "an output that is not empty gives octets"
        );
        output.advance(octets.len() - taken);
    }
    octets
}
