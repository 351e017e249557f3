//! AMQP 0-9-1 scenarios through lapin, against a real broker. One module a noun, one test a behaviour.
//!
//! `session` holds a test's connections and names, `deliveries` waits for messages or for silence, `refusal` for the
//! broker's errors; `broker_process` is a broker to kill and restart, for `durability`.

mod bindings;
mod broker_process;
mod channels;
mod confirms;
mod connection;
mod consume;
mod deliveries;
mod durability;
mod exchanges;
mod extensions;
mod get;
mod publish;
mod qos;
mod queues;
mod recover;
mod refusal;
mod routing;
mod session;
mod settle;
mod tx;
