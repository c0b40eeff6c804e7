//! The rate that packets are costed at, found before anything is measured, so that nobody chooses it by
//! hand: of a fixed ladder, one step below the highest that every compared server keeps up with.

/// The rates that are tried, in packets a second.
pub const LADDER: [f64; 9] =
    [100_000.0, 70_000.0, 50_000.0, 35_000.0, 25_000.0, 17_000.0, 12_000.0, 8_000.0, 5_000.0];

/// How often a server may fail at a rate before the rate is given up: one hiccup of the machine is not
/// the server's.
const ATTEMPTS: usize = 2;

/// One step below the highest rate that all of `servers` keep up with, so that no hiccup costs the slowest
/// of them packets; the lowest rate if there is none.
///
/// Who failed at one rate is asked first at the next.
///
/// # Errors
/// The first of `keeps_up`.
pub fn comfortable<E>(
    servers: usize,
    mut keeps_up: impl FnMut(usize, f64) -> Result<bool, E>,
) -> Result<f64, E> {
    let mut order: Vec<usize> = (0..servers).collect();
    let mut rates = LADDER.into_iter();
    let least = LADDER.last().copied().unwrap_or_default();
    while let Some(rate) = rates.next() {
        let mut failed = None;
        for (place, &server) in order.iter().enumerate() {
            let mut kept = false;
            for _ in 0..ATTEMPTS {
                kept = kept || keeps_up(server, rate)?;
            }
            if !kept {
                failed = Some(place);
                break;
            }
        }
        match failed {
            Some(place) => order.rotate_left(place),
            None => return Ok(rates.next().unwrap_or(least)),
        }
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comfortable_for(limits: &[f64]) -> f64 {
        comfortable(limits.len(), |server, rate| Ok::<_, ()>(rate <= limits[server])).unwrap()
    }

    #[test]
    fn the_slowest_server_decides() {
        assert_eq!(comfortable_for(&[200_000.0, 51_000.0, 80_000.0]), 35_000.0);
        assert_eq!(comfortable_for(&[26_000.0, 51_000.0, 80_000.0]), 17_000.0);
        assert_eq!(comfortable_for(&[200_000.0]), 70_000.0);
    }

    #[test]
    fn the_lowest_rate_is_taken_where_somebody_keeps_up_with_none() {
        assert_eq!(comfortable_for(&[200_000.0, 0.0]), 5_000.0);
    }

    #[test]
    fn one_hiccup_decides_nothing() {
        let mut first = true;
        let hiccup = |_, _| Ok::<_, ()>(!std::mem::take(&mut first));
        assert_eq!(comfortable(3, hiccup), Ok(70_000.0));
    }
}
