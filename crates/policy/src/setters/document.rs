//! The scalars of a file with their places and the objects that they are in.

use std::sync::Arc;

use sluice_yaml::Dialect;
use sluice_yaml::Style;
use sluice_yaml::event::{EventKind, Events};

use super::ObjectId;

/// What is longer names no object; every change of a file would repeat it.
const LONGEST_NAME: usize = 512;

/// A scalar.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// Where it begins and ends in the text, with anchor and tag.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The line that it begins in as the reader counts, from 1: for messages.
    pub(super) line: usize,
    pub(super) value: String,
    pub(super) style: Style,
    /// Whether it has an anchor or a tag.
    pub(super) decorated: bool,
    pub(super) role: Role,
    pub(super) object: Arc<ObjectId>,
}

/// What a scalar is to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Key,
    Value,
    Item,
    Root,
}

enum Frame {
    Mapping { key: Option<String>, expects_key: bool },
    Sequence,
}

/// An object in the making: the document, or an item of a list.
struct Owner {
    id: ObjectId,
    /// The scalars from here on are in it.
    first: usize,
    /// How many frames are around it.
    depth: usize,
}

/// All scalars of a text. The error names the line.
pub(super) fn scalars(text: &str) -> Result<Vec<Scalar>, String> {
    let mut events = Events::new(text, Dialect::V3);
    let mut scalars: Vec<Scalar> = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    let mut owners: Vec<Owner> = Vec::new();
    let nothing = Arc::new(ObjectId::default());
    while let Some(event) = events.next_event().map_err(|error| error.to_string())? {
        match event.kind {
            EventKind::DocumentStart { .. } => {
                owners.push(Owner { id: ObjectId::default(), first: scalars.len(), depth: 0 });
            }
            EventKind::DocumentEnd { .. } => settle(&mut owners, &mut scalars),
            EventKind::MappingStart { .. } => {
                take_place(&mut frames);
                if is_list_item(&frames) {
                    owners.push(Owner { id: ObjectId::default(), first: scalars.len(), depth: frames.len() });
                }
                frames.push(Frame::Mapping { key: None, expects_key: true });
            }
            EventKind::SequenceStart { .. } => {
                take_place(&mut frames);
                frames.push(Frame::Sequence);
            }
            EventKind::MappingEnd => {
                frames.pop();
                if owners.len() > 1 && owners.last().is_some_and(|owner| owner.depth == frames.len()) {
                    settle(&mut owners, &mut scalars);
                }
            }
            EventKind::SequenceEnd => {
                frames.pop();
            }
            EventKind::Alias(_) => take_place(&mut frames),
            EventKind::Scalar { properties, value, style } => {
                let role = match frames.last() {
                    None => Role::Root,
                    Some(Frame::Sequence) => Role::Item,
                    Some(Frame::Mapping { expects_key: true, .. }) => Role::Key,
                    Some(Frame::Mapping { .. }) => Role::Value,
                };
                if role == Role::Value {
                    identify(&mut owners, &frames, &value);
                }
                if let (Role::Key, Some(Frame::Mapping { key, .. })) = (role, frames.last_mut()) {
                    *key = Some(value.clone().into_owned());
                }
                take_place(&mut frames);
                scalars.push(Scalar {
                    start: event.start.offset,
                    end: event.end.offset,
                    line: event.start.line + 1,
                    value: value.into_owned(),
                    style,
                    decorated: properties.anchor.is_some() || properties.tag.is_some(),
                    role,
                    object: Arc::clone(&nothing),
                });
            }
            EventKind::StreamStart | EventKind::StreamEnd => {}
        }
    }
    Ok(scalars)
}

/// A node stands where the frame expects one.
fn take_place(frames: &mut [Frame]) {
    if let Some(Frame::Mapping { expects_key, .. }) = frames.last_mut() {
        *expects_key = !*expects_key;
    }
}

/// Whether the next node is an item of the `items` of a document.
fn is_list_item(frames: &[Frame]) -> bool {
    matches!(frames, [Frame::Mapping { key: Some(key), .. }, Frame::Sequence] if key == "items")
}

/// Takes in a value that may say what the object is.
fn identify(owners: &mut [Owner], frames: &[Frame], value: &str) {
    let Some(owner) = owners.last_mut() else { return };
    if value.len() > LONGEST_NAME {
        return;
    }
    let key = |at: usize| match frames.get(owner.depth + at) {
        Some(Frame::Mapping { key, .. }) => key.as_deref().unwrap_or_default(),
        Some(Frame::Sequence) | None => "",
    };
    let field = match (frames.len().saturating_sub(owner.depth), key(0), key(1)) {
        (1, "apiVersion", _) => &mut owner.id.api_version,
        (1, "kind", _) => &mut owner.id.kind,
        (2, "metadata", "name") => &mut owner.id.name,
        (2, "metadata", "namespace") => &mut owner.id.namespace,
        _ => return,
    };
    value.clone_into(field);
}

/// The innermost object is over: what is in it is its own.
fn settle(owners: &mut Vec<Owner>, scalars: &mut [Scalar]) {
    let Some(owner) = owners.pop() else { return };
    let id = Arc::new(owner.id);
    for scalar in &mut scalars[owner.first..] {
        if *scalar.object == ObjectId::default() {
            scalar.object = Arc::clone(&id);
        }
    }
}
