//! Credentials for applications to hand to their users.

mod desk;
pub mod https;
mod nearest;
mod rates;
mod strangers;
mod wish;

pub use desk::Desk;
pub use rates::Rates;
pub use strangers::Strangers;
pub use wish::{Issued, Refusal, Wish, issue, name_of};
