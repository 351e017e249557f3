//! Scripts of frames against the machine, with a clock that only moves when told to. Each file is a
//! group of behaviours; the comments name the rules they show.

mod blocking;
mod channels;
mod chunking;
mod closing;
mod content;
mod envelope;
mod frames;
mod handshake;
mod heartbeats;
mod limits;
mod login;
mod mutation;
mod replies;
mod script;
