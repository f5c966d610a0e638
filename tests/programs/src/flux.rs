//! Figures of Flux 2.9 on two cores that also carried the control plane.

/// What was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kustomizations of a Deployment, a Service and a ConfigMap.
    Kustomizations,
    /// HelmReleases of the same.
    HelmReleases,
}

/// One run.
pub struct Flux {
    /// What was applied.
    pub kind: Kind,
    /// How many.
    pub count: usize,
    /// Seconds, and CPU seconds of both controllers together, for install, upgrade and unchanged.
    pub phases: [(f64, f64); 3],
    /// The most memory of the controller that applies and of source-controller, in MiB.
    pub peak: [u64; 2],
}

/// All runs.
pub const RUNS: [Flux; 3] = [
    Flux {
        kind: Kind::Kustomizations,
        count: 100,
        phases: [(23.2, 11.1), (30.1, 12.8), (12.5, 11.4)],
        peak: [170, 82],
    },
    Flux {
        kind: Kind::Kustomizations,
        count: 500,
        phases: [(98.6, 55.6), (137.4, 65.9), (63.4, 55.9)],
        peak: [206, 89],
    },
    Flux {
        kind: Kind::HelmReleases,
        count: 100,
        phases: [(28.5, 13.9), (35.9, 23.9), (3.2, 0.9)],
        peak: [366, 95],
    },
];

/// The run of so many.
pub fn run(kind: Kind, count: usize) -> Option<&'static Flux> {
    RUNS.iter().find(|run| run.kind == kind && run.count == count)
}

/// Flux's own published peaks for 1,000 objects on sixteen cores, in MiB: of the controller that applies.
pub fn published_peak(kind: Kind) -> u64 {
    match kind {
        Kind::Kustomizations => 223,
        Kind::HelmReleases => 361,
    }
}

/// Sizes of Flux's stripped binaries in MB: source, kustomize, helm, notification, and both image controllers together.
pub const BINARIES: [(&str, f64); 5] = [
    ("source-controller", 101.0),
    ("kustomize-controller", 86.0),
    ("helm-controller", 79.0),
    ("notification-controller", 79.0),
    ("image-controller", 121.0),
];

/// The stripped `flux` in MB.
pub const CLI: f64 = 77.0;
