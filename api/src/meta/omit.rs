//! When a field is left out on the wire: at the zero value, as Go's `omitempty` does.

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn no(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn zero(value: &i64) -> bool {
    *value == 0
}
