//! Who an allocation belongs to.

use stun::Key;
use zeroize::Zeroizing;

use super::codec::{Field, Reader, Unreadable, Writer, choices, fields};
use crate::allocation::{Owner, OwnerName};
use crate::credentials::{Algorithm, LONGEST_NAME, UserId};
use crate::settings::{LONGEST_REALM, Realm};

/// What is written before a USERNAME and before a USERHASH.
const USERNAME: u8 = 1;
const USERHASH: u8 = 2;
/// What is written before a user of the configuration and before one of time-limited names.
const LONG_TERM: u8 = 1;
const TIME_LIMITED: u8 = 2;

fields!(Owner { user: UserId, name: OwnerName, key: Key, algorithm: Algorithm, realm: Realm });
choices!(Algorithm { Md5 = 1, Sha256 = 2 } "password algorithm");

impl Field for UserId {
    const MOST: usize = u8::MOST + u16::MOST + LONGEST_NAME;

    fn write(&self, to: &mut Writer<'_>) {
        if self.long_term_name().is_some() { LONG_TERM } else { TIME_LIMITED }.write(to);
        to.put_counted(self.name().as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let no_user = || Unreadable::Value("user");
        let make = match u8::read(from)? {
            LONG_TERM => Self::long_term,
            TIME_LIMITED => Self::time_limited,
            _ => return Err(no_user()),
        };
        let name = from.take_counted()?;
        let name = str::from_utf8(name).ok().filter(|name| name.len() <= LONGEST_NAME);
        name.map(make).ok_or_else(no_user)
    }
}

impl Field for OwnerName {
    const MOST: usize = u8::MOST + u16::MOST + LONGEST_NAME;

    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Username(name) => {
                USERNAME.write(to);
                to.put_counted(name);
            }
            Self::Userhash(hash) => {
                USERHASH.write(to);
                hash.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let no_name = Unreadable::Value("user name");
        match u8::read(from)? {
            USERNAME => {
                let name = Some(from.take_counted()?).filter(|name| name.len() <= LONGEST_NAME);
                Ok(Self::Username(name.ok_or(no_name)?.into()))
            }
            USERHASH => from.take().map(Self::Userhash),
            _ => Err(no_name),
        }
    }
}

impl Field for Key {
    const MOST: usize = 32;

    fn write(&self, to: &mut Writer<'_>) {
        // Always there: the keys of the long-term mechanism are digests.
        self.expose().unwrap_or(&[0; 32]).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self::from_exposed(&Zeroizing::new(from.take()?)))
    }
}

impl Field for Realm {
    const MOST: usize = u16::MOST + LONGEST_REALM;

    fn write(&self, to: &mut Writer<'_>) {
        to.put_counted(self.as_str().as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let realm = str::from_utf8(from.take_counted()?).ok();
        realm.and_then(|realm| Self::new(realm).ok()).ok_or(Unreadable::Value("realm"))
    }
}
