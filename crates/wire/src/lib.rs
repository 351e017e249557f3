//! AMQP 0-9-1 octets to frames, methods, content and field tables, and back.
//!
//! What lives here: the frame envelope ([`frame`]), methods ([`methods`] for the cold ones through
//! amq-protocol, [`publish`] and [`settle`] for the hot ones without a copy), content headers and
//! their properties ([`content`], [`properties`], [`rewrite`]), field tables ([`table`]), the
//! message as it travels through the broker ([`message`]), and what waits to be written to a peer
//! ([`output`], filled by [`deliver`]).
//!
//! What does not: sockets, clocks, the order in which frames may come (the protocol crate), and
//! what a method means (the broker).
//!
//! The way of the data: octets read from a peer are cut by [`frame::cut`] (or, when a whole
//! publish stands in the buffer, by [`publish::cut_publish`]); the payload goes through
//! [`methods::parse_method`] or one of the zero-copy forms; content becomes a [`Message`], which
//! keeps the publisher's header octets unchanged; [`deliver`] writes it into an [`OutputBuffer`]
//! for each consumer.
//!
//! No parser here trusts its input: none panics, none recurses on peer data, none allocates from
//! an announced length.

#![forbid(unsafe_code)]

pub mod content;
pub mod deliver;
mod excerpt;
pub mod frame;
mod layout;
pub mod message;
pub mod methods;
mod octets;
pub mod output;
pub mod properties;
pub mod publish;
pub mod rewrite;
#[cfg(test)]
mod samples;
pub mod settle;
pub mod table;

/// amq-protocol's structs of the cold methods, by class: `method::queue::Declare`.
pub use amq_protocol::protocol as method;
pub use amq_protocol::protocol::AMQPClass;
pub use amq_protocol::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString,
};

pub use content::{ContentError, ContentHeader, parse_content_header};
pub use deliver::{encode_deliver, encode_get_ok, encode_return};
pub use excerpt::Excerpt;
pub use frame::{
    FRAME_END, FRAME_HEADER_LEN, FRAME_MIN_SIZE, FRAME_OVERHEAD, Frame, FrameError, FrameHeader,
    FrameKind, cut, encode_heartbeat,
};
pub use message::{BodyPart, INLINE_BODY_MAX, Message, MessageError};
pub use methods::{MethodError, encode_method, method_id, parse_method, split_method};
pub use output::OutputBuffer;
pub use properties::{Properties, Property};
pub use publish::{Publish, WholePublish, cut_publish, parse_publish};
pub use rewrite::{PropertiesBuilder, rewrite_expiration, rewrite_headers, rewrite_reply_to};
pub use settle::{Ack, Nack, Reject, encode_ack, encode_nack, parse_ack, parse_nack, parse_reject};
pub use table::{
    ArrayBuilder, RawArray, RawTable, RawValue, TableBuilder, TableError, TableLimits, check_table,
    encode_table, type_name,
};
