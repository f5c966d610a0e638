//! The same chart and values give the same bytes in every thread and in every process.

use std::process::Command;

use sluice_gotemplate::SystemHost;
use sluice_helm::chart::{File, load_files};
use sluice_helm::render::TemplateCache;
use sluice_helm::template::render_chart_cached;
use sluice_helm::{TemplateOptions, Values};

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

/// A chart with many templates that say the same; the last is `end`.
fn large(end: &str, cache: Option<&TemplateCache>) -> Result<String, String> {
    let mut files = vec![
        File::new("Chart.yaml", "apiVersion: v2\nname: large\nversion: 0.1.0\n".as_bytes()),
        File::new("templates/_all.tpl", "{{ define \"all\" }}{{ .Template.Name }}{{ end }}".as_bytes()),
        File::new("templates/a.yaml", end.as_bytes()),
    ];
    for index in 0..200 {
        let text = format!(
            "kind: ConfigMap\nmetadata: {{name: n{index}}}\ntext: {{{{ include \"all\" . }}}}\n{}",
            "{{ if .Values.never }}x{{ end }}# A line of some length that stands here.\n".repeat(10)
        );
        files.push(File::new(format!("templates/t{index}.yaml"), text.as_bytes()));
    }
    let mut chart = load_files(files).map_err(|error| error.to_string())?;
    let options = TemplateOptions::default();
    let rendered = render_chart_cached(&mut chart, &Values::new(), &options, &mut SystemHost, None, cache);
    Ok(rendered.map_err(|error| error.to_string())?.manifest())
}

#[test]
fn templates_parsed_as_they_are_executed_render_what_kept_ones_render() {
    // A cache has all parsed before anything is executed.
    for (end, good) in
        [("kind: Last", true), ("{{ fail \"no\" }}", false), ("{{ if }}", false), ("a: [", false)]
    {
        let one = large(end, Some(&TemplateCache::new(1)));
        assert_eq!(one.is_ok(), good, "{end}");
        assert_eq!(large(end, None), one, "{end}");
    }
}
