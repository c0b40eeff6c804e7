//! Starts of frames that clients with an allocation leave behind cost a bounded total and nobody else's
//! service.

use std::io::Write;
use std::net::TcpStream;

use crate::support::{ALICE, Client, Daemon, StreamWire, is_closed, peer, receive, wait_until};
use turn_client::{Path, channel_data};

const CHANNEL: u16 = 0x4000;
const HOLDERS: usize = 150;
static PAYLOAD: [u8; 60_000] = [1; 60_000];
/// Bytes of its frame that each holder sends.
const HELD: usize = PAYLOAD.len() / 2;
/// `limits.streams.buffers`: room for a few of them.
const BUFFERS: usize = 256 * 1024;
/// What every connection may have.
const LEAST: usize = 4096;

fn daemon() -> Daemon {
    Daemon::serve(&format!(
        "{ALICE}
        listeners = [{{ transport = 'tcp', address = '127.0.0.1:0' }}]
        limits.user = {{ allocations = 1000 }}
        limits.streams = {{ frame_deadline = '1h', buffers = {BUFFERS}, write_buffer = 65552 }}"
    ))
}

#[test]
fn share_one_total_and_everybody_else_is_served() {
    let (daemon, peer) = (daemon(), peer());
    let relay = daemon.address("tcp");
    let mut holders: Vec<_> = (0..HOLDERS).map(|_| Client::tcp(relay)).collect();
    let relayed: Vec<_> = holders
        .iter_mut()
        .map(|holder| {
            let relayed = holder.allocate();
            holder.bind(CHANNEL, peer.local_addr().unwrap());
            relayed
        })
        .collect();
    let before = daemon.resident_bytes();

    let frame = channel_data(CHANNEL, &PAYLOAD, Path::Stream);
    let (nearly_all, end) = frame.split_at(frame.len() - 4);
    let waiting = || daemon.metric("edgerelay_waiting_stream_bytes", &[]) as usize;
    let (first, others) = holders.split_first_mut().unwrap();
    first.wire.stream.write_all(nearly_all).unwrap();
    wait_until("nearly all of the first frame to be held", || waiting() >= nearly_all.len());
    for holder in others {
        // The relay may close it before it has everything.
        let _ = holder.wire.stream.write_all(&frame[..HELD]);
    }
    let closed = || daemon.metric("edgerelay_rejected_connections_total", &["reason=\"crowded\""]);
    let kept = BUFFERS / HELD;
    wait_until("those that do not fit to be closed", || closed() as usize >= HOLDERS - kept);
    assert!((HELD..BUFFERS + HELD).contains(&waiting()), "{} bytes are held", waiting());
    let grown = daemon.resident_bytes().saturating_sub(before);
    assert!(grown < 2 << 20, "{grown} bytes more for {HOLDERS} halves of {HELD} bytes");

    // Another one is served all the same, its frames in pieces, too.
    let mut other = Client::tcp(relay);
    let other_relayed = other.allocate();
    other.bind(CHANNEL, peer.local_addr().unwrap());
    let small = channel_data(CHANNEL, &[2; LEAST - 4], Path::Stream);
    other.wire.stream.write_all(&small[..LEAST - 4]).unwrap();
    other.wire.stream.write_all(&small[LEAST - 4..]).unwrap();
    assert_eq!(receive(&peer), (vec![2; LEAST - 4], other_relayed));

    // Who was there first has its whole frame relayed, and just those that were counted see their end.
    holders[0].wire.stream.write_all(end).unwrap();
    assert_eq!(receive(&peer), (PAYLOAD.to_vec(), relayed[0]));
    let see_end = |holder: &mut Client<StreamWire<TcpStream>>| {
        holder.wire.stream.set_nonblocking(true).unwrap();
        u64::from(is_closed(&mut holder.wire.stream))
    };
    assert_eq!(holders.iter_mut().map(see_end).sum::<u64>(), closed());
    drop(holders);
    drop(other);
    wait_until("nothing to be held", || waiting() == 0);
}
