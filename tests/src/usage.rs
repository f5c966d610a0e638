//! What a process has cost so far.

use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;

/// CPU time and memory of one process, from `/proc`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time since its start.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub resident: u64,
    /// The most it ever had resident, in bytes.
    pub peak: u64,
}

impl Usage {
    /// Of the process `id`.
    pub fn of(id: u32) -> Result<Self> {
        let stat =
            fs::read_to_string(format!("/proc/{id}/stat")).with_context(|| format!("no process {id}"))?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        Ok(Self {
            cpu: cpu(&stat).context("unknown format of /proc/…/stat")?,
            resident: memory(&status, "VmRSS:").context("no VmRSS")?,
            peak: memory(&status, "VmHWM:").context("no VmHWM")?,
        })
    }
}

/// Fields 14 and 15, counted after the command's name, which may itself hold spaces and brackets. Linux counts them in
/// hundredths of a second for programs, whatever the kernel does inside.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

fn memory(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(memory("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n", "VmHWM:"), Some(2 << 20));
        assert_eq!(memory("Name:\tx\n", "VmHWM:"), None);
    }

    #[test]
    fn this_very_process_can_be_measured() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.peak >= usage.resident && usage.resident > 0, "{usage:?}");
    }
}
