use amq_protocol::frame::AMQPFrame;
use proptest::prelude::*;

use super::*;
use crate::samples::{frame_octets, mutated, octets};

const LIMIT: u32 = 131_072;

fn error_text(octets: &[u8]) -> String {
    cut(octets, LIMIT).unwrap_err().to_string()
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_first_seven_octets() {
    let too_large = [1, 0, 0, 0, 2, 0, 1];
    assert_eq!(
        error_text(&too_large),
        "type 1, all octets = <<>>: {frame_too_large,131073,131064}"
    );
    assert_eq!(cut(&[1, 0, 0, 0, 2, 0, 0], LIMIT), Ok(None));
}

#[test]
fn the_eight_octets_of_the_envelope_are_forgiven() {
    let mut octets = vec![3, 0, 1, 0, 2, 0, 0];
    octets.resize(7 + 131_072, 5);
    octets.push(FRAME_END);
    let frame = cut(&octets, LIMIT).unwrap().unwrap();
    assert_eq!(frame.payload.len(), 131_072);
    assert_eq!(frame.encoded_len(), octets.len());
}

#[test]
fn a_wrong_end_octet_is_told_with_the_payload() {
    assert_eq!(
        error_text(&[1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 51, 205]),
        "type 1, all octets = <<0,10,0,51>>: {invalid_frame_end_marker,205}"
    );
    let mut long = vec![3, 0, 1, 0, 0, 0, 17];
    long.extend(1..=17);
    long.push(0);
    assert_eq!(
        error_text(&long),
        "type 3, first 16 octets = <<1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16>>: \
         {invalid_frame_end_marker,0}"
    );
}

#[test]
fn unknown_types_are_told_once_the_frame_is_there() {
    for kind in (0..=255).filter(|kind| ![1, 2, 3, 8].contains(kind)) {
        let frame = [kind, 0, 0, 0, 0, 0, 2, 1, 2, FRAME_END];
        assert_eq!(cut(&frame[..9], LIMIT), Ok(None));
        assert_eq!(
            error_text(&frame),
            format!("type {kind}, all octets = <<1,2>>: unknown_frame")
        );
    }
}

#[test]
fn payloads_of_a_wrong_length_for_their_type_are_unknown_frames() {
    assert_eq!(
        error_text(&[8, 0, 0, 0, 0, 0, 1, 9, FRAME_END]),
        "type 8, all octets = <<9>>: unknown_frame"
    );
    assert_eq!(
        error_text(&[1, 0, 0, 0, 0, 0, 3, 0, 10, 0, FRAME_END]),
        "type 1, all octets = <<0,10,0>>: unknown_frame"
    );
    let mut header = vec![2, 0, 1, 0, 0, 0, 11];
    header.extend([0; 11]);
    header.push(FRAME_END);
    assert!(error_text(&header).ends_with("unknown_frame"));
}

#[test]
fn a_heartbeat_is_what_amq_protocol_writes() {
    let mut out = OutputBuffer::new();
    encode_heartbeat(&mut out);
    assert_eq!(out.to_vec(), frame_octets(&AMQPFrame::Heartbeat));
    let frame = cut(&out.to_vec(), LIMIT)
        .unwrap()
        .map(|f| (f.kind, f.channel));
    assert_eq!(frame, Some((FrameKind::Heartbeat, 0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_body_frame_is_cut_as_amq_protocol_wrote_it(
        channel in any::<u16>(),
        body in octets(300),
        after in octets(20),
    ) {
        let written = frame_octets(&AMQPFrame::Body(channel, body.clone()));
        let mut input = written.clone();
        input.extend(&after);
        let frame = cut(&input, LIMIT).unwrap().unwrap();
        prop_assert_eq!(frame.kind, FrameKind::Body);
        prop_assert_eq!(frame.channel, channel);
        prop_assert_eq!(frame.payload, &body[..]);
        prop_assert_eq!(frame.encoded_len(), written.len());
        let envelope = FrameHeader::parse(&input).unwrap();
        prop_assert_eq!(&envelope.octets()[..], &written[..7]);
    }

    #[test]
    fn every_prefix_of_a_frame_asks_for_more(channel in any::<u16>(), body in octets(60)) {
        let written = frame_octets(&AMQPFrame::Body(channel, body));
        for end in 0..written.len() {
            prop_assert_eq!(cut(&written[..end], LIMIT), Ok(None));
            prop_assert_eq!(FrameHeader::parse(&written[..end]).is_some(), end >= 7);
        }
    }

    #[test]
    fn a_cut_frame_is_what_stands_in_the_input(
        input in mutated(octets(40).prop_map(|body| frame_octets(&AMQPFrame::Body(7, body)))),
        limit in 0..50_u32,
    ) {
        if let Ok(Some(frame)) = cut(&input, limit) {
            prop_assert!(frame.payload.len() <= limit as usize);
            prop_assert_eq!(frame.kind.octet(), input[0]);
            prop_assert_eq!(frame.payload, &input[7..7 + frame.payload.len()]);
            prop_assert_eq!(input[7 + frame.payload.len()], FRAME_END);
        }
    }
}
