//! Credentials for applications to hand to their users.

mod desk;
pub mod https;
mod rates;
mod strangers;
mod wish;

pub use desk::{Desk, Direct};
pub use rates::Rates;
pub use strangers::Strangers;
pub use wish::{Issued, Refusal, Wish, issue, name_of};
