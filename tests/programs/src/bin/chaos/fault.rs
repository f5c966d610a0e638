//! What goes wrong.

use crate::fleet::{Fleet, LINKS};
use crate::parts::{NOTIFICATION, Parts, SOURCE};
use crate::watch::Watch;
use anyhow::Result;
use fastrand::Rng;
use sluice_tests::{ApiFault, LinkState};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heal {
    Launch(usize, usize),
    StartPart(&'static str),
    Link(usize),
    Calm(usize),
    Door(usize),
    Disk,
}

/// After how many further faults, and how.
type Heals = Vec<(usize, Heal)>;

/// Kinds of faults, and how often they are chosen. Those that cost most of the machine come seldom.
const KINDS: [(&str, u32); 13] = [
    ("a controller killed", 16),
    ("both replicas of a controller killed", 5),
    ("a leader asked to end", 5),
    ("the API server killed", 3),
    ("etcd killed", 2),
    ("a link cut", 12),
    ("a link slow", 8),
    ("a link stalled", 6),
    ("watches expired", 8),
    ("API errors", 12),
    ("the way to the API server cut", 6),
    ("a file of a controller corrupted", 12),
    ("the disk full", 5),
];

/// Makes one fault, chosen by chance. Returns its kind, what it is, and how it is mended.
pub(crate) async fn inject(
    random: &mut Rng,
    parts: &mut Parts,
    fleet: &Fleet,
    watch: &Watch,
) -> Result<(&'static str, String, Heals)> {
    let all: u32 = KINDS.iter().map(|(_, weight)| weight).sum();
    let mut ticket = random.u32(..all);
    let kind = KINDS.iter().position(|(_, weight)| {
        let found = ticket < *weight;
        ticket = ticket.saturating_sub(*weight);
        found
    });
    let kind = kind.unwrap_or_default();
    // All choices are made here, whatever becomes of them: the next ones must not depend on the moment.
    let (part, replica, steps) = (random.usize(..parts.all.len()), random.usize(..2), random.usize(1..=4));
    let (link, call, number) = (random.usize(..LINKS), random.usize(..4), random.u64(..));
    let name = parts.all[part].name;
    let (what, heals) = match kind {
        0 => {
            kill(parts, watch, part, replica);
            (format!("kill -9 {name}/{replica}"), vec![(steps - 1, Heal::Launch(part, replica))])
        }
        1 => {
            for replica in 0..2 {
                kill(parts, watch, part, replica);
            }
            let heals = (0..2).map(|replica| (steps + replica - 1, Heal::Launch(part, replica))).collect();
            (format!("kill -9 both {name}"), heals)
        }
        2 => {
            let one = &mut parts.all[part];
            let leads = usize::from(!leads(one).await);
            if one.replicas[leads].is_running() {
                watch.ended(name);
                let end = tokio::task::block_in_place(|| one.replicas[leads].terminate());
                one.down[leads] = true;
                if let Err(error) = end {
                    crate::say(&format!("      {error:#}"));
                }
            }
            (format!("SIGTERM to the leading {name}"), vec![(steps, Heal::Launch(part, leads))])
        }
        3 | 4 => {
            let name = if kind == 3 { "kube-apiserver" } else { "etcd" };
            // It is down already, or has just come up: then there is nothing to kill.
            fleet.plane.kill_part(name)?;
            watch.ended("kube-apiserver");
            (format!("kill -9 {name}"), vec![(steps, Heal::StartPart(name))])
        }
        5..8 => {
            let state = [
                LinkState::Cut,
                LinkState::Slow(Duration::from_millis(20 + number % 400)),
                LinkState::Stalled,
            ];
            let state = state[kind - 5];
            let (name, one) = fleet.links.all()[link];
            one.set(state);
            (format!("{state:?}: {name}"), vec![(steps, Heal::Link(link))])
        }
        8 => {
            for part in &parts.all {
                part.proxy.expire_watches();
            }
            ("all watches expire".into(), Vec::new())
        }
        9 => {
            let faults = [
                ApiFault::Status([409, 500, 503][number as usize % 3]),
                ApiFault::Throttle(1),
                ApiFault::LoseAnswer,
                ApiFault::Delay(Duration::from_millis(number % 1500)),
            ];
            let times = 3 + number as usize % 20;
            parts.all[part].proxy.disturb(faults[call], times, |_| true);
            watch.ended("api of one");
            (
                format!("{:?} for {times} requests of {name}/0", faults[call]),
                vec![(steps + 2, Heal::Calm(part))],
            )
        }
        10 => {
            parts.all[part].proxy.down().await;
            parts.all[part].cut = true;
            (format!("no way to the API server for {name}/0"), vec![(steps, Heal::Door(part))])
        }
        11 => (corrupt(parts, number)?, Vec::new()),
        _ => {
            if parts.disk.shared.is_none() {
                parts.disk.fill()?;
            }
            ("the disk is full".into(), vec![(steps, Heal::Disk)])
        }
    };
    if part == NOTIFICATION {
        parts.lead_events(fleet);
    }
    Ok((KINDS[kind].0, what, heals))
}

async fn leads(part: &crate::parts::Part) -> bool {
    let metrics = part.replicas[0].metrics().await.unwrap_or_default();
    metrics.lines().any(|line| line.starts_with("leader_election_master_status{") && line.ends_with(" 1"))
}

fn kill(parts: &mut Parts, watch: &Watch, part: usize, replica: usize) {
    watch.ended(parts.all[part].name);
    let one = &mut parts.all[part];
    one.replicas[replica].kill();
    one.down[replica] = true;
}

/// Damages one file that a source-controller or an image-controller keeps.
fn corrupt(parts: &Parts, number: u64) -> Result<String> {
    let mut files = Vec::new();
    for part in [&parts.all[SOURCE], &parts.all[4]] {
        for replica in &part.replicas {
            collect(&replica.storage(), &mut files);
        }
    }
    files.sort();
    if files.is_empty() {
        return Ok("there is no file to damage".into());
    }
    let file = &files[number as usize / 3 % files.len()];
    let name = file.strip_prefix(parts.disk.path()).unwrap_or(file).display().to_string();
    // It may go while we are at it: then there was nothing to damage.
    match number % 3 {
        0 => drop(fs::remove_file(file)),
        1 => drop(fs::OpenOptions::new().write(true).open(file).and_then(|open| open.set_len(number % 50))),
        _ => {
            if let Ok(mut bytes) = fs::read(file)
                && !bytes.is_empty()
            {
                let at = number as usize % bytes.len();
                bytes[at] ^= 0x55;
                let _ = fs::write(file, bytes);
            }
        }
    }
    Ok(format!("{} {name}", ["removed", "cut", "changed"][number as usize % 3]))
}

fn collect(folder: &std::path::Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

/// Mends what a fault has done.
pub(crate) async fn heal(heal: Heal, parts: &mut Parts, fleet: &Fleet) -> Result<()> {
    match heal {
        Heal::Launch(part, replica) => {
            let one = &mut parts.all[part];
            if one.down[replica] {
                one.down[replica] = false;
                one.replicas[replica].launch()?;
            }
            if part == NOTIFICATION {
                parts.lead_events(fleet);
            }
        }
        Heal::StartPart(name) => fleet.plane.start_part(name)?,
        Heal::Link(link) => fleet.links.all()[link].1.set(LinkState::Up),
        Heal::Calm(part) => parts.all[part].proxy.calm(),
        Heal::Door(part) => {
            if std::mem::take(&mut parts.all[part].cut) {
                parts.all[part].proxy.up().await?;
            }
        }
        Heal::Disk => parts.disk.free(),
    }
    Ok(())
}
