use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::ShortString;
use proptest::prelude::*;

use super::*;
use crate::content::parse_content_header;
use crate::samples::{header_payload, octets, properties};

type Pair<'a> = (Option<&'a [u8]>, &'a Option<ShortString>);

fn octets_of(text: Option<&ShortString>) -> Option<&[u8]> {
    text.map(|text| text.as_str().as_bytes())
}

#[test]
fn flags_go_from_the_highest_bit_down() {
    let all: Vec<_> = Property::of_flags(u16::MAX).collect();
    assert_eq!(all.len(), 14);
    assert_eq!(all.first(), Some(&Property::ContentType));
    assert_eq!(all.last(), Some(&Property::ClusterId));
    assert!(all.is_sorted_by(|a, b| a.flag() > b.flag()));
}

#[test]
fn no_flags_mean_no_properties() {
    let none = Properties::default();
    assert_eq!(none.iter().count(), 0);
    assert_eq!(none.content_type(), None);
    assert_eq!(none.headers(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn properties_are_what_amq_protocol_wrote(theirs in properties()) {
        let payload = header_payload(&theirs, 0);
        let ours = parse_content_header(&payload).unwrap().properties();
        let texts: [Pair<'_>; 10] = [
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
        ];
        for (ours, theirs) in texts {
            prop_assert_eq!(ours, octets_of(theirs.as_ref()));
        }
        prop_assert_eq!(ours.delivery_mode(), *theirs.delivery_mode());
        prop_assert_eq!(ours.priority(), *theirs.priority());
        prop_assert_eq!(ours.timestamp(), *theirs.timestamp());
        let headers = ours.headers().map(|headers| headers.to_field_table());
        prop_assert_eq!(&headers, AMQPProperties::headers(&theirs));
        prop_assert_eq!(ours.has(Property::Headers), headers.is_some());
    }

    #[test]
    fn unchecked_octets_are_read_up_to_the_first_broken_value(
        flags in any::<u16>(),
        values in octets(40),
    ) {
        let properties = Properties::new(flags, &values);
        prop_assert!(properties.iter().count() <= 14);
        prop_assert!(properties.cluster_id().is_none_or(|id| id.len() < values.len()));
    }
}
