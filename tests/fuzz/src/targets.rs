//! What is fed, with what, and where to begin.

use crate::{charts, documents, expressions, git, index, outside, registry};

/// An engine's door for input from outside.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of its language.
    pub words: &'static [&'static str],
    /// Feeds it.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "template-parser",
        seeds: charts::templates,
        words: charts::TEMPLATE_WORDS,
        run: charts::parse_template,
    },
    Target {
        name: "template-executor",
        seeds: charts::templates,
        words: charts::TEMPLATE_WORDS,
        run: charts::execute_template,
    },
    Target {
        name: "chart-archive",
        seeds: charts::archives,
        words: charts::ARCHIVE_WORDS,
        run: charts::read_archive,
    },
    Target {
        name: "kustomize",
        seeds: documents::kustomizations,
        words: documents::KUSTOMIZE_WORDS,
        run: documents::build_kustomization,
    },
    Target {
        name: "yaml",
        seeds: documents::documents,
        words: documents::YAML_WORDS,
        run: documents::read_yaml,
    },
    Target { name: "artifact", seeds: outside::tars, words: outside::TAR_WORDS, run: outside::unpack },
    Target {
        name: "envsubst",
        seeds: outside::variables,
        words: outside::VARIABLE_WORDS,
        run: outside::substitute,
    },
    Target { name: "ignore", seeds: outside::ignores, words: outside::IGNORE_WORDS, run: outside::ignore },
    Target { name: "sops", seeds: outside::secrets, words: outside::SOPS_WORDS, run: outside::decrypt },
    Target {
        name: "registry",
        seeds: outside::registries,
        words: outside::OCI_WORDS,
        run: outside::registry,
    },
    Target {
        name: "image-markers",
        seeds: outside::markers,
        words: outside::MARKER_WORDS,
        run: outside::set_images,
    },
    Target {
        name: "cel",
        seeds: expressions::cel,
        words: expressions::CEL_WORDS,
        run: expressions::evaluate,
    },
    Target {
        name: "patterns",
        seeds: expressions::patterns,
        words: expressions::PATTERN_WORDS,
        run: expressions::match_pattern,
    },
    Target {
        name: "set-values",
        seeds: expressions::settings,
        words: expressions::SET_WORDS,
        run: expressions::set_values,
    },
    Target { name: "helm-index", seeds: index::indexes, words: index::WORDS, run: index::look_up },
    Target { name: "git-listing", seeds: git::listings, words: git::LISTING_WORDS, run: git::list },
    Target { name: "git-fetch", seeds: git::fetches, words: git::FETCH_WORDS, run: git::fetch },
    Target { name: "git-pack", seeds: git::packs, words: git::PACK_WORDS, run: git::read_pack },
    Target { name: "registry-answers", seeds: registry::answers, words: registry::WORDS, run: registry::ask },
];

/// Texts as inputs.
pub(crate) fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
