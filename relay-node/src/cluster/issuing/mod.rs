//! Credentials for applications to hand to their users.

mod rates;
mod wish;

pub use rates::Rates;
pub use wish::{Issued, Refusal, Wish, issue, name_of};
