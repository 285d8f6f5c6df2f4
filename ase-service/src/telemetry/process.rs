//! What this process uses of the machine, read from `/proc` and the file system at each scrape.

use std::path::Path;

/// Resident memory in bytes.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Open file descriptors.
#[must_use]
pub fn open_descriptors() -> Option<u64> {
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?;
    // The folder itself is open while it is counted.
    u64::try_from(descriptors.count().saturating_sub(1)).ok()
}

/// Most file descriptors that may be open.
#[must_use]
pub fn most_descriptors() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Bytes that this user may still write to the file system of a file.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_answers_with_plausible_numbers() {
        assert!(resident_bytes().unwrap() > 100_000);
        assert!((3..1_000_000).contains(&open_descriptors().unwrap()));
        assert!(most_descriptors().unwrap() >= open_descriptors().unwrap());
        assert!(free_bytes(Path::new("/proc/self/status")).is_some());
        assert_eq!(free_bytes(Path::new("/no/such/file")), None);
    }
}
