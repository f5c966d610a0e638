//! Git's protocol: packet lines, what the server offers, listing, fetching. It does not know how bytes travel.

pub(crate) mod advertisement;
pub(crate) mod fetch;
pub(crate) mod packet;
pub(crate) mod refs;
