//! What an application asks for, and what it gets: no clock, no network.

use std::time::Duration;

use thiserror::Error;
use turn::UnixSeconds;
use turn::credentials::Secret;

use crate::config::Issuing;
use crate::ice_servers::TimedCredential;

/// Bytes of a user's name at most: a mail address fits.
const LONGEST_USER: usize = 256;
/// Bytes of a tenant's name at most.
const LONGEST_TENANT: usize = 64;
/// Beside letters and digits. A colon would speak for another tenant; spaces and quotes read badly in a log.
const PUNCTUATION: &str = "-_.@+/=~";

/// What an application asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Who the credential is for.
    pub user: String,
    /// Whose user that is; empty where there are no tenants.
    pub tenant: String,
    /// For how long; as the configuration says if nothing.
    pub ttl: Option<Duration>,
    /// Whether the application's clients go where a 300 sends them.
    pub follows: bool,
    /// Where the client is; empty if nobody knows.
    pub zone: String,
}

/// What it gets.
#[derive(Clone)]
pub struct Issued {
    /// Where to go, what is best first.
    pub urls: Vec<String>,
    /// Name and password.
    pub credential: TimedCredential,
    /// How long allocations can be made with it.
    pub ttl: Duration,
}

/// Why it gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Quotas and revocations are by user.
    #[error("no user is named; say who the credential is for, since quotas and revocations are by user")]
    NoUser,
    /// Longer than that.
    #[error("the {what} has {length} bytes, and at most {most} are taken; choose a shorter one")]
    TooLong {
        /// User or tenant.
        what: &'static str,
        /// What was given.
        length: usize,
        /// What is taken.
        most: usize,
    },
    /// Something in it that is not taken.
    #[error("the {what} holds {character:?}; use letters, digits and {PUNCTUATION}")]
    Character {
        /// User or tenant.
        what: &'static str,
        /// The first of them.
        character: char,
    },
    /// Too many requests.
    #[error("{per_second} requests a second are taken of one caller; ask again in {} ms", wait.as_millis())]
    TooOften {
        /// The limit: `cluster.issuing.per_caller_per_second`.
        per_second: u32,
        /// Until when.
        wait: Duration,
    },
    /// By command.
    #[error("this user is revoked; `edgerelay revoke --undo` takes that back")]
    Revoked,
    /// The fleet has made none yet.
    #[error("this node knows no secret yet: it waits for the fleet's, in Redis; ask again, or another node")]
    NoSecret,
    /// Nowhere to go.
    #[error("it is not known what clients reach the fleet by; name it in cluster.issuing.urls")]
    NoUrl,
}

/// Makes a credential with `secret`, which goes with `urls`.
///
/// # Errors
/// When the user or the tenant cannot be taken, or there is no URL.
pub fn issue(
    wish: &Wish,
    rules: &Issuing,
    secret: &Secret,
    urls: Vec<String>,
    now: UnixSeconds,
) -> Result<Issued, Refusal> {
    let name = name_of(&wish.tenant, &wish.user)?;
    if urls.is_empty() {
        return Err(Refusal::NoUrl);
    }
    let ttl = wish.ttl.filter(|ttl| !ttl.is_zero()).unwrap_or(rules.ttl).min(rules.max_ttl);
    let expires = UnixSeconds::new(now.get().saturating_add(ttl.as_secs()));
    let credential = if wish.follows {
        TimedCredential::of_follower(secret, &name, expires)
    } else {
        TimedCredential::until(secret, &name, expires)
    };
    Ok(Issued { urls, credential, ttl })
}

/// What follows the time in the names of a user.
///
/// # Errors
/// When the user or the tenant cannot be taken.
pub fn name_of(tenant: &str, user: &str) -> Result<String, Refusal> {
    if user.is_empty() {
        return Err(Refusal::NoUser);
    }
    check("user", user, LONGEST_USER)?;
    check("tenant", tenant, LONGEST_TENANT)?;
    Ok(if tenant.is_empty() { user.to_owned() } else { format!("{tenant}:{user}") })
}

