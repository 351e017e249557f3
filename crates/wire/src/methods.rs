//! The cold methods, through amq-protocol's structs.
//!
//! A peer's arguments are first walked along their layout: lengths, UTF-8, exact
//! end, and field tables by the iterative checker. amq-protocol then parses a copy without the table,
//! which is put into the struct afterwards: its recursive table parser never sees a peer's octets,
//! and of duplicate keys the first counts, as in RabbitMQ.

use std::ops::Range;

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame};
use amq_protocol::protocol::{AMQPClass, basic, connection, exchange, parse_class, queue};
use amq_protocol::types::FieldTable;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u32};
use nom::{IResult, Parser};
use thiserror::Error;

use crate::excerpt::Excerpt;
use crate::layout::{Argument, layout};
use crate::octets::split_u16;
use crate::output::OutputBuffer;
use crate::table::{RawTable, TableError, TableLimits};

/// Class id of `basic`.
pub const BASIC: u16 = 60;

/// A method payload that is no method. The texts are RabbitMQ's after the name of the reply code.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum MethodError {
    /// A field table among the arguments is broken or over a limit: 502 `SYNTAX_ERROR`.
    #[error("{error}")]
    FieldTable {
        /// Class id.
        class: u16,
        /// Method id.
        method: u16,
        /// What is wrong with the table.
        error: TableError,
    },
    /// Fewer than four octets: 501 `FRAME_ERROR`. [`crate::frame::cut`] refuses such a frame before.
    #[error("type 1, {payload}: unknown_frame")]
    TooShort {
        /// All of the payload.
        payload: Excerpt,
    },
    /// The arguments are cut short, or octets are left after them: 501 `FRAME_ERROR`.
    #[error("cannot decode {arguments}")]
    Undecodable {
        /// Class id.
        class: u16,
        /// Method id.
        method: u16,
        /// The argument octets; of a method that carries a secret none.
        arguments: Excerpt,
    },
    /// No such class, or no such method in it: 540 `NOT_IMPLEMENTED`.
    #[error("unknown class/method {class}/{method}")]
    UnknownMethod {
        /// Class id.
        class: u16,
        /// Method id.
        method: u16,
    },
    /// A short string is not UTF-8: 501 `FRAME_ERROR`.
    #[error("Malformed UTF-8 in shortstr")]
    Utf8 {
        /// Class id.
        class: u16,
        /// Method id.
        method: u16,
    },
}

impl MethodError {
    /// Class and method id for the close method; 0 and 0 when there are none.
    pub fn method_id(&self) -> (u16, u16) {
        match *self {
            Self::TooShort { .. } => (0, 0),
            Self::FieldTable { class, method, .. }
            | Self::Undecodable { class, method, .. }
            | Self::UnknownMethod { class, method }
            | Self::Utf8 { class, method } => (class, method),
        }
    }

    #[cold]
    pub(crate) fn undecodable(class: u16, method: u16, arguments: &[u8]) -> Self {
        Self::Undecodable {
            class,
            method,
            arguments: Excerpt::arguments(class, method, arguments),
        }
    }
}

/// Class and method id of a method payload; `None` when it is shorter than four octets.
#[inline]
pub fn method_id(payload: &[u8]) -> Option<(u16, u16)> {
    let (class, method, _) = split_method(payload)?;
    Some((class, method))
}

/// Class id, method id and argument octets of a method payload; `None` when it is shorter than four
/// octets.
#[inline]
pub fn split_method(payload: &[u8]) -> Option<(u16, u16, &[u8])> {
    let (class, rest) = split_u16(payload)?;
    let (method, arguments) = split_u16(rest)?;
    Some((class, method, arguments))
}

