//! Calls go on when the relay's process dies, when all of it dies and is started again, and when another one takes
//! over.
//!
//! The relay has a core of its own; who loads it has the others. What is printed is what clients and peers saw.

mod accounts;
mod both_killed;
mod browsers;
mod crashes;
mod handovers;
mod multitude;
mod place;
mod records_files;
mod scene;
mod secrets;
mod stream_clients;
mod undisturbed;
