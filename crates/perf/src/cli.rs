//! The grammar of `leveret perf`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use leveret_wire::{AMQPValue, FieldTable};

use crate::topology::{ExchangeKind, Wanted};
use crate::uri::Uri;

/// Put load on any AMQP 0-9-1 broker and measure what it does with it.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "leveret perf",
    after_help = "For example: leveret perf throughput --size 1024 -z 10\n\
        Messages per second of the broker's processor time need --pid; docs/benchmarks.md says more."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Publish and consume at the same time
    Throughput(Throughput),
    /// Publish a number of messages without consumers, then consume them all
    FillDrain(Throughput),
    /// Ask and answer, by direct reply-to or a reply queue
    Rpc(Rpc),
    /// Connect, declare an exclusive queue, publish, get, close; over and over
    Churn(Churn),
    /// Open connections with a channel each, and hold them
    IdleConnections(Idle),
    /// Declare queues, and hold them
    IdleQueues(Idle),
    /// Run the fixed list of docs/benchmarks.md
    Suite(Suite),
    /// Print results of --json side by side, with how many times better the first is
    Compare(Compare),
}

/// Which broker, and how the result is shown.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// Where the broker is
    #[arg(
        long,
        value_name = "URI",
        default_value = "amqp://guest:guest@127.0.0.1:5672/%2F"
    )]
    pub uri: Uri,
    /// The broker's process on this machine: accounts its processor time, memory and disk writes
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// No progress lines
    #[arg(long, short)]
    pub quiet: bool,
    /// What the result is called
    #[arg(long)]
    pub name: Option<String>,
}

/// How long.
#[derive(Args, Clone, Copy, Debug)]
pub struct Length {
    /// Seconds to measure
    #[arg(long, short = 'z', value_name = "SECONDS", default_value_t = 10.0, value_parser = positive)]
    pub duration: f64,
    /// Seconds to run before measuring
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = not_negative)]
    pub warm_up: f64,
}

/// Publishers, consumers, and what goes between them.
#[derive(Args, Clone, Debug)]
pub struct Throughput {
    /// Which broker, and how the result is shown.
    #[command(flatten)]
    pub target: Target,
    /// How long.
    #[command(flatten)]
    pub length: Length,
    /// Publishing connections
    #[arg(long, short = 'x', default_value_t = 1)]
    pub publishers: usize,
    /// Consuming connections; with more queues than consumers each takes several
    #[arg(long, short = 'y', default_value_t = 1)]
    pub consumers: usize,
    /// Channels of each connection; the messages and queues are spread over them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2047))]
    pub channels: u16,
    /// Octets of a body
    #[arg(long, short, default_value_t = 16)]
    pub size: usize,
    /// Persistent messages; the queues and the exchange are durable then
    #[arg(long, short)]
    pub persistent: bool,
    /// Unconfirmed messages that a publisher may have; without it nothing is confirmed
    #[arg(long, short, value_name = "WINDOW", value_parser = clap::value_parser!(u32).range(1..))]
    pub confirm: Option<u32>,
    /// Acknowledge every K messages; without it messages are consumed with no-ack
    #[arg(long, short, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub ack: Option<u32>,
    /// Unacknowledged messages a consumer may hold; 0 for no limit
    #[arg(long, default_value_t = 0)]
    pub prefetch: u16,
    /// Messages per second, of all publishers together; without it as many as the broker takes
    #[arg(long, short, value_name = "PER_SECOND", value_parser = positive)]
    pub rate: Option<f64>,
    /// Messages to publish, of all publishers together, in place of a duration
    #[arg(long, short = 'C', value_name = "MESSAGES")]
    pub count: Option<u64>,
    /// Measure the time from the intended sending of each message to its delivery
    #[arg(long, short)]
    pub latency: bool,
    /// Check that each message comes once and in order
    #[arg(long)]
    pub verify: bool,
    /// Queues, exchange and bindings.
    #[command(flatten)]
    pub places: Places,
    /// What lies there meanwhile.
    #[command(flatten)]
    pub burden: Burden,
}

