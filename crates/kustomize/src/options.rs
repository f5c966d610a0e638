//! How to build.

/// Which files a kustomization may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRestriction {
    /// Those in its own directory and below.
    #[default]
    RootOnly,
    /// Any that the file system gives.
    None,
}

/// The order of the result where the root file does not set one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reorder {
    /// By kind, namespaces first.
    #[default]
    Legacy,
    /// As it was gathered.
    None,
}

/// What a custom schema does to the built-in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CustomSchema {
    /// Takes its place, as in the kustomize command.
    #[default]
    Replaces,
    /// Adds to it, as in Flux.
    Extends,
}

/// Options of a build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which files a kustomization may name.
    pub load_restriction: LoadRestriction,
    /// The order of the result.
    pub reorder: Reorder,
    /// What `openapi.path` does.
    pub custom_schema: CustomSchema,
    /// Whether to label all resources as managed by kustomize.
    pub managed_by_label: bool,
    /// Whether a null label or annotation deletes the key also in patches with a target, where the reference
    /// makes it the text `null`.
    pub null_deletes_metadata: bool,
    /// Whether a list element without the key that its list merges by is an error. The reference silently loses
    /// elements then; the kustomize command is followed in that, Flux's profile is not.
    pub refuse_keyless_elements: bool,
    /// Whether helm charts were asked for: they are refused with other words then.
    pub enable_helm: bool,
    /// How many resources a build may gather.
    pub max_resources: Option<usize>,
}

impl Options {
    /// As the kustomize command builds.
    pub fn cli() -> Self {
        Self::default()
    }

    /// As Flux builds: the file system confines, nothing is sorted.
    pub fn flux() -> Self {
        Self {
            load_restriction: LoadRestriction::None,
            reorder: Reorder::None,
            custom_schema: CustomSchema::Extends,
            refuse_keyless_elements: true,
            ..Self::default()
        }
    }
}
