//! From a connection's bytes to frames, past what comes before them.

use turn::{Client, ClientAddr, Now, ServerAddr};

use crate::net::poll::Poller;
use crate::worker::token::Path;

use super::buffers::LEAST;
use super::connection::{Connection, Layer, Received};
use super::handshake::{Step, Taken};
use super::source::Source;
use super::{Cause, Streams, proxy};

impl Streams {
    /// There is something to read.
    pub(in crate::worker) fn note_ready(&mut self, index: usize) {
        self.ready.add(index);
    }

    /// The connection that has waited longest to be read from.
    pub(in crate::worker) fn next_ready(&mut self) -> Option<usize> {
        self.ready.next()
    }

    /// Reads from a connection into `scratch`; also whose packets they are. None while there is
    /// something before them: a PROXY header, a handshake.
    pub(in crate::worker) fn read(
        &mut self,
        index: usize,
        scratch: &mut [u8],
        poller: &Poller,
    ) -> Option<(Client, Received)> {
        let connection = self.connections.get_mut(index)?;
        if connection.is_ending {
            return None;
        }
        if let Layer::Away = connection.layer {
            // Only that it broke is told while its handshake is elsewhere.
            self.doom(index, Cause::Gone);
            return None;
        }
        if let Err(cause) = take_header(connection) {
            self.doom(index, cause);
            return None;
        }
        if connection.proxy.is_some() {
            return None;
        }
        if let Err(end) = connection.decide() {
            self.doom(index, end.into());
            return None;
        }
        match connection.read_handshake() {
            Ok(None) => {}
            Ok(Some(tls)) => {
                let (serial, source) = (connection.serial, Source::of(connection.client.get().ip()));
                self.update_interest(index, poller);
                if let Some(step) = self.handshakes.push(source, Step { index, serial, tls }) {
                    self.doomed.push((step.index, step.serial, Cause::Refused));
                }
                return None;
            }
            Err(end) => {
                self.doom(index, end.into());
                return None;
            }
        }
        if !connection.is_open() {
            return None;
        }
        let received = connection.read(scratch, &mut self.buffers);
        // TLS has something to say for itself.
        let has_outgoing = connection.has_outgoing();
        let client = Client {
            five_tuple: connection.five_tuple(),
            path: Path::Connection(index).pack(),
            entrance: connection.entrance,
        };
        if has_outgoing {
            self.queued.add(index);
        }
        Some((client, received))
    }

    /// Goes on with a handshake.
    pub(in crate::worker) fn take_back(&mut self, taken: Taken, poller: &Poller) {
        self.handshakes.came_back();
        let Taken { step: Step { index, serial, tls }, result } = taken;
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.serial != serial {
            return;
        }
        connection.layer = Layer::Tls(tls);
        if result.is_err() {
            // The alert says why.
            let _ = connection.flush(&mut self.buffers);
            self.doom(index, Cause::Invalid);
            return;
        }
        self.queued.add(index);
        self.update_interest(index, poller);
        // The first packets may have come with the end of the handshake.
        self.note_ready(index);
    }

    /// Keeps `half`, the start of a frame, after `frames` whole ones, and moves the deadline.
    pub(in crate::worker) fn keep(
        &mut self,
        index: usize,
        half: &[u8],
        frames: usize,
        proven: bool,
        now: Now,
    ) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.place.set_allocation(proven);
        // More is only kept for a client that has an allocation.
        if half.len() > LEAST && !proven {
            self.doom(index, Cause::Invalid);
            return;
        }
        if !self.buffers.allow_half(half.len()) {
            self.doom(index, Cause::Crowded);
            return;
        }
        if frames > 0 {
            connection.place.note_activity();
        }
        if !half.is_empty() {
            self.buffers.append(&mut connection.half, half);
        }
        connection.has_spoken |= frames > 0;
        // The deadline of a first frame, or of a half one, does not move until it is whole.
        if frames == 0 {
            let began = connection.has_spoken && !half.is_empty();
            if !began || connection.deadline_is_for_half {
                return;
            }
        }
        let patience = if half.is_empty() { self.limits.idle_deadline } else { self.limits.frame_deadline };
        connection.deadline_is_for_half = !half.is_empty();
        let due = now.monotonic.after(patience);
        self.deadlines.set(&mut connection.deadline, index, connection.serial, due);
    }
}

/// Reads on in the PROXY header, if there is one, and says who the connection is between.
fn take_header(connection: &mut Connection) -> Result<(), Cause> {
    let Some(header) = &mut connection.proxy else { return Ok(()) };
    let Some(ends) = header.read(&connection.socket).map_err(|proxy::Garbled| Cause::Invalid)? else {
        return Ok(());
    };
    let (client, server) = ends.unwrap_or((connection.client.get(), connection.server.get()));
    connection.proxy = None;
    connection.client = ClientAddr::new(client);
    connection.server = ServerAddr::new(server);
    if connection.place.move_to(client.ip()) && connection.place.claim((client, server)) {
        Ok(())
    } else {
        Err(Cause::Refused)
    }
}
