//! What a client is told by its session, as a test compares it.

use leveret_protocol::ChannelError;
use leveret_wire::method::{basic, confirm, exchange, queue, tx};
use leveret_wire::{AMQPClass, Message};

use crate::Output;

/// Writes down what a session says.
/// One line for each thing that it says, and every message that it gives.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) lines: Vec<String>,
    pub(crate) messages: Vec<Message>,
}

impl Recorder {
    fn message(&mut self, line: &str, message: &Message, redelivered: bool) {
        let mark = if redelivered { " redelivered" } else { "" };
        self.lines.push(format!(
            "{line} {}{mark}",
            String::from_utf8_lossy(message.body())
        ));
        self.messages.push(message.clone());
    }
}

impl Output for Recorder {
    // Tests open channels on the way to what they are about.
    fn accept_channel_open(&mut self, _channel: u16) {}

    fn reply(&mut self, channel: u16, method: &AMQPClass) {
        self.lines.push(format!("{channel} {}", words(method)));
    }

    fn deliver(
        &mut self,
        channel: u16,
        consumer_tag: &str,
        delivery_tag: u64,
        redelivered: bool,
        message: &Message,
    ) {
        self.message(
            &format!("{channel} deliver {consumer_tag} {delivery_tag}"),
            message,
            redelivered,
        );
    }

    fn get_ok(
        &mut self,
        channel: u16,
        delivery_tag: u64,
        redelivered: bool,
        message_count: u32,
        message: &Message,
    ) {
        self.message(
            &format!("{channel} get-ok {delivery_tag} left {message_count}"),
            message,
            redelivered,
        );
    }

    fn return_unroutable(&mut self, channel: u16, message: &Message) {
        self.message(&format!("{channel} return"), message, false);
    }

    fn confirm(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        let multiple = if multiple { " multiple" } else { "" };
        self.lines
            .push(format!("{channel} ack {delivery_tag}{multiple}"));
    }

    fn refuse(&mut self, channel: u16, delivery_tag: u64) {
        self.lines.push(format!("{channel} nack {delivery_tag}"));
    }

    fn close_channel(&mut self, channel: u16, error: &ChannelError) {
        let ChannelError {
            code,
            text,
            class,
            method,
            ..
        } = error;
        self.lines.push(format!(
            "{channel} close {} {text} {class} {method}",
            code.as_u16()
        ));
    }

    fn accept_channel_close(&mut self, channel: u16) {
        self.lines.push(format!("{channel} close-ok"));
    }

    fn block(&mut self, reason: &str) {
        self.lines.push(format!("block {reason}"));
    }

    fn unblock(&mut self) {
        self.lines.push("unblock".to_owned());
    }
}

/// A method that the broker sends, in short.
fn words(method: &AMQPClass) -> String {
    match method {
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => {
            format!(
                "declare-ok {} {} {}",
                ok.queue, ok.message_count, ok.consumer_count
            )
        }
        AMQPClass::Queue(queue::AMQPMethod::PurgeOk(ok)) => {
            format!("purge-ok {}", ok.message_count)
        }
        AMQPClass::Queue(queue::AMQPMethod::DeleteOk(ok)) => {
            format!("delete-ok {}", ok.message_count)
        }
        AMQPClass::Queue(queue::AMQPMethod::BindOk(_)) => "bind-ok".to_owned(),
        AMQPClass::Queue(queue::AMQPMethod::UnbindOk(_)) => "unbind-ok".to_owned(),
        AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(_)) => "exchange.declare-ok".to_owned(),
        AMQPClass::Exchange(exchange::AMQPMethod::DeleteOk(_)) => "exchange.delete-ok".to_owned(),
        AMQPClass::Exchange(exchange::AMQPMethod::BindOk(_)) => "exchange.bind-ok".to_owned(),
        AMQPClass::Exchange(exchange::AMQPMethod::UnbindOk(_)) => "exchange.unbind-ok".to_owned(),
        AMQPClass::Basic(basic::AMQPMethod::QosOk(_)) => "qos-ok".to_owned(),
        AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)) => {
            format!("consume-ok {}", ok.consumer_tag)
        }
        AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok)) => {
            format!("cancel-ok {}", ok.consumer_tag)
        }
        AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
            assert!(cancel.nowait, "the client does not answer basic.cancel");
            format!("cancel {}", cancel.consumer_tag)
        }
        AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_)) => "get-empty".to_owned(),
        AMQPClass::Basic(basic::AMQPMethod::RecoverOk(_)) => "recover-ok".to_owned(),
        AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(_)) => "confirm.select-ok".to_owned(),
        AMQPClass::Tx(tx::AMQPMethod::SelectOk(_)) => "tx.select-ok".to_owned(),
        AMQPClass::Tx(tx::AMQPMethod::CommitOk(_)) => "commit-ok".to_owned(),
        AMQPClass::Tx(tx::AMQPMethod::RollbackOk(_)) => "rollback-ok".to_owned(),
        other => panic!("the broker does not send {other:?}"),
    }
}
