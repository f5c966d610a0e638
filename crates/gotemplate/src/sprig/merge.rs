//! Merging maps as mergo does, quirks included.

use super::defaults::is_empty;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::value::{Map, Value};

const DEEPEST: u32 = 200;

/// Merges the source into the target: what the target lacks or has empty; with `overwrite` all.
pub(super) fn merge(
    ctx: &mut Ctx<'_>,
    target: &Map,
    source: &Map,
    overwrite: bool,
    depth: u32,
) -> Result<(), Failure> {
    if depth > DEEPEST {
        return Err("maps are nested too deeply to be merged".into());
    }
    if target.is_same(source) {
        return Ok(());
    }
    let entries = source.entries();
    ctx.spend(entries.len() as u64)?;
    for (key, value) in entries {
        let old = target.get(&key);
        if value.is_nil() {
            // A nil overwrites, and is otherwise passed over.
            if overwrite {
                target.insert(key, Value::Nil);
            }
            continue;
        }
        let old_is_set = old.as_ref().is_some_and(|old| !is_empty(old));
        match (&value, &old) {
            (Value::Map(inner), Some(Value::Map(old))) => {
                merge(ctx, old, inner, overwrite, depth + 1)?;
                if !old.is_empty() {
                    continue;
                }
            }
            (Value::List(_), _) if old_is_set && !overwrite => continue,
            _ => {}
        }
        if overwrite || !old_is_set {
            ctx.note_insert(target, &value);
            target.insert(key, value);
        }
    }
    Ok(())
}
