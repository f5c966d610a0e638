//! One line of an ignore file.

use crate::glob::Glob;

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// Components of the directory in which the pattern applies.
    scope: Vec<Vec<u8>>,
    includes: bool,
    directory_only: bool,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    /// No slash inside: compared with every component.
    Name(Glob),
    /// A slash inside: compared from the scope on, segment by segment.
    Path(Vec<Segment>),
    /// A glob that cannot be read matches nothing.
    Nothing,
}

#[derive(Debug, Clone)]
enum Segment {
    /// Between two slashes there is nothing.
    Empty,
    /// `**`: any number of components.
    AnyDepth,
    Glob(Glob),
}

impl Pattern {
    pub(super) fn parse(line: &[u8], directory: &[u8]) -> Self {
        let scope = directory.split(|b| *b == b'/').filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect();
        let (includes, mut text) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if !text.ends_with(b"\\ ") {
            while let Some(rest) = text.strip_suffix(b" ") {
                text = rest;
            }
        }
        let (directory_only, text) = match text.strip_suffix(b"/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let shape = if text.contains(&b'/') {
            let segments = text.split(|b| *b == b'/').map(parse_segment).collect::<Option<Vec<_>>>();
            segments.map_or(Shape::Nothing, Shape::Path)
        } else {
            Glob::parse(text).map_or(Shape::Nothing, Shape::Name)
        };
        Pattern { scope, includes, directory_only, shape }
    }

    pub(super) fn includes(&self) -> bool {
        self.includes
    }

    pub(super) fn matches(&self, path: &[&[u8]], is_directory: bool) -> bool {
        if path.len() <= self.scope.len() || self.scope.iter().zip(path).any(|(scope, c)| scope != c) {
            return false;
        }
        let path = &path[self.scope.len()..];
        match &self.shape {
            Shape::Name(glob) => path
                .iter()
                .position(|name| glob.matches(name))
                .is_some_and(|at| !self.directory_only || is_directory || at + 1 < path.len()),
            Shape::Path(segments) => match_path(segments, path)
                .is_some_and(|rest| !self.directory_only || is_directory || rest > 0),
            Shape::Nothing => false,
        }
    }
}

fn parse_segment(text: &[u8]) -> Option<Segment> {
    if text.is_empty() {
        return Some(Segment::Empty);
    }
    if text == b"**" {
        return Some(Segment::AnyDepth);
    }
    // Glued to other text, two stars never match.
    if text.windows(2).any(|pair| pair == b"**") {
        return None;
    }
    Glob::parse(text).map(Segment::Glob)
}

/// How many components remain below the match. After `**` the first component that fits is taken for good;
/// the reference does not try a later one.
fn match_path(segments: &[Segment], mut path: &[&[u8]]) -> Option<usize> {
    let mut matched = false;
    let mut any_depth = false;
    for (index, segment) in segments.iter().enumerate() {
        match segment {
            Segment::Empty => any_depth = false,
            Segment::AnyDepth if index + 1 == segments.len() => break,
            Segment::AnyDepth => any_depth = true,
            Segment::Glob(glob) => {
                let (first, rest) = path.split_first()?;
                if any_depth {
                    any_depth = false;
                    match path.iter().position(|name| glob.matches(name)) {
                        Some(at) => {
                            matched = true;
                            path = &path[at + 1..];
                        }
                        None => {
                            matched = false;
                            path = &[];
                        }
                    }
                } else if glob.matches(first) {
                    matched = true;
                    path = rest;
                } else {
                    return None;
                }
            }
        }
    }
    matched.then_some(path.len())
}
