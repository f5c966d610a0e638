//! The functions of sprig, as far as helm keeps them.

mod cases;
mod convert;
mod crypto;
mod dates;
mod decimal;
mod defaults;
mod dicts;
mod encoding;
mod lists;
mod merge;
mod numbers;
mod paths;
mod patterns;
mod random;
mod strings;
mod urls;
mod versions;
mod words;

use crate::func::Func;

/// All functions.
pub(crate) fn all() -> impl Iterator<Item = &'static Func> {
    let tables = [
        strings::FUNCS,
        convert::FUNCS,
        numbers::FUNCS,
        defaults::FUNCS,
        lists::FUNCS,
        dicts::FUNCS,
        paths::FUNCS,
        encoding::FUNCS,
        dates::FUNCS,
        patterns::FUNCS,
        versions::FUNCS,
        urls::FUNCS,
        random::FUNCS,
    ];
    tables.into_iter().chain(crypto::TABLES).flatten()
}
