//! One target for some time.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Finding, Target, run};

/// An input that has not come back after this time never will.
const NEVER: Duration = Duration::from_mins(2);

/// What came of feeding a target. Its text is the line of the report.
pub struct Campaign {
    target: &'static str,
    first: u64,
    inputs: u64,
    elapsed: Duration,
    /// What the target did not bear; the campaign ended with it.
    pub finding: Option<Finding>,
}

/// Feeds a target for `time`, beginning with the seed `first`; ends with the first input that it does not bear. An input
/// that never comes back ends the process, with its seed as the last word.
pub fn campaign(target: &Target, time: Duration, first: u64) -> Campaign {
    let begin = Instant::now();
    let seed = Arc::new(AtomicU64::new(first));
    let watchdog = Watchdog::over(target.name, &seed);
    let finding = loop {
        let at = seed.load(Ordering::Relaxed);
        if let Err(found) = run(target, at) {
            break Some(found);
        }
        seed.store(at + 1, Ordering::Relaxed);
        if begin.elapsed() >= time {
            break None;
        }
    };
    drop(watchdog);
    let inputs = seed.load(Ordering::Relaxed) - first;
    Campaign { target: target.name, first, inputs, elapsed: begin.elapsed(), finding }
}

/// Ends the process when a seed stays the same for too long. Lives as long as the other end of its clock.
struct Watchdog(std::sync::mpsc::Sender<()>);

impl Watchdog {
    fn over(name: &'static str, seed: &Arc<AtomicU64>) -> Self {
        let (alive, gone) = std::sync::mpsc::channel();
        let seed = Arc::clone(seed);
        std::thread::spawn(move || {
            let (mut last, mut since) = (seed.load(Ordering::Relaxed), Instant::now());
            while gone.recv_timeout(Duration::from_secs(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                let now = seed.load(Ordering::Relaxed);
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if since.elapsed() > NEVER {
                    let _ = writeln!(std::io::stdout().lock(), "{name}: seed {now} never comes back");
                    std::process::exit(1);
                }
            }
        });
        Self(alive)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // It ends by itself as well, when the channel is closed.
        let _ = self.0.send(());
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, first, inputs, elapsed, finding } = self;
        let (seconds, last) = (elapsed.as_secs_f64(), first + inputs.saturating_sub(1));
        write!(out, "{target:<18} {inputs:>8} inputs in {seconds:>6.1} s, seeds {first} to {last}: ")?;
        match finding {
            None => write!(out, "no crash"),
            Some(Finding { seed, problem, input }) => {
                write!(out, "seed {seed} {problem}\n{}", input.escape_ascii())
            }
        }
    }
}
