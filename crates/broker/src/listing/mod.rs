//! What there is on the node now, as an operator asks for it: queues, exchanges, bindings,
//! connections, channels and consumers, with what RabbitMQ's command line tells of each.

mod objects;
mod sessions;
#[cfg(test)]
mod tests;

pub use self::objects::{BindingListing, ExchangeListing, QueueListing};
pub(crate) use self::sessions::Inquiry;
pub use self::sessions::{ChannelListing, ChannelMode, ConnectionListing, ConsumerListing};
