//! The target for indexes of Helm repositories, which a server writes.

use std::io::Cursor;

use crate::targets::bytes;
use sluice_helm::index::{Index, stored};

pub(crate) const WORDS: &[&str] = &[
    "entries:\n",
    "apiVersion: v1\n",
    "  app:\n",
    "  - name: app\n",
    "    version: 1.2.3\n",
    "    urls: [a.tgz]\n",
    "    version: \"1.x\"\n",
    "    digest: 00\n",
    "    created: 2020-01-01T00:00:00Z\n",
    "    dependencies:\n    - name: b\n",
    "  - ",
    "\n",
    "  ",
    "---\n",
    "&a ",
    "*a",
    "<<: ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "\u{feff}",
    "\r\n",
    "\t",
    "\\u0000",
    "\\ud800",
    "{\"apiVersion\":\"v1\",\"entries\":{\"app\":[",
    "# ",
];

pub(crate) fn indexes() -> Vec<Vec<u8>> {
    bytes(&[
        "apiVersion: v1\nentries:\n  app:\n  - apiVersion: v2\n    name: app\n    version: 1.2.3\n    urls:\n    - https://h/app-1.2.3.tgz\n    created: \"2020-01-01T00:00:00Z\"\n  - name: app\n    version: 1.3.0-rc.1\n    urls: [app.tgz]\n    description: |\n      a\n      b\ngenerated: \"2020-01-01T00:00:00Z\"\n",
        r#"{"apiVersion":"v1","entries":{"app":[{"name":"app","version":"1.2.3","urls":["a.tgz"],"digest":"00","keywords":["x"]},null,{"name":"app","version":"0.1.0","urls":[]}],"b":[]},"generated":"x"}"#,
        "apiVersion: v1\nentries: {app: [{name: app, version: 2.0.0, urls: [x]}]}\n",
    ])
}

/// Converts the index and looks a chart up; what is found is what a reader of the whole finds.
pub(crate) fn look_up(input: &[u8]) {
    let (mut scratch, mut out) = (Cursor::new(Vec::new()), Vec::new());
    let converted = stored::convert(&mut Cursor::new(input), &mut scratch, &mut out);
    let whole = Index::parse(input);
    for range in ["", "1.2.3", ">=0.1.0-0", "*"] {
        let found = converted.is_ok().then(|| stored::find(&mut Cursor::new(&out), "app", range));
        let wanted = whole.as_ref().map(|index| index.get("app", range));
        if let (Some(Ok(found)), Ok(Ok(wanted))) = (found, wanted) {
            assert_eq!(
                (found.metadata.version, found.urls),
                (wanted.metadata.version.clone(), wanted.urls.clone())
            );
        }
    }
}
