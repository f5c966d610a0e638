//! Converts an index into its stored form: `index FILE [ROUNDS]`, for measuring.

use std::fs::File;
use std::io::{self, BufWriter, Error, Write as _};
use std::time::Instant;

use sluice_helm::index::stored;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "index.yaml".to_owned());
    let rounds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    for _ in 0..rounds {
        let begin = Instant::now();
        let (mut input, mut scratch) = (File::open(&path)?, tempfile::tempfile()?);
        let out = BufWriter::with_capacity(64 * 1024, tempfile::tempfile()?);
        let converted = stored::convert(&mut input, &mut scratch, out).map_err(Error::other)?;
        let (charts, versions) = (converted.charts, converted.versions);
        writeln!(io::stdout(), "{versions} versions of {charts} charts in {:?}", begin.elapsed())?;
    }
    Ok(())
}
