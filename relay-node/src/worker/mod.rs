//! Workers: one thread for each core, each a relay of its own.
