//! The same chart and values give the same bytes in every thread and in every process.

use std::process::Command;

use crate::charts::{case_named, outcome};

/// Set in the processes that a test starts: they print what they rendered.
const PRINTS: &str = "SLUICE_TEST_PRINTS_RENDERING";
const RUNS: usize = 20;

fn rendering() -> String {
    let case = case_named("shapes");
    case.sets.values().map(|set| outcome(&case, set)).collect()
}

#[test]
fn twenty_processes_print_the_same_bytes() {
    if std::env::var_os(PRINTS).is_some() {
        println!("<rendering>{}</rendering>", rendering());
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let name = "determinism::twenty_processes_print_the_same_bytes";
    let here = rendering();
    for run in 0..RUNS {
        let output = Command::new(&program)
            .args(["--exact", name, "--nocapture"])
            .env(PRINTS, "1")
            .output()
            .expect("this program runs");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        let rendered =
            printed.split_once("<rendering>").and_then(|(_, rest)| rest.split_once("</rendering>"));
        assert_eq!(rendered.map(|(text, _)| text), Some(&*here), "run {run}");
    }
}

#[test]
fn twenty_threads_render_the_same_bytes() {
    let here = rendering();
    let threads: Vec<_> = (0..RUNS).map(|_| std::thread::spawn(rendering)).collect();
    for thread in threads {
        assert_eq!(thread.join().expect("a thread"), here);
    }
}
