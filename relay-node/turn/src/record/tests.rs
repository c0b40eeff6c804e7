use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use stun::attribute::{AddressFamily, ChannelNumber, ReservationToken};
use stun::{Key, TransactionId};

use super::*;
use crate::address::{ClientAddr, FiveTuple, PeerAddr, RelayPort, ServerAddr, Transport};
use crate::allocation::{Origin, Owner, OwnerName};
use crate::credentials::{Algorithm, LONGEST_NAME, UserId};
use crate::per_family::PerFamily;
use crate::refusal::Refusal;
use crate::relay_address::RelayAddress;
use crate::settings::Realm;
use crate::time::Monotonic;

fn encoded<R: Record>(record: &R) -> Vec<u8> {
    encoded_as(VERSION, record)
}

fn encoded_as<R: Record>(version: u16, record: &R) -> Vec<u8> {
    let mut cell = vec![0xAA; R::MAX_LEN];
    let length = record.encode_as(version, &mut cell).unwrap();
    cell.truncate(length);
    cell
}

/// What was written, when a relay that knows no later version than that has had it.
fn known_to<R: Record>(version: u16, record: &R) -> R {
    R::decode(&encoded_as(version, record)).unwrap()
}

/// All that there is to say of one record's bytes.
fn check<R: Record + PartialEq + Debug>(record: &R) -> Result<(), TestCaseError> {
    let mut bytes = encoded(record);
    let decoded = R::decode(&bytes);
    prop_assert_eq!(decoded.as_ref(), Ok(record));
    for length in 0..bytes.len() {
        prop_assert!(R::decode(&bytes[..length]).is_err(), "cut to {} bytes", length);
        prop_assert_eq!(record.encode(&mut vec![0; length]), None);
    }
    for place in 0..bytes.len() {
        for change in [0x01, 0x80, 0xFF] {
            bytes[place] ^= change;
            let other = R::decode(&bytes);
            prop_assert_ne!(other.as_ref(), Ok(record));
            one_form::<R>(&bytes)?;
            bytes[place] ^= change;
        }
    }
    bytes.push(0);
    prop_assert_eq!(R::decode(&bytes), Err(Unreadable::Long(1)));
    Ok(())
}