/// What the broker holds while it is measured, and what should cost nothing.
#[derive(Args, Clone, Copy, Debug)]
pub struct Burden {
    /// Idle connections with a channel each, held meanwhile
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub idle_connections: u32,
    /// Idle queues, held meanwhile
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub idle_queues: u32,
    /// Ready messages in a queue that nobody consumes from
    #[arg(long, value_name = "MESSAGES", default_value_t = 0)]
    pub idle_backlog: u64,
    /// Ready messages in the queues from the start; the consumers take no more than is published, so that they stay
    #[arg(long, value_name = "MESSAGES", default_value_t = 0)]
    pub backlog: u64,
}

/// Queues, exchange and bindings.
#[derive(Args, Clone, Debug)]
pub struct Places {
    /// Queues
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub queues: u32,
    /// Names of the queues, %d is the number; queues without a given name are deleted in the end
    #[arg(long, short = 'u', value_name = "PATTERN")]
    pub queue: Option<String>,
    /// Durable queues and exchange, for transient messages too
    #[arg(long)]
    pub durable: bool,
    /// The argument x-queue-type
    #[arg(long, value_name = "TYPE")]
    pub queue_type: Option<String>,
    /// An argument of the queues: a number, true, false or text; repeat it for several
    #[arg(long, value_name = "NAME=VALUE", value_parser = argument)]
    pub queue_argument: Vec<(String, AMQPValue)>,
    /// Publish through an exchange of this type, else through the default exchange
    #[arg(long, value_name = "TYPE")]
    pub exchange_type: Option<ExchangeKind>,
    /// The exchange's name; one without a given name is deleted in the end
    #[arg(long, value_name = "NAME")]
    pub exchange: Option<String>,
    /// Bindings of each queue
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub bindings: u32,
    /// The keys of the bindings: %q is the queue's number, %b the binding's
    #[arg(long, value_name = "PATTERN")]
    pub binding_key: Option<String>,
    /// The keys of the messages, the same; they are published in turn
    #[arg(long, value_name = "PATTERN")]
    pub routing_key: Option<String>,
}

impl Places {
    /// What is to be declared; `persistent` messages need durable queues.
    pub(crate) fn wanted(&self, persistent: bool) -> Wanted {
        let mut arguments = FieldTable::default();
        for (name, value) in &self.queue_argument {
            arguments.insert(name.as_str().into(), value.clone());
        }
        if let Some(name) = &self.queue_type {
            arguments.insert(
                "x-queue-type".into(),
                AMQPValue::LongString(name.as_str().into()),
            );
        }
        Wanted {
            queues: self.queues as usize,
            queue: self.queue.clone(),
            durable: self.durable || persistent,
            arguments,
            exchange_kind: self.exchange_type,
            exchange: self.exchange.clone(),
            bindings: self.bindings as usize,
            binding_key: self.binding_key.clone(),
            routing_key: self.routing_key.clone(),
        }
    }
}

/// Where answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplyTo {
    /// To the pseudo-queue amq.rabbitmq.reply-to
    Direct,
    /// To an exclusive queue of the asker
    Queue,
}

/// Askers and answerers.
#[derive(Args, Clone, Debug)]
pub struct Rpc {
    /// Which broker, and how the result is shown.
    #[command(flatten)]
    pub target: Target,
    /// How long.
    #[command(flatten)]
    pub length: Length,
    /// Where answers go
    #[arg(long, value_enum, default_value_t = ReplyTo::Direct)]
    pub reply_to: ReplyTo,
    /// Asking connections
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,
    /// Answering connections
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub servers: u32,
    /// Questions that an asker may have open at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub window: u32,
    /// Octets of a question and of its answer, at least 16
    #[arg(long, short, default_value_t = 16, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    pub size: u32,
    /// Round trips, of all askers together, in place of a duration
    #[arg(long, short = 'C', value_name = "ROUND_TRIPS")]
    pub count: Option<u64>,
}

/// Connections that come and go.
#[derive(Args, Clone, Debug)]
pub struct Churn {
    /// Which broker, and how the result is shown.
    #[command(flatten)]
    pub target: Target,
    /// How long.
    #[command(flatten)]
    pub length: Length,
    /// How many connect at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,
    /// Octets of a body
    #[arg(long, short, default_value_t = 16)]
    pub size: usize,
    /// Cycles, of all clients together, in place of a duration
    #[arg(long, short = 'C', value_name = "CYCLES")]
    pub count: Option<u64>,
}

