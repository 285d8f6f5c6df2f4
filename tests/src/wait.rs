//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two looks at a condition that cannot wake us.
const STEP: Duration = Duration::from_millis(10);

/// Looks until there is something.
///
/// # Errors
/// When the look fails, or after `limit`; the error names what was waited for.
pub fn until_some<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if started.elapsed() > limit {
            bail!("{what} did not come within {limit:?}");
        }
        std::thread::sleep(STEP);
    }
}
