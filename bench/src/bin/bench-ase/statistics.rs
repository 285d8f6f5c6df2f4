//! Medians and spreads of a handful of rounds. Assumes at least one value.

/// The middle value, or the mean of the middle two.
pub(crate) fn median(values: &[f64]) -> f64 {
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

/// Lowest and highest value.
pub(crate) fn spread(values: &[f64]) -> String {
    let sorted = sorted(values);
    let (low, high) = (
        sorted.first().unwrap_or(&f64::NAN),
        sorted.last().unwrap_or(&f64::NAN),
    );
    let digits = if *high < 100.0 { 1 } else { 0 };
    format!("({low:.digits$} to {high:.digits$})")
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
