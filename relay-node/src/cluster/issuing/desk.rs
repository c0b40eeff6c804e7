//! Where all requests for credentials come to, by whichever way: limited, answered and written down.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn::UnixSeconds;
use turn::credentials::UserId;

use super::nearest;
use super::rates::Rates;
use super::wish::{Issued, Refusal, Wish, issue, name_of};
use crate::cluster::Context;
use crate::cluster::api::Admitted;

/// Gives out credentials. Clones are the same desk.
#[derive(Clone)]
pub struct Desk {
    context: Context,
    rates: Arc<Rates>,
}

impl Desk {
    /// Gives out what the fleet of `context` has.
    pub fn new(context: Context) -> Self {
        let rates = Arc::new(Rates::new(context.config.issuing.per_caller_per_second));
        Self { context, rates }
    }

    /// Makes a credential for a user of `caller`, and writes down that it did or why it did not.
    ///
    /// # Errors
    /// Why it did not.
    pub fn issue(&self, caller: &Admitted, wish: &Wish) -> Result<Issued, Refusal> {
        let result = self.answer(caller, wish);
        let (caller, from, user) = (&caller.name, caller.address, Shown(wish));
        match &result {
            Ok(Issued { ttl, .. }) => {
                self.context.tally.count("credentials", "issued");
                tracing::info!(%caller, %from, %user, seconds = ttl.as_secs(), "credential issued");
            }
            Err(refusal) => {
                self.context.tally.count("credentials", "refused");
                tracing::info!(%caller, %from, %user, why = %refusal, "credential refused");
            }
        }
        result
    }

    fn answer(&self, caller: &Admitted, wish: &Wish) -> Result<Issued, Refusal> {
        let rules = &self.context.config.issuing;
        self.rates
            .take(&caller.name, Instant::now())
            .map_err(|wait| Refusal::TooOften { per_second: rules.per_caller_per_second, wait })?;
        let user = UserId::time_limited(&name_of(&wish.tenant, &wish.user)?);
        let now = now();
        let (signing, is_revoked) = {
            let fleet = self.context.fleet.borrow();
            (fleet.signing.clone(), fleet.revocations.contains(&user, b""))
        };
        if is_revoked {
            return Err(Refusal::Revoked);
        }
        let signing = signing.ok_or(Refusal::NoSecret)?;
        // Beyond that it would be refused before it ends.
        let most = Duration::from_secs((signing.good_until / 1000).saturating_sub(now.get()));
        let rules = crate::config::Issuing { max_ttl: rules.max_ttl.min(most), ..rules.clone() };
        let mut urls = nearest::urls(&self.context.directory, &wish.zone);
        urls.extend_from_slice(&rules.urls);
        issue(wish, &rules, &signing.secret, urls, now)
    }
}

/// What was asked for, fit for a log line whatever it holds.
struct Shown<'w>(&'w Wish);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Characters of a name that are shown.
        const MOST: usize = 80;
        let short = |name: &str| name.chars().take(MOST).collect::<String>();
        if !self.0.tenant.is_empty() {
            write!(f, "{}:", short(&self.0.tenant).escape_debug())?;
        }
        write!(f, "{}", short(&self.0.user).escape_debug())
    }
}

fn now() -> UnixSeconds {
    UnixSeconds::new(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