/// Whatever can be read is written so.
fn one_form<R: Record>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(record) = R::decode(bytes) {
        let version = u16::from_be_bytes([bytes[0], bytes[1]]);
        prop_assert_eq!(encoded_as(version, &record), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn an_allocation_is_read_as_it_was_written(record in allocation()) {
        check(&record)?;
    }

    #[test]
    fn a_permission_is(allocation in id(), peer: IpAddr, expires in time()) {
        check(&PermissionRecord { allocation, peer, expires })?;
    }

    #[test]
    fn a_channel_is(allocation in id(), number in 0x4000..=0x4FFF_u16, peer in socket(), expires in time()) {
        let (number, peer) = (ChannelNumber::new(number).unwrap(), PeerAddr::new(peer));
        check(&ChannelRecord { allocation, number, peer, expires })?;
    }

    #[test]
    fn a_reservation_is(address in relay_address(), port: u16, user in user(), token: [u8; 8], until in time()) {
        let (port, token) = (RelayPort::new(port), ReservationToken(token));
        check(&ReservationRecord { address, port, user, token, until })?;
    }

    #[test]
    fn a_deletion_is(five_tuple in five_tuple(), transaction in transaction(), until in time()) {
        check(&DeletionRecord { five_tuple, transaction, until })?;
    }

    #[test]
    fn what_a_former_relay_knows_of_it_stays(record in allocation()) {
        for version in 1..=VERSION {
            let known = known_to(version, &record);
            prop_assert_eq!(known_to(version, &known), known.clone());
            prop_assert_eq!(encoded_as(version, &known), encoded_as(version, &record));
            let all = AllocationRecord {
                #[cfg(feature = "next-record-version")]
                novelty: record.novelty,
                ..known
            };
            prop_assert_eq!(&all, &record);
        }
    }

    #[test]
    fn no_bytes_break_it(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
        version in 1..=VERSION as u8,
        kind in 1..=5_u8,
    ) {
        // So that more of them get past the header.
        if let Some(header) = bytes.first_chunk_mut::<3>() {
            *header = [0, version, kind];
        }
        one_form::<AllocationRecord>(&bytes)?;
        one_form::<PermissionRecord>(&bytes)?;
        one_form::<ChannelRecord>(&bytes)?;
        one_form::<ReservationRecord>(&bytes)?;
        one_form::<DeletionRecord>(&bytes)?;
    }
}

#[test]
fn another_version_or_kind_is_refused_and_named() {
    let id = AllocationId { slot: 1, generation: 2 };
    let record = PermissionRecord {
        allocation: id,
        peer: IpAddr::from([192, 0, 2, 1]),
        expires: Monotonic::default(),
    };
    let mut bytes = encoded(&record);
    assert_eq!(ChannelRecord::decode(&bytes), Err(Unreadable::Kind(PermissionRecord::KIND)));
    bytes[..2].copy_from_slice(&7_u16.to_be_bytes());
    let refused = PermissionRecord::decode(&bytes).unwrap_err();
    let said = format!("the record is of version 7, this relay reads versions up to {VERSION}");
    assert_eq!(refused.to_string(), said);
    for unknown in [0, VERSION + 1] {
        assert_eq!(record.encode_as(unknown, &mut [0; 100]), None);
    }
}

#[cfg(feature = "next-record-version")]
#[test]
fn a_former_relay_s_record_lacks_what_that_did_not_know() {
    let record = AllocationRecord { novelty: Novelty(7), ..longest() };
    let former = encoded_as(VERSION - 1, &record);
    assert_eq!(former.len() + 4, encoded(&record).len());
    assert_eq!(AllocationRecord::decode(&former), Ok(AllocationRecord { novelty: Novelty(0), ..record }));
}

/// One in which everything is as long as it can be.
fn longest() -> AllocationRecord {
    let longest_name = "\u{10ffff}".repeat(LONGEST_NAME / 4);
    let socket = SocketAddr::V6(SocketAddrV6::new([0x2001_u16; 8].into(), 1, 2, 3));
    let ip = |family| match family {
        AddressFamily::V4 => IpAddr::from([203, 0, 113, 1]),
        AddressFamily::V6 => socket.ip(),
    };
    AllocationRecord {
        id: AllocationId { slot: 1, generation: 2 },
        five_tuple: FiveTuple {
            client: ClientAddr::new(socket),
            server: ServerAddr::new(socket),
            transport: Transport::Tls,
        },
        relayed: PerFamily::from_fn(|family| {
            let address = RelayAddress { bind: ip(family), advertised: ip(family) };
            Some(RelayedRecord { address, port: RelayPort::new(50_000), expires: Monotonic::default() })
        }),
        created: Monotonic::default(),
        owner: Owner {
            user: UserId::time_limited(&longest_name),
            name: OwnerName::Username(longest_name.as_bytes().into()),
            key: Key::long_term_sha256(b"alice", b"example.org", b"wonderland"),
            algorithm: Algorithm::Sha256,
            realm: Realm::new(&"\u{10ffff}".repeat(127)).unwrap(),
        },
        origin: Origin {
            transaction: TransactionId::new([7; 12]),
            lifetime: 600,
            reservation: Some(ReservationToken([7; 8])),
            refused: Some((AddressFamily::V6, Refusal::InsufficientCapacity)),
        },
        #[cfg(feature = "next-record-version")]
        novelty: Novelty(7),
    }
}

#[test]
fn the_longest_allocation_takes_what_it_says() {
    // An IPv4 address is twelve bytes shorter than the IPv6 one that there might be for all it is known.
    assert_eq!(encoded(&longest()).len(), AllocationRecord::MAX_LEN - 2 * 12);
}

#[test]
fn a_name_that_nobody_could_have_is_refused() {
    let mut record = longest();
    record.owner.user = UserId::long_term(&"a".repeat(LONGEST_NAME + 1));
    let mut cell = vec![0; 2 * AllocationRecord::MAX_LEN];
    let length = record.encode(&mut cell).unwrap();
    assert_eq!(AllocationRecord::decode(&cell[..length]), Err(Unreadable::Value("user")));
}

#[test]
fn an_allocation_without_a_relayed_address_is_refused() {
    let record = AllocationRecord { relayed: PerFamily::default(), ..longest() };
    assert_eq!(AllocationRecord::decode(&encoded(&record)), Err(Unreadable::Value("relayed address")));
}

#[test]
fn no_key_is_shown() {
    let (shown, record) = (format!("{:?}", longest()), longest());
    let key = record.owner.key.expose().unwrap();
    assert!(shown.contains("Key(..)") && !shown.contains(&format!("{key:?}")), "{shown}");
}

fn time() -> impl Strategy<Value = Monotonic> {
    any::<u64>().prop_map(Monotonic::from_nanos)
}

fn id() -> impl Strategy<Value = AllocationId> {
    any::<(u32, u32)>().prop_map(|(slot, generation)| AllocationId { slot, generation })
}

fn transaction() -> impl Strategy<Value = TransactionId> {
    any::<[u8; 12]>().prop_map(TransactionId::new)
}

/// With flow and scope, if it is IPv6.
fn socket() -> impl Strategy<Value = SocketAddr> {
    any::<SocketAddr>()
}

fn five_tuple() -> impl Strategy<Value = FiveTuple> {
    let transport = select(vec![Transport::Udp, Transport::Tcp, Transport::Tls]);
    (socket(), socket(), transport).prop_map(|(client, server, transport)| FiveTuple {
        client: ClientAddr::new(client),
        server: ServerAddr::new(server),
        transport,
    })
}

fn relay_address() -> impl Strategy<Value = RelayAddress> {
    any::<(IpAddr, IpAddr)>().prop_map(|(bind, advertised)| RelayAddress { bind, advertised })
}

fn relayed() -> impl Strategy<Value = PerFamily<Option<RelayedRecord>>> {
    let of =
        |bind: IpAddr, advertised: IpAddr| (Just(RelayAddress { bind, advertised }), any::<u16>(), time());
    let relayed = |(address, port, expires)| RelayedRecord { address, port: RelayPort::new(port), expires };
    let v4 =
        any::<[[u8; 4]; 2]>().prop_flat_map(move |[bind, advertised]| of(bind.into(), advertised.into()));
    let v6 =
        any::<[[u8; 16]; 2]>().prop_flat_map(move |[bind, advertised]| of(bind.into(), advertised.into()));
    let both = (option::of(v4.prop_map(relayed)), option::of(v6.prop_map(relayed)));
    both.prop_map(|(v4, v6)| PerFamily { v4, v6 })
        .prop_filter("one at least", |relayed| relayed.present().next().is_some())
}

fn user() -> impl Strategy<Value = UserId> {
    (any::<bool>(), ".{0,40}").prop_map(|(long_term, name)| match long_term {
        true => UserId::long_term(&name),
        false => UserId::time_limited(&name),
    })
}

fn owner() -> impl Strategy<Value = Owner> {
    let name = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|name| OwnerName::Username(name.into())),
        any::<[u8; 32]>().prop_map(OwnerName::Userhash),
    ];
    let algorithm = select(vec![Algorithm::Md5, Algorithm::Sha256]);
    (user(), name, algorithm, "[a-z]{1,20}", "[a-z]{1,20}").prop_map(
        |(user, name, algorithm, realm, password)| {
            let derive = match algorithm {
                Algorithm::Md5 => Key::long_term_md5,
                Algorithm::Sha256 => Key::long_term_sha256,
            };
            let key = derive(b"user", realm.as_bytes(), password.as_bytes());
            Owner { user, name, key, algorithm, realm: Realm::new(&realm).unwrap() }
        },
    )
}

fn origin() -> impl Strategy<Value = Origin> {
    let refused = (select(AddressFamily::BOTH.to_vec()), select(Refusal::ALL.to_vec()));
    let token = any::<[u8; 8]>().prop_map(ReservationToken);
    (transaction(), any::<u32>(), option::of(token), option::of(refused)).prop_map(
        |(transaction, lifetime, reservation, refused)| Origin {
            transaction,
            lifetime,
            reservation,
            refused,
        },
    )
}

fn allocation() -> impl Strategy<Value = AllocationRecord> {
    (id(), five_tuple(), relayed(), time(), owner(), origin()).prop_map(
        |(id, five_tuple, relayed, created, owner, origin)| AllocationRecord {
            id,
            five_tuple,
            relayed,
            created,
            owner,
            origin,
            #[cfg(feature = "next-record-version")]
            novelty: Novelty(id.slot),
        },
    )
}
