//! Hours of ordinary life in minutes: everything changes all the time, nothing fails, and memory must not grow.

use crate::changes::Changes;
use crate::fleet::Fleet;
use crate::parts::Parts;
use crate::say;
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks at the memory.
const STEP: Duration = Duration::from_secs(5);
/// How much shorter the intervals are than the ten minutes that people have.
const COMPRESSED: f64 = 120.0;
/// Growth between the second quarter and the last one that is no accident: this share, and so many MiB.
const SHARE: f64 = 0.1;
const FLOOR: f64 = 3.0;

/// Changes things for so long and returns what has grown.
pub(crate) async fn soak(
    fleet: &Fleet,
    parts: &Parts,
    changes: &mut Changes,
    random: &mut fastrand::Rng,
    time: Duration,
) -> Result<Vec<String>> {
    let begin = Instant::now();
    let mut memory: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    while begin.elapsed() < time {
        let step = Instant::now();
        while step.elapsed() < STEP {
            changes.make(random, fleet).await?;
            // The pace of the changes.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        for part in &parts.all {
            for (index, replica) in part.replicas.iter().enumerate() {
                let resident = replica.usage()?.resident as f64 / f64::from(1 << 20);
                memory.entry(format!("{}/{index}", part.name)).or_default().push(resident);
            }
        }
    }
    let hours = begin.elapsed().as_secs_f64() * COMPRESSED / 3600.0;
    say(&format!(
        "{hours:.1} hours in {:.0} s, intervals of 5 s in the place of 10 m",
        begin.elapsed().as_secs_f64()
    ));
    let mut grown = Vec::new();
    for (name, samples) in memory {
        let quarter = samples.len() / 4;
        if quarter == 0 {
            continue;
        }
        let mean = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
        let (second, last) =
            (mean(&samples[quarter..2 * quarter]), mean(&samples[samples.len() - quarter..]));
        let slope = (last - second) / (hours * 0.625);
        let text = format!(
            "{name:<26} first {:.1} MiB, in the middle {:.1}, last {:.1}; second quarter {second:.1}, last quarter {last:.1}: {slope:+.2} MiB an hour",
            samples[0],
            samples[samples.len() / 2],
            samples[samples.len() - 1],
        );
        say(&text);
        if last - second > second * SHARE + FLOOR {
            grown.push(format!("memory grows: {text}"));
        }
    }
    Ok(grown)
}
