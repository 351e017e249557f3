//! Which method answers which, so that a test names a request and gets its answer typed.

use leveret_wire::AMQPClass;
use leveret_wire::method::{access, basic, channel, confirm, connection, exchange, queue, tx};

/// A method of one type among all.
pub trait Method: Sized {
    /// As any method.
    fn into_class(self) -> AMQPClass;
    /// Back again, if it is this one.
    fn from_class(class: AMQPClass) -> Option<Self>;
}

/// A method that the broker answers with another.
pub trait Request: Method {
    /// The answer.
    type Reply: Method;
}

macro_rules! methods {
    ($($class:ident::$module:ident { $($name:ident),* })*) => { $($(
        impl Method for $module::$name {
            fn into_class(self) -> AMQPClass {
                AMQPClass::$class($module::AMQPMethod::$name(self))
            }

            fn from_class(class: AMQPClass) -> Option<Self> {
                match class {
                    AMQPClass::$class($module::AMQPMethod::$name(method)) => Some(method),
                    _ => None,
                }
            }
        }
    )*)* };
}

macro_rules! replies {
    ($($module:ident { $($request:ident => $reply:ident),* })*) => { $($(
        impl Request for $module::$request {
            type Reply = $module::$reply;
        }
    )*)* };
}

methods! {
    Access::access { Request, RequestOk }
    Basic::basic {
        Ack, Cancel, CancelOk, Consume, ConsumeOk, Deliver, Get, GetEmpty, GetOk, Nack, Publish, Qos,
        QosOk, Recover, RecoverAsync, RecoverOk, Reject, Return
    }
    Channel::channel { Close, CloseOk, Flow, FlowOk, Open, OpenOk }
    Confirm::confirm { Select, SelectOk }
    Connection::connection {
        Blocked, Close, CloseOk, Open, OpenOk, Start, StartOk, Tune, TuneOk, Unblocked, UpdateSecret,
        UpdateSecretOk
    }
    Exchange::exchange { Bind, BindOk, Declare, DeclareOk, Delete, DeleteOk, Unbind, UnbindOk }
    Queue::queue { Bind, BindOk, Declare, DeclareOk, Delete, DeleteOk, Purge, PurgeOk, Unbind, UnbindOk }
    Tx::tx { Commit, CommitOk, Rollback, RollbackOk, Select, SelectOk }
}

replies! {
    access { Request => RequestOk }
    basic { Cancel => CancelOk, Consume => ConsumeOk, Qos => QosOk, Recover => RecoverOk }
    channel { Close => CloseOk, Flow => FlowOk, Open => OpenOk }
    confirm { Select => SelectOk }
    connection { Close => CloseOk, Open => OpenOk, UpdateSecret => UpdateSecretOk }
    exchange { Bind => BindOk, Declare => DeclareOk, Delete => DeleteOk, Unbind => UnbindOk }
    queue { Bind => BindOk, Declare => DeclareOk, Delete => DeleteOk, Purge => PurgeOk, Unbind => UnbindOk }
    tx { Commit => CommitOk, Rollback => RollbackOk, Select => SelectOk }
}
