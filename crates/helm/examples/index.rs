//! Converts a large index and looks a chart up in it: `index FILE CHART VERSION`, or `index --make VERSIONS FILE` to write
//! one. Prints what it cost, for the benchmark.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

use std::fs::File;
use std::io::{BufWriter, Seek as _, Write as _};

use sluice_helm::index::{choose, stored};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--make", versions, file] => make(versions.parse().unwrap(), file),
        [file, chart, version] => look_up(file, chart, version),
        _ => println!("index FILE CHART VERSION | index --make VERSIONS FILE"),
    }
}

/// An index as helm writes it: 100 charts, about 1.5 kB for each version.
fn make(versions: usize, file: &str) {
    let mut out = BufWriter::new(File::create(file).unwrap());
    writeln!(out, "apiVersion: v1\nentries:").unwrap();
    for chart in 0..100 {
        writeln!(out, "  chart-{chart}:").unwrap();
        for version in 0..versions / 100 {
            writeln!(
                out,
                "  - annotations:\n      category: Database\n      images: |\n{}    apiVersion: v2\n    appVersion: 1.{version}.0\n    \
                 created: \"2026-01-01T00:00:00.000000000Z\"\n    description: A chart of the benchmark, described in some words\n    \
                 digest: {:064x}\n    home: https://charts.example.test\n    keywords:\n    - one\n    - two\n    maintainers:\n    \
                 - email: someone@example.test\n      name: Someone\n    name: chart-{chart}\n    urls:\n    \
                 - chart-{chart}-1.{version}.0.tgz\n    version: 1.{version}.0",
                "        - name: image\n          image: registry.example.test/library/image:1.0.0\n".repeat(14),
                version,
            )
            .unwrap();
        }
    }
    writeln!(out, "generated: \"2026-01-01T00:00:00Z\"").unwrap();
}

fn look_up(file: &str, chart: &str, version: &str) {
    let idle = status("VmRSS:");
    let (mut input, mut scratch) = (File::open(file).unwrap(), tempfile::tempfile().unwrap());
    let mut index = tempfile::tempfile().unwrap();
    let begin = std::time::Instant::now();
    let converted = stored::convert(&mut input, &mut scratch, BufWriter::new(&mut index)).unwrap();
    let stored_in = begin.elapsed();
    index.rewind().unwrap();
    let versions = stored::find(&mut index, chart).unwrap().unwrap();
    let found = choose(&versions, chart, version).unwrap();
    println!(
        "{} of {} charts, {} versions: stored in {stored_in:.2?}, found after {:.2?}; {} KiB above idle at most",
        found.metadata.version,
        converted.charts,
        converted.versions,
        begin.elapsed(),
        status("VmHWM:") - idle
    );
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
