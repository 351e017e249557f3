//! Administration over a node without sockets.
