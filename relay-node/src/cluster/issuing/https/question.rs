//! What a request says, as JSON or as the query of a URL.

use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::cluster::issuing::Wish;

/// What cannot be read.
#[derive(Debug, Error)]
pub(super) enum Malformed {
    #[error("the body is not what is expected: {0}; send such as {{\"user\": \"alice\", \"ttl\": 3600}}")]
    Json(#[from] serde_json::Error),
    #[error("there is no {0:?} to ask for; say service=turn")]
    Service(String),
    #[error("ttl is no number of seconds; write such as ttl=3600")]
    Ttl,
    #[error("{0} is there twice; say it once")]
    Twice(&'static str),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user: String,
    #[serde(default)]
    tenant: String,
    ttl: Option<u64>,
    #[serde(default)]
    follows_redirects: bool,
    #[serde(default)]
    zone: String,
}

/// What the body of `POST /v1/credentials` says.
pub(super) fn of_json(body: &[u8]) -> Result<Wish, Malformed> {
    let Body { user, tenant, ttl, follows_redirects: follows, zone } = serde_json::from_slice(body)?;
    Ok(Wish { user, tenant, ttl: ttl.map(Duration::from_secs), follows, zone })
}

/// What the query of `GET /?service=turn&username=USER&ttl=SECONDS` says. There are many writers of that request:
/// what else it says is theirs.
pub(super) fn of_query(query: &str) -> Result<Wish, Malformed> {
    let one = |name: &'static str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        if values.next().is_some() { Err(Malformed::Twice(name)) } else { Ok(value) }
    };
    let service = one("service")?.unwrap_or_default();
    if service != "turn" {
        return Err(Malformed::Service(service));
    }
    let seconds = one("ttl")?.filter(|ttl| !ttl.is_empty());
    let seconds = seconds.map(|ttl| ttl.parse().map_err(|_| Malformed::Ttl)).transpose()?;
    let user = one("username")?.unwrap_or_default();
    Ok(Wish { user, ttl: seconds.map(Duration::from_secs), ..Wish::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_says_all_that_can_be_wished() {
        let wish = of_json(
            br#"{"user": "alice", "tenant": "t1", "ttl": 60, "follows_redirects": true, "zone": "eu-1"}"#,
        );
        let expected = Wish {
            user: "alice".to_owned(),
            tenant: "t1".to_owned(),
            ttl: Some(Duration::from_secs(60)),
            follows: true,
            zone: "eu-1".to_owned(),
        };
        assert_eq!(wish.unwrap(), expected);
        assert_eq!(
            of_json(br#"{"user": "bob"}"#).unwrap(),
            Wish { user: "bob".to_owned(), ..Wish::default() }
        );
    }

    #[test]
    fn a_misspelt_word_is_told_of() {
        let told = of_json(br#"{"user": "alice", "tll": 60}"#).unwrap_err().to_string();
        assert!(told.contains("unknown field `tll`") && told.contains("`ttl`"), "{told}");
        for malformed in ["", "[]", "{", "{}", r#"{"user": 1}"#, r#"{"user": "a", "ttl": -1}"#] {
            assert!(of_json(malformed.as_bytes()).is_err(), "{malformed}");
        }
    }

    #[test]
    fn the_classic_query_is_read() {
        let wish = of_query("service=turn&username=al%40example.org&ttl=60&key=x").unwrap();
        assert_eq!(wish.user, "al@example.org");
        assert_eq!(wish.ttl, Some(Duration::from_secs(60)));
        assert_eq!(of_query("service=turn&username=bob&ttl=").unwrap().ttl, None);
    }

    #[test]
    fn a_query_that_can_be_read_in_two_ways_is_refused() {
        let told = |query| of_query(query).unwrap_err().to_string();
        assert_eq!(told("service=turn&username=a&username=b"), "username is there twice; say it once");
        assert_eq!(told("service=stun&username=a"), "there is no \"stun\" to ask for; say service=turn");
        assert_eq!(
            told("service=turn&username=a&ttl=1h"),
            "ttl is no number of seconds; write such as ttl=3600"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(body in proptest::collection::vec(any::<u8>(), 0..64), query in ".{0,64}") {
            let _ = (of_json(&body), of_query(&query));
        }
    }
}
