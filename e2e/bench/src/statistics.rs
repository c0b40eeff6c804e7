//! Quartiles of a few figures.

/// Where a quarter, half and three quarters of some figures are not greater.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quartiles {
    /// The lower quartile.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
}

impl Quartiles {
    /// Those of `values`, interpolated where they fall between two; `None` of nothing.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| {
            let place = share * last as f64;
            let (below, above) = (values.get(place.floor() as usize)?, values.get(place.ceil() as usize)?);
            Some(below + (above - below) * place.fract())
        };
        Some(Self { lower: at(0.25)?, median: at(0.5)?, upper: at(0.75)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Option<(f64, f64, f64)> {
        Quartiles::of(values.to_vec()).map(|Quartiles { lower, median, upper }| (lower, median, upper))
    }

    #[test]
    fn quartiles_divide_the_figures_in_four() {
        assert_eq!(of(&[5.0, 1.0, 4.0, 2.0, 3.0]), Some((2.0, 3.0, 4.0)));
    }

    #[test]
    fn between_two_figures_they_are_interpolated() {
        assert_eq!(of(&[9.0, 1.0]), Some((3.0, 5.0, 7.0)));
        assert_eq!(of(&[4.0]), Some((4.0, 4.0, 4.0)));
        assert_eq!(of(&[]), None);
    }
}
