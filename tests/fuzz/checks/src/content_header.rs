//! The payload of a content header frame.

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use leveret_wire::{
    ContentHeader, FRAME_END, FrameHeader, FrameKind, Message, Properties, PropertiesBuilder,
    Property, encode_table, parse_content_header, rewrite_expiration, rewrite_headers,
    rewrite_reply_to,
};

use crate::allocation::bounded;
use crate::frame::check_message;

/// The input: a payload.
pub fn check(payload: &[u8]) {
    // What is kept of each open level of the headers.
    let Ok(header) = bounded(payload.len(), 16, || parse_content_header(payload)) else {
        return;
    };
    assert_eq!(header.raw, payload);
    let properties = header.properties();
    check_rebuilt(&header);
    check_rewritten(payload, properties);
    check_other_opinion(payload, properties);
    let message = bounded(payload.len(), 4, || {
        Message::new(b"\x01x\x03key", payload, b"body"[..].into())
    });
    assert_eq!(message.has_headers(), properties.headers().is_some());
    assert_eq!(message.has_expiration(), properties.expiration().is_some());
    assert_eq!(message.has_reply_to(), properties.reply_to().is_some());
    assert_eq!(message.has_user_id(), properties.user_id().is_some());
    check_message(&message, 4096);
}

/// Put together again from its properties, the header says the same.
fn check_rebuilt(header: &ContentHeader<'_>) {
    let properties = header.properties();
    let rebuilt = PropertiesBuilder::from_properties(properties)
        .build(header.body_size)
        .unwrap();
    let again = parse_content_header(&rebuilt).unwrap();
    assert_eq!((again.class, again.weight), (60, 0));
    assert_eq!(again.body_size, header.body_size);
    assert_eq!(again.properties, header.properties);
    // The one flag that stands for nothing is not kept.
    assert_eq!(again.flags, header.flags & !2);
    let listed: Vec<_> = properties.iter().collect();
    assert!(listed.iter().copied().eq(again.properties().iter()));
    for (property, content) in &listed {
        assert_eq!(properties.content(*property), Some(*content));
    }
    assert_eq!(
        listed.len(),
        usize::try_from((header.flags & !2).count_ones()).unwrap()
    );
}

/// A rewrite changes what it is to change, and all else stays.
fn check_rewritten(payload: &[u8], before: Properties<'_>) {
    for (property, rewritten, wanted) in [
        (
            Property::Expiration,
            rewrite_expiration(payload, None),
            None,
        ),
        (
            Property::Headers,
            rewrite_headers(payload, Some(b"\x01kV")),
            Some(&b"\x01kV"[..]),
        ),
        (
            Property::ReplyTo,
            rewrite_reply_to(payload, Some(b"to")),
            Some(b"to"),
        ),
    ] {
        let rewritten = rewritten.unwrap();
        let after = parse_content_header(&rewritten).unwrap().properties();
        assert_eq!(after.content(property), wanted);
        let others = |(of, _): &(Property, &[u8])| *of != property;
        assert!(before.iter().filter(others).eq(after.iter().filter(others)));
    }
}

/// amq-protocol reads the same, where it reads it at all: its short strings are UTF-8.
fn check_other_opinion(payload: &[u8], ours: Properties<'_>) {
    let envelope = FrameHeader {
        kind: FrameKind::Header.octet(),
        channel: 1,
        size: u32::try_from(payload.len()).unwrap(),
    };
    let frame = [&envelope.octets()[..], payload, &[FRAME_END]].concat();
    let Ok((_, AMQPFrame::Header(_, theirs))) = parse_frame(&frame[..]) else {
        return;
    };
    let theirs: AMQPProperties = theirs.properties;
    for (ours, theirs) in [
        (ours.content_type(), theirs.content_type()),
        (ours.content_encoding(), theirs.content_encoding()),
        (ours.correlation_id(), theirs.correlation_id()),
        (ours.reply_to(), theirs.reply_to()),
        (ours.expiration(), theirs.expiration()),
        (ours.message_id(), theirs.message_id()),
        (ours.type_(), theirs.kind()),
        (ours.user_id(), theirs.user_id()),
        (ours.app_id(), theirs.app_id()),
        (ours.cluster_id(), theirs.cluster_id()),
    ] {
        assert_eq!(ours, theirs.as_ref().map(|text| text.as_str().as_bytes()));
    }
    assert_eq!(ours.delivery_mode(), *theirs.delivery_mode());
    assert_eq!(ours.priority(), *theirs.priority());
    assert_eq!(ours.timestamp(), *theirs.timestamp());
    assert_eq!(ours.headers().is_some(), theirs.headers().is_some());
    if let (Some(ours), Some(theirs)) = (ours.headers(), theirs.headers()) {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        encode_table(&ours.to_field_table(), &mut one);
        encode_table(theirs, &mut other);
        // Of several equal keys it reads the last, we the first.
        let has_doubles = one.len() < ours.as_bytes().len();
        assert!(has_doubles || one == other, "{ours:?}");
    }
}
