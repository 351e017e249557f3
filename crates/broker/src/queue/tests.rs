//! A queue by itself, over a store that answers when the test lets it: who gets what and when,
//! what is paged out and comes back, and a model that random histories are compared with.

mod backlog;
mod delivery;
mod gets;
mod model;
mod rig;
