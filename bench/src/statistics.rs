//! Medians and spreads of a handful of rounds. Assumes at least one value.

/// The middle value, or the mean of the middle two.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
    match sorted.len() % 2 {
        0 => f64::midpoint(
            upper,
            sorted
                .get(middle.saturating_sub(1))
                .copied()
                .unwrap_or(upper),
        ),
        _ => upper,
    }
}

/// The ratios of neighbouring rounds: what else the machine does for seconds on end is in both of a pair.
#[must_use]
pub fn ratios(over: &[f64], under: &[f64]) -> Vec<f64> {
    over.iter()
        .zip(under)
        .map(|(over, under)| over / under)
        .collect()
}

/// The median of the ratios of neighbouring rounds.
#[must_use]
pub fn paired(over: &[f64], under: &[f64]) -> f64 {
    median(&ratios(over, under))
}

/// Lowest and highest value.
#[must_use]
pub fn range(values: &[f64]) -> (f64, f64) {
    let sorted = sorted(values);
    (
        sorted.first().copied().unwrap_or(f64::NAN),
        sorted.last().copied().unwrap_or(f64::NAN),
    )
}

/// Lowest and highest value as text.
#[must_use]
pub fn spread(values: &[f64]) -> String {
    let (low, high) = range(values);
    let digits = if high < 100.0 { 1 } else { 0 };
    format!("({low:.digits$} to {high:.digits$})")
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_values_is_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }

    #[test]
    fn a_slow_minute_of_the_machine_is_not_in_a_paired_ratio() {
        let (ours, theirs) = ([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]);
        assert_eq!(paired(&ours, &theirs), 2.0);
    }

    #[test]
    fn a_spread_names_the_lowest_and_the_highest_round() {
        assert_eq!(spread(&[3.0, 1.25, 2.0]), "(1.2 to 3.0)");
        assert_eq!(range(&[3.0, 1.25, 2.0]), (1.25, 3.0));
    }
}