/// Things that do nothing.
#[derive(Args, Clone, Debug)]
pub struct Idle {
    /// Which broker, and how the result is shown.
    #[command(flatten)]
    pub target: Target,
    /// How many
    #[arg(long, short = 'C', default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Seconds to hold them; the memory is read in the end
    #[arg(long, short = 'z', value_name = "SECONDS", default_value_t = 2.0, value_parser = not_negative)]
    pub duration: f64,
}

/// The fixed list.
#[derive(Args, Clone, Debug)]
pub struct Suite {
    /// Which broker, and how the result is shown.
    #[command(flatten)]
    pub target: Target,
    /// A second for each kind of work, and smaller numbers
    #[arg(long)]
    pub quick: bool,
    /// Only the work with this text in its name
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

/// Results to compare.
#[derive(Args, Clone, Debug)]
pub struct Compare {
    /// Files that --json wrote
    #[arg(required = true, num_args = 2..)]
    pub files: Vec<PathBuf>,
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.0..=1e9).contains(&number) {
        Ok(number)
    } else {
        Err("it must be between 0 and 1,000,000,000".to_owned())
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match not_negative(text)? {
        number if number > 0.0 => Ok(number),
        _ => Err("it must be above 0".to_owned()),
    }
}

/// name=value: a whole number is one, true and false are a bool, all else is text.
fn argument(text: &str) -> Result<(String, AMQPValue), String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    if name.is_empty() || name.len() > 255 {
        return Err("a name has 1 to 255 octets".to_owned());
    }
    let value = match value {
        "true" => AMQPValue::Boolean(true),
        "false" => AMQPValue::Boolean(false),
        number if number.parse::<i64>().is_ok() => {
            AMQPValue::LongLongInt(number.parse().unwrap_or_default())
        }
        text => AMQPValue::LongString(text.into()),
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parsed(arguments: &str) -> Result<Command, clap::Error> {
        let words = ["leveret perf"]
            .into_iter()
            .chain(arguments.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.command)
    }

    fn throughput(arguments: &str) -> Throughput {
        match parsed(&format!("throughput {arguments}")).unwrap() {
            Command::Throughput(throughput) => throughput,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_load_is_described() {
        let load = throughput(
            "-x 2 -y 3 --queues 4 -u q%d -s 1024 -p -c 256 -a 32 --prefetch 256 -r 5000 -z 1.5 \
             --exchange-type topic --bindings 100 --verify --latency --queue-type quorum \
             --queue-argument x-max-length=10 --queue-argument x-overflow=reject-publish",
        );
        assert_eq!((load.publishers, load.consumers, load.size), (2, 3, 1024));
        assert_eq!(
            (load.confirm, load.ack, load.prefetch),
            (Some(256), Some(32), 256)
        );
        assert_eq!((load.rate, load.length.duration), (Some(5000.0), 1.5));
        let wanted = load.places.wanted(load.persistent);
        assert!(wanted.durable && wanted.queues == 4 && wanted.bindings == 100);
        assert_eq!(wanted.exchange_kind, Some(ExchangeKind::Topic));
        let arguments = wanted.arguments.inner();
        assert_eq!(
            arguments.get("x-max-length"),
            Some(&AMQPValue::LongLongInt(10))
        );
        let text = |text: &str| AMQPValue::LongString(text.into());
        assert_eq!(arguments.get("x-overflow"), Some(&text("reject-publish")));
        assert_eq!(arguments.get("x-queue-type"), Some(&text("quorum")));
    }

    #[test]
    fn arguments_of_queues_have_types() {
        let named = |value| Ok(("n".to_owned(), value));
        assert_eq!(argument("n=true"), named(AMQPValue::Boolean(true)));
        assert_eq!(argument("n=-7"), named(AMQPValue::LongLongInt(-7)));
        assert_eq!(argument("n=7s"), named(AMQPValue::LongString("7s".into())));
        assert_eq!(argument("n="), named(AMQPValue::LongString("".into())));
        assert!(argument("n").is_err() && argument("=1").is_err());
    }

    #[test]
    fn mistakes_are_refused() {
        for arguments in [
            "throughput -r 0",
            "throughput -z -1",
            "throughput -z inf",
            "throughput -c 0",
            "throughput -a 0",
            "throughput --queues 0",
            "throughput --exchange-type star",
            "throughput --uri http://h",
            "throughput --backlog -1",
            "rpc --size 15",
            "compare one.json",
        ] {
            assert!(parsed(arguments).is_err(), "{arguments}");
        }
    }
}
