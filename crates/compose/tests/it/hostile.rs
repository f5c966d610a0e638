use super::*;

/// A tar.gz; a content that begins with `-> ` makes a symlink.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        let link = content.strip_prefix("-> ");
        header.set_size(if link.is_some() { 0 } else { content.len() as u64 });
        if let Some(target) = link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_link_name(target).unwrap();
        }
        header.set_cksum();
        let content = if link.is_some() { &[][..] } else { content.as_bytes() };
        tar.append(&header, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn what_cannot_be_done_is_told_with_both_paths() {
    for (operation, expected) in [
        (copy("@git/../x", "@artifact/"), "path '../x' must stay within its root"),
        (copy("@git//etc/passwd", "@artifact/"), "path '/etc/passwd' must stay within its root"),
        (copy("@git/a.yaml", "@artifact/../x"), "path '../x' must stay within its root"),
        (copy("@git/a.yaml", "@artifact//x"), "path '/x' must stay within its root"),
        (copy("@git/a.yaml", "@elsewhere/x"), "'@elsewhere/x' is not of the form"),
        (copy("@other/a.yaml", "@artifact/"), "source alias 'other' not found"),
        (copy("@git/b.yaml", "@artifact/"), "source 'b.yaml' does not exist"),
        (copy("@git/*.txt", "@artifact/"), "no files match pattern '*.txt' in source 'git'"),
        (copy("@git/[", "@artifact/"), "invalid pattern '['"),
        (
            without(&["*"], "@git/*", "@artifact/"),
            "all files matching pattern '*' in source 'git' were excluded",
        ),
        (without(&["{"], "@git/*", "@artifact/"), "invalid pattern '{': a brace is not closed"),
        (
            with(Strategy::Extract, "@git/a.yaml", "@artifact/"),
            "requires tarball file (.tar.gz or .tgz), got 'a.yaml'",
        ),
        (with(Strategy::Extract, "@git/d", "@artifact/"), "not supported for directories, got 'd'"),
    ] {
        let work = Work::new(&[("git/a.yaml", "a"), ("git/d/b", "b")]);
        let error = chain(&work.compose(std::slice::from_ref(&operation)).unwrap_err());
        let head =
            format!("failed to apply copy operation from '{}' to '{}': ", operation.from, operation.to);
        assert!(error.starts_with(&head) && error.contains(expected), "{error}");
    }
}

#[test]
fn links_of_a_source_are_not_followed() {
    let work = Work::new(&[("git/a.yaml", "a")]);
    let root = &work.sources["git"];
    std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", root.join("folder")).unwrap();
    assert!(work.compose(&[copy("@git/link", "@artifact/")]).is_err());
    let files = work.compose(&[copy("@git/", "@artifact/"), copy("@git/*", "@artifact/")]).unwrap();
    assert_eq!(files, [("a.yaml".to_owned(), "a".to_owned())]);
}

#[test]
fn archives_with_links_or_escapes_are_refused() {
    for files in [&[("link", "-> /etc/passwd")], &[("../escape", "x")], &[("/absolute", "x")]] {
        let work = Work::new(&[("git/a.yaml", "a")]);
        fs::write(work.sources["git"].join("x.tgz"), archive(files)).unwrap();
        let error = work.compose(&[with(Strategy::Extract, "@git/x.tgz", "@artifact/")]).unwrap_err();
        assert!(
            chain(&error).contains("failed to extract tarball 'x.tgz': archive entry"),
            "{}",
            chain(&error)
        );
    }
}

#[test]
fn what_is_no_map_is_not_merged() {
    let work = Work::new(&[("git/list.yaml", "- 1\n"), ("git/map.yaml", "a: 1\n"), ("git/bad.yaml", "{")]);
    for over in ["list", "bad"] {
        let from = format!("@git/{over}.yaml");
        let operations = [copy("@git/map.yaml", "@artifact/x"), with(Strategy::Merge, &from, "@artifact/x")];
        let error = chain(&work.compose(&operations).unwrap_err());
        assert!(error.contains(&format!("failed to merge '{over}.yaml': ")), "{error}");
    }
}
