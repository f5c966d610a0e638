//! The functions of sprig, as far as helm keeps them.

mod cases;
mod convert;
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

/// All tables; a later one wins.
pub(crate) static TABLES: &[&[Func]] = &[
    strings::FUNCS,
    words::FUNCS,
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
