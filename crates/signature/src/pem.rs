//! Blocks of PEM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The contents of all blocks with this label, in their order. Blocks that are not base64 are left out.
pub(crate) fn blocks(text: &str, label: &str) -> Vec<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let bodies = text.split(begin.as_str()).skip(1).filter_map(|rest| rest.split_once(end.as_str()));
    let decode = |body: &str| STANDARD.decode(body.split_whitespace().collect::<String>()).ok();
    bodies.filter_map(|(body, _)| decode(body)).collect()
}
