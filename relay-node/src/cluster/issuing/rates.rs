//! How often each caller may ask: the generic cell rate algorithm, with a burst of one second's worth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most that can be taken at once.
const BURST: Duration = Duration::from_secs(1);

/// What callers have taken. They are few: each is named in the configuration.
pub struct Rates {
    cost: Duration,
    paid: Mutex<HashMap<Arc<str>, Instant>>,
}

impl Rates {
    /// So many a second of each caller.
    pub fn new(per_second: u32) -> Self {
        Self { cost: BURST / per_second.max(1), paid: Mutex::default() }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long the caller has to wait.
    pub fn take(&self, caller: &Arc<str>, now: Instant) -> Result<(), Duration> {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let until = paid.entry(Arc::clone(caller)).or_insert(now);
        let next = (*until).max(now) + self.cost;
        match next.checked_duration_since(now + BURST) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *until = next;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_at_once_and_then_one_at_a_time() {
        let (rates, app, start) = (Rates::new(4), Arc::from("app"), Instant::now());
        let at = |millis| rates.take(&app, start + Duration::from_millis(millis));
        assert_eq!([at(0), at(0), at(0), at(0)], [Ok(()); 4]);
        assert_eq!(at(0), Err(Duration::from_millis(250)));
        assert_eq!(at(249), Err(Duration::from_millis(1)));
        assert_eq!(at(250), Ok(()));
        assert_eq!(at(250), Err(Duration::from_millis(250)));
    }

    #[test]
    fn one_caller_takes_nothing_from_another() {
        let (rates, now) = (Rates::new(1), Instant::now());
        assert_eq!(rates.take(&Arc::from("a"), now), Ok(()));
        assert!(rates.take(&Arc::from("a"), now).is_err());
        assert_eq!(rates.take(&Arc::from("b"), now), Ok(()));
    }

    #[test]
    fn what_is_taken_in_ten_seconds_is_ten_times_the_rate_and_one_burst() {
        for per_second in [1, 3, 7, 1000] {
            let (rates, app, start) = (Rates::new(per_second), Arc::from("app"), Instant::now());
            let taken = (0..10_000).filter(|&at| rates.take(&app, start + Duration::from_millis(at)).is_ok());
            let taken = taken.count() as u32;
            assert!((per_second * 10..=per_second * 11).contains(&taken), "{taken} of {per_second} a second");
        }
    }
}