/// Decode a method payload: class, method, and arguments that must be consumed exactly.
pub fn parse_method(payload: &[u8]) -> Result<AMQPClass, MethodError> {
    let Some((class, method, arguments)) = split_method(payload) else {
        return Err(MethodError::TooShort {
            payload: Excerpt::snippet(payload),
        });
    };
    let Some(layout) = layout(class, method) else {
        return Err(MethodError::UnknownMethod { class, method });
    };
    let undecodable = || MethodError::undecodable(class, method, arguments);
    let Walked { table, utf8 } = walk(layout, arguments).ok_or_else(undecodable)?;
    if !utf8 {
        return Err(MethodError::Utf8 { class, method });
    }
    let Some(Range { start, end }) = table else {
        return decode(payload).ok_or_else(undecodable);
    };
    let content = arguments.get(start..end).unwrap_or_default();
    let table = peer_table(content).map_err(|error| MethodError::FieldTable {
        class,
        method,
        error,
    })?;
    let mut flat = Vec::with_capacity(payload.len() - content.len());
    flat.extend_from_slice(&class.to_be_bytes());
    flat.extend_from_slice(&method.to_be_bytes());
    flat.extend_from_slice(
        arguments
            .get(..start - TABLE_LENGTH_LEN)
            .unwrap_or_default(),
    );
    flat.extend_from_slice(&[0; TABLE_LENGTH_LEN]);
    flat.extend_from_slice(arguments.get(end..).unwrap_or_default());
    let mut method = decode(&flat).ok_or_else(undecodable)?;
    put_table(&mut method, table);
    Ok(method)
}

/// Write a whole method frame.
pub fn encode_method(out: &mut OutputBuffer, channel: u16, method: &AMQPClass) {
    let frame = AMQPFrame::Method(channel, method.clone());
    // Generation fails only when the target is full, and a Vec grows.
    if let Ok(context) = gen_frame(&frame)(WriteContext::from(Vec::new())) {
        let (octets, _) = context.into_inner();
        out.put_slice(&octets);
    }
}

/// Octets of a table's length field.
const TABLE_LENGTH_LEN: usize = 4;

/// What a walk along the layout found.
struct Walked {
    /// Where the content of the (only) table stands in the arguments.
    table: Option<Range<usize>>,
    /// Whether all short strings are UTF-8.
    utf8: bool,
}

/// Walk the arguments; `None` when they are cut short or octets are left.
fn walk(layout: &[Argument], arguments: &[u8]) -> Option<Walked> {
    let mut walked = Walked {
        table: None,
        utf8: true,
    };
    let mut rest = arguments;
    for argument in layout {
        let (after, content) = argument_content(*argument, rest).ok()?;
        match argument {
            Argument::ShortStr => walked.utf8 &= std::str::from_utf8(content).is_ok(),
            Argument::Table => {
                let end = arguments.len() - after.len();
                walked.table = Some(end - content.len()..end);
            }
            _ => {}
        }
        rest = after;
    }
    rest.is_empty().then_some(walked)
}

/// One argument's content, without its length.
fn argument_content(argument: Argument, input: &[u8]) -> IResult<&[u8], &[u8]> {
    use nom::bytes::complete::take;
    match argument {
        Argument::Bits | Argument::Octet => take(1_usize)(input),
        Argument::Short => take(2_usize)(input),
        Argument::Long => take(4_usize)(input),
        Argument::LongLong => take(8_usize)(input),
        Argument::ShortStr => length_data(be_u8).parse(input),
        Argument::LongStr | Argument::Table => length_data(be_u32).parse(input),
    }
}

/// A peer's table as amq-protocol's value. Keys must be UTF-8, as its key type is; RabbitMQ takes
/// any octets, but silently altered keys would be worse than a clear refusal.
fn peer_table(content: &[u8]) -> Result<FieldTable, TableError> {
    let limits = TableLimits {
        utf8_keys: true,
        ..TableLimits::default()
    };
    Ok(RawTable::parse_with(content, &limits)?.to_field_table())
}

fn decode(payload: &[u8]) -> Option<AMQPClass> {
    let (rest, method) = parse_class(payload).ok()?;
    rest.is_empty().then_some(method)
}

/// Put the table where the method has one; the others have none in their layout.
fn put_table(method: &mut AMQPClass, table: FieldTable) {
    match method {
        AMQPClass::Basic(basic::AMQPMethod::Consume(consume)) => consume.arguments = table,
        AMQPClass::Connection(connection::AMQPMethod::Start(start)) => {
            start.server_properties = table;
        }
        AMQPClass::Connection(connection::AMQPMethod::StartOk(start_ok)) => {
            start_ok.client_properties = table;
        }
        AMQPClass::Exchange(exchange::AMQPMethod::Bind(bind)) => bind.arguments = table,
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)) => declare.arguments = table,
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(unbind)) => unbind.arguments = table,
        AMQPClass::Queue(queue::AMQPMethod::Bind(bind)) => bind.arguments = table,
        AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) => declare.arguments = table,
        AMQPClass::Queue(queue::AMQPMethod::Unbind(unbind)) => unbind.arguments = table,
        _ => {}
    }
}

#[cfg(test)]
mod tests;