fn check(what: &'static str, name: &str, most: usize) -> Result<(), Refusal> {
    let plain = |character: char| character.is_alphanumeric() || PUNCTUATION.contains(character);
    if name.len() > most {
        return Err(Refusal::TooLong { what, length: name.len(), most });
    }
    match name.chars().find(|&character| !plain(character)) {
        Some(character) => Err(Refusal::Character { what, character }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);

    fn rules() -> Issuing {
        Issuing {
            ttl: Duration::from_secs(3600),
            max_ttl: Duration::from_secs(7200),
            urls: Vec::new(),
            per_caller_per_second: 10,
            rotation: Duration::from_secs(3600),
        }
    }

    fn wish(user: &str) -> Wish {
        Wish { user: user.to_owned(), ..Wish::default() }
    }

    fn issued(wish: &Wish) -> Result<Issued, Refusal> {
        let secret = Secret::new(b"a secret of the tests").unwrap();
        issue(wish, &rules(), &secret, vec!["turn:192.0.2.1:3478?transport=udp".to_owned()], NOW)
    }

    fn username(wish: &Wish) -> String {
        issued(wish).unwrap().credential.username
    }

    #[test]
    fn the_name_says_when_it_ends_whose_it_is_and_whether_it_follows() {
        assert_eq!(username(&wish("alice")), "1800003600:alice");
        assert_eq!(username(&Wish { tenant: "t1".to_owned(), ..wish("alice") }), "1800003600:t1:alice");
        assert_eq!(username(&Wish { follows: true, ..wish("alice") }), "1800003600+300:alice");
    }

    #[test]
    fn the_password_is_that_of_the_convention() {
        let issued = issued(&wish("alice")).unwrap();
        let secret = Secret::new(b"a secret of the tests").unwrap();
        assert_eq!(issued.credential.password, *secret.password(b"1800003600:alice"));
    }

    #[test]
    fn nobody_gets_more_time_than_the_configuration_gives() {
        let ttl = |seconds| {
            issued(&Wish { ttl: Some(Duration::from_secs(seconds)), ..wish("alice") }).unwrap().ttl.as_secs()
        };
        assert_eq!([ttl(0), ttl(1), ttl(7200), ttl(7201), ttl(u64::MAX)], [3600, 1, 7200, 7200, 7200]);
    }

    #[test]
    fn a_name_that_could_be_taken_for_another_is_refused() {
        let refused = |tenant: &str, user: &str| {
            issued(&Wish { tenant: tenant.to_owned(), ..wish(user) }).err().unwrap().to_string()
        };
        assert!(refused("", "").starts_with("no user is named"));
        assert_eq!(refused("", "t1:alice"), "the user holds ':'; use letters, digits and -_.@+/=~");
        assert_eq!(refused("t:1", "alice"), "the tenant holds ':'; use letters, digits and -_.@+/=~");
        for hidden in ["a\nb", "a b", "a\u{202e}b", "a\u{200b}", "a\"b", "re\u{301}"] {
            assert!(refused("", hidden).starts_with("the user holds "), "{hidden:?}");
        }
        assert!(refused("", &"a".repeat(257)).starts_with("the user has 257 bytes"));
        assert!(refused(&"a".repeat(65), "b").starts_with("the tenant has 65 bytes"));
    }

    proptest! {
        /// Tenant and user can be read from the name again, so no two users share one.
        #[test]
        fn names_are_of_one_user_each(tenant in ".{0,12}", user in ".{0,12}") {
            if let Ok(name) = name_of(&tenant, &user) {
                let (read_tenant, read_user) = name.split_once(':').unwrap_or(("", &name));
                prop_assert_eq!((read_tenant, read_user), (tenant.as_str(), user.as_str()));
            }
        }
    }
}
