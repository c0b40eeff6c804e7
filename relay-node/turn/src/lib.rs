//! TURN core.
