//! A user's name in another Unicode normal form is the same user (RFC 8489 section 14.3, RFC 8265).

use crate::support::{REALM, Relay, Scheme, TestClient, peer, settings};
use stun::Method;
use stun::attribute::{Lifetime, Nonce, Realm, RequestedTransport, Username};
use turn::Credentials;

const COMPOSED: &str = "ren\u{e9}";
const DECOMPOSED: &str = "rene\u{301}";

/// A relay that knows the user by the first of the forms.
fn relay_of(name: &str) -> Relay {
    let mut settings = settings();
    settings.credentials = Credentials::new(&settings.realm, &[(name, "descartes")], vec![]).unwrap();
    Relay::with(settings)
}

fn user(name: &str) -> TestClient {
    TestClient::new("198.51.100.9:1").named(name, "descartes")
}

#[test]
fn any_form_allocates_with_the_key_of_the_name_as_it_is_sent() {
    for configured in [COMPOSED, DECOMPOSED] {
        for sent in [COMPOSED, DECOMPOSED] {
            for scheme in [Scheme::Classic, Scheme::Sha256] {
                user(sent).signing(scheme).allocate(&mut relay_of(configured));
            }
        }
    }
}

#[test]
fn any_form_allocates_with_the_key_of_the_prepared_name() {
    let mut relay = relay_of(DECOMPOSED);
    let mut client = user(COMPOSED);
    client.learn_nonce(&mut relay);
    let request = client.request(Method::ALLOCATE, |client, writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(DECOMPOSED.as_bytes()))?;
        writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&client.nonce))?;
        writer.integrity_sha1(&client.key()).map(drop)
    });
    assert_eq!(client.exchange(&mut relay, &request).code(), 0);
}

#[test]
fn the_owner_of_an_allocation_may_write_its_name_in_another_form() {
    let mut relay = relay_of(COMPOSED);
    let mut client = user(COMPOSED);
    client.allocate(&mut relay);
    let mut client = client.named(DECOMPOSED, "descartes");
    assert_eq!(client.permit(&mut relay, peer()).code(), 0);
    assert_eq!(client.refresh(&mut relay, 600).get(), Some(Lifetime(600)));
}

#[test]
fn another_name_is_another_user_however_alike_it_looks() {
    // A Cyrillic letter, a capital and a letter less.
    for name in ["r\u{435}n\u{e9}", "Ren\u{e9}", "rene"] {
        assert_eq!(user(name).try_allocate(&mut relay_of(COMPOSED)).code(), 401, "{name:?}");
    }
}
