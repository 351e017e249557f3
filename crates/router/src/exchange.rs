//! An exchange and its type.

use leveret_wire::FieldTable;

/// How an exchange routes (AMQP 0-9-1 section 3.1.3; those that begin with `x-` on the wire are
/// RabbitMQ's plugins).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    /// To one destination, by a hash of the routing key, of a header or of a property; the binding
    /// key is the destination's weight (RabbitMQ page "Consistent Hash Exchange").
    ConsistentHash,
    /// To the destinations bound with exactly the message's routing key.
    Direct,
    /// To every destination, whatever the key.
    Fanout,
    /// By the message's headers (`x-match` in the binding's arguments).
    Headers,
    /// To one queue of this node, at random (RabbitMQ 4 page "Local Random Exchange").
    LocalRandom,
    /// To one binding, by a hash of all keys modulo the number of bindings (plugin
    /// rabbitmq_sharding).
    ModulusHash,
    /// To one binding, at random (plugin rabbitmq_random_exchange).
    Random,
    /// To every destination; the caller keeps the latest messages for queues bound later (plugin
    /// rabbitmq_recent_history_exchange).
    RecentHistory,
    /// By patterns over the words of the routing key.
    Topic,
}

impl ExchangeKind {
    /// The type of that name, as `exchange.declare` carries it. Case counts (as in RabbitMQ).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "direct" => Some(Self::Direct),
            "fanout" => Some(Self::Fanout),
            "headers" => Some(Self::Headers),
            "topic" => Some(Self::Topic),
            "x-consistent-hash" => Some(Self::ConsistentHash),
            "x-local-random" => Some(Self::LocalRandom),
            "x-modulus-hash" => Some(Self::ModulusHash),
            "x-random" => Some(Self::Random),
            "x-recent-history" => Some(Self::RecentHistory),
            _ => None,
        }
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Headers => "headers",
            Self::Topic => "topic",
            Self::ConsistentHash => "x-consistent-hash",
            Self::LocalRandom => "x-local-random",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::RecentHistory => "x-recent-history",
        }
    }
}

/// The type of exchanges that keep messages for a time and then route them as one of another type does (RabbitMQ's
/// plugin `rabbitmq_delayed_message_exchange`).
pub const DELAYED_TYPE: &str = "x-delayed-message";

/// A declared exchange. The default exchange is not one of them: it is always there and routes by
/// queue name.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Its name, at most 255 octets, never empty.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// It keeps messages that are to be delayed instead of routing them: its type is
    /// [`DELAYED_TYPE`], and `kind` is how it routes all others.
    pub delayed: bool,
    /// It outlives the broker (the caller stores it; routing does not care).
    pub durable: bool,
    /// It goes when the last binding that has it as source goes; never before a first one.
    pub auto_delete: bool,
    /// Clients may not publish to it (checked by the caller); it may be bound to and from.
    pub internal: bool,
    /// The arguments of its declaration.
    pub arguments: FieldTable,
    /// Where messages go that match none of its bindings: the argument or policy
    /// `alternate-exchange`. It need not exist; the empty name means the default exchange.
    pub alternate: Option<String>,
}

impl Exchange {
    /// The name of its type on the wire.
    pub fn type_name(&self) -> &'static str {
        if self.delayed {
            DELAYED_TYPE
        } else {
            self.kind.name()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExchangeKind;

    #[test]
    fn types_have_the_names_of_the_wire() {
        for name in [
            "direct",
            "fanout",
            "headers",
            "topic",
            "x-consistent-hash",
            "x-local-random",
            "x-modulus-hash",
            "x-random",
            "x-recent-history",
        ] {
            assert_eq!(ExchangeKind::parse(name).unwrap().name(), name);
        }
        for name in ["", "Direct", "X-Random", "x-jms-topic", "queue"] {
            assert_eq!(ExchangeKind::parse(name), None);
        }
    }
}
