//! The argument layout of every AMQP 0-9-1 method with RabbitMQ's extensions.
//!
//! amq-protocol knows the layouts too, but only inside its parsers; this table lets the arguments of
//! a peer be checked, and its field tables be taken out, before a recursive parser sees them.

/// One argument; consecutive bits share one octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// One octet of up to eight flags.
    Bits,
    /// A 32-bit number.
    Long,
    /// A 64-bit number.
    LongLong,
    /// Octets after a 32-bit length.
    LongStr,
    /// An octet.
    Octet,
    /// A 16-bit number.
    Short,
    /// UTF-8 after an 8-bit length.
    ShortStr,
    /// A field table after a 32-bit length.
    Table,
}

use Argument::{Bits, Long, LongLong, LongStr, Octet, Short, ShortStr, Table};

/// The arguments of a method in wire order; `None` for an unknown class or method id.
pub(crate) fn layout(class: u16, method: u16) -> Option<&'static [Argument]> {
    match class {
        10 => connection(method),
        20 => channel(method),
        30 => access(method),
        40 => exchange(method),
        50 => queue(method),
        60 => basic(method),
        85 => confirm(method),
        90 => tx(method),
        _ => None,
    }
}

fn connection(method: u16) -> Option<&'static [Argument]> {
    Some(match method {
        // start, start-ok
        10 => &[Octet, Octet, Table, LongStr, LongStr],
        11 => &[Table, ShortStr, LongStr, ShortStr],
        // secure, secure-ok
        20 | 21 => &[LongStr],
        // tune, tune-ok
        30 | 31 => &[Short, Long, Short],
        // open
        40 => &[ShortStr, ShortStr, Bits],
        // open-ok, blocked
        41 | 60 => &[ShortStr],
        // close
        50 => &[Short, ShortStr, Short, Short],
        // update-secret
        70 => &[LongStr, ShortStr],
        // close-ok, unblocked, update-secret-ok
        51 | 61 | 71 => &[],
        _ => return None,
    })
}

fn channel(method: u16) -> Option<&'static [Argument]> {
    Some(match method {
        // open, open-ok
        10 => &[ShortStr],
        11 => &[LongStr],
        // flow, flow-ok
        20 | 21 => &[Bits],
        // close, close-ok
        40 => &[Short, ShortStr, Short, Short],
        41 => &[],
        _ => return None,
    })
}

fn access(method: u16) -> Option<&'static [Argument]> {
    Some(match method {
        // request, request-ok
        10 => &[ShortStr, Bits],
        11 => &[Short],
        _ => return None,
    })
}

fn exchange(method: u16) -> Option<&'static [Argument]> {
    Some(match method {
        // declare, delete
        10 => &[Short, ShortStr, ShortStr, Bits, Table],
        20 => &[Short, ShortStr, Bits],
        // bind, unbind
        30 | 40 => &[Short, ShortStr, ShortStr, ShortStr, Bits, Table],
        // declare-ok, delete-ok, bind-ok, unbind-ok
        11 | 21 | 31 | 51 => &[],
        _ => return None,
    })
}

fn queue(method: u16) -> Option<&'static [Argument]> {
    Some(match method {
        // declare, declare-ok
        10 => &[Short, ShortStr, Bits, Table],
        11 => &[ShortStr, Long, Long],
        // bind, unbind
        20 => &[Short, ShortStr, ShortStr, ShortStr, Bits, Table],
        50 => &[Short, ShortStr, ShortStr, ShortStr, Table],
        // purge, delete
        30 | 40 => &[Short, ShortStr, Bits],
        // purge-ok, delete-ok
        31 | 41 => &[Long],
        // bind-ok, unbind-ok
        21 | 51 => &[],
        _ => return None,
    })
}

fn basic(method: u16) -> Option<&'static [Argument]> {
    Some(match method {
        // qos, consume, cancel
        10 => &[Long, Short, Bits],
        20 => &[Short, ShortStr, ShortStr, Bits, Table],
        30 => &[ShortStr, Bits],
        // consume-ok, cancel-ok, get-empty
        21 | 31 | 72 => &[ShortStr],
        // publish, return, deliver
        40 => &[Short, ShortStr, ShortStr, Bits],
        50 => &[Short, ShortStr, ShortStr, ShortStr],
        60 => &[ShortStr, LongLong, Bits, ShortStr, ShortStr],
        // get, get-ok
        70 => &[Short, ShortStr, Bits],
        71 => &[LongLong, Bits, ShortStr, ShortStr, Long],
        // ack, reject, nack
        80 | 90 | 120 => &[LongLong, Bits],
        // recover-async, recover
        100 | 110 => &[Bits],
        // qos-ok, recover-ok
        11 | 111 => &[],
        _ => return None,
    })
}

fn confirm(method: u16) -> Option<&'static [Argument]> {
    Some(match method {
        // select, select-ok
        10 => &[Bits],
        11 => &[],
        _ => return None,
    })
}

fn tx(method: u16) -> Option<&'static [Argument]> {
    // select, commit and rollback with their -ok: none has arguments
    matches!(method, 10 | 11 | 20 | 21 | 30 | 31).then_some(&[])
}
