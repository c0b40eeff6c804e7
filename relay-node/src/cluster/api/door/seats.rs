//! Room for connections: who is known keeps its seat, who is not gives way to who comes later.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

/// The connections that there are, the oldest first. Dropping them ends them.
pub(super) struct Seats {
    most: usize,
    taken: VecDeque<Seat>,
}

/// Whether the caller of a connection has shown that it may call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proven(Arc<AtomicBool>);

struct Seat {
    connection: JoinHandle<()>,
    proven: Proven,
}

impl Proven {
    /// From now on the connection keeps its seat.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: VecDeque::new() }
    }

    /// Runs a connection, if there is a seat or a stranger has one.
    pub(super) fn take<F>(&mut self, connection: impl FnOnce(Proven) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.taken.retain(|seat| !seat.connection.is_finished());
        if self.taken.len() >= self.most {
            let stranger = self.taken.iter().position(|seat| !seat.proven.is_set());
            let Some(seat) = stranger.and_then(|oldest| self.taken.remove(oldest)) else { return false };
            seat.connection.abort();
        }
        let proven = Proven::default();
        let connection = tokio::spawn(connection(proven.clone()));
        self.taken.push_back(Seat { connection, proven });
        true
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        for seat in &self.taken {
            seat.connection.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    /// A connection that goes on for ever, and what tells of its end.
    fn seated(seats: &mut Seats, known: bool) -> Option<oneshot::Receiver<()>> {
        let (alive, ended) = oneshot::channel();
        let taken = seats.take(|proven| async move {
            if known {
                proven.set();
            }
            let _alive: oneshot::Sender<()> = alive;
            pending().await
        });
        taken.then_some(ended)
    }

    #[tokio::test]
    async fn the_oldest_stranger_gives_way() {
        let mut seats = Seats::new(3);
        let known = seated(&mut seats, true).unwrap();
        let stranger = seated(&mut seats, false).unwrap();
        let later = seated(&mut seats, false).unwrap();
        tokio::task::yield_now().await;
        seated(&mut seats, false).unwrap();
        assert!(stranger.await.is_err());
        for mut stays in [known, later] {
            assert_eq!(stays.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        }
    }

    #[tokio::test]
    async fn who_is_known_is_never_put_out() {
        let mut seats = Seats::new(2);
        let known = [seated(&mut seats, true).unwrap(), seated(&mut seats, true).unwrap()];
        tokio::task::yield_now().await;
        assert!(seated(&mut seats, true).is_none());
        for mut stays in known {
            assert_eq!(stays.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        }
    }

    #[tokio::test]
    async fn a_seat_is_free_when_its_connection_has_ended() {
        let mut seats = Seats::new(1);
        for _ in 0..10 {
            let (done, ended) = oneshot::channel();
            let taken = seats.take(|proven| async move {
                proven.set();
                let _ = done.send(());
            });
            assert!(taken);
            ended.await.unwrap();
            tokio::task::yield_now().await;
        }
    }
}
