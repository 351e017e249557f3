use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic};
use proptest::prelude::*;

use super::*;
use crate::samples::{frame_octets, octets, payload};

fn arguments(method: basic::AMQPMethod) -> Vec<u8> {
    let frame = frame_octets(&AMQPFrame::Method(1, AMQPClass::Basic(method)));
    payload(&frame)[4..].to_vec()
}

#[test]
fn a_wrong_length_is_undecodable_with_class_and_method() {
    for arguments in [&[][..], &[0; 8], &[0; 10]] {
        for (error, method) in [
            (parse_ack(arguments).unwrap_err(), ACK),
            (parse_nack(arguments).unwrap_err(), NACK),
            (parse_reject(arguments).unwrap_err(), REJECT),
        ] {
            assert_eq!(error, MethodError::undecodable(60, method, arguments));
        }
    }
    assert_eq!(
        parse_ack(&[1, 2]).unwrap_err().to_string(),
        "cannot decode <<1,2>>"
    );
}

#[test]
fn unused_bits_are_ignored() {
    let ack = parse_ack(&[0, 0, 0, 0, 0, 0, 0, 5, 0xFE]).unwrap();
    assert!(!ack.multiple);
    let nack = parse_nack(&[0, 0, 0, 0, 0, 0, 0, 5, 0xFC]).unwrap();
    assert!(!nack.multiple && !nack.requeue);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn settles_read_as_amq_protocol_wrote_them(
        delivery_tag in any::<u64>(),
        multiple in any::<bool>(),
        requeue in any::<bool>(),
    ) {
        let ack = arguments(basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }));
        prop_assert_eq!(parse_ack(&ack).unwrap(), Ack { delivery_tag, multiple });
        let nack = basic::Nack { delivery_tag, multiple, requeue };
        let nack = arguments(basic::AMQPMethod::Nack(nack));
        prop_assert_eq!(parse_nack(&nack).unwrap(), Nack { delivery_tag, multiple, requeue });
        let reject = basic::Reject { delivery_tag, requeue };
        let reject = arguments(basic::AMQPMethod::Reject(reject));
        prop_assert_eq!(parse_reject(&reject).unwrap(), Reject { delivery_tag, requeue });
    }

    #[test]
    fn confirms_are_what_amq_protocol_writes(
        channel in any::<u16>(),
        delivery_tag in any::<u64>(),
        multiple in any::<bool>(),
    ) {
        let mut out = OutputBuffer::new();
        encode_ack(&mut out, channel, delivery_tag, multiple);
        let ack = basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple });
        let frame = AMQPFrame::Method(channel, AMQPClass::Basic(ack));
        prop_assert_eq!(out.to_vec(), frame_octets(&frame));

        out.clear();
        encode_nack(&mut out, channel, delivery_tag, multiple);
        let nack = basic::Nack { delivery_tag, multiple, requeue: true };
        let frame = AMQPFrame::Method(channel, AMQPClass::Basic(basic::AMQPMethod::Nack(nack)));
        prop_assert_eq!(out.to_vec(), frame_octets(&frame));
    }

    #[test]
    fn any_octets_read_only_at_their_exact_length(arguments in octets(20)) {
        prop_assert_eq!(parse_ack(&arguments).is_ok(), arguments.len() == 9);
        prop_assert_eq!(parse_nack(&arguments).is_ok(), arguments.len() == 9);
        prop_assert_eq!(parse_reject(&arguments).is_ok(), arguments.len() == 9);
    }
}
