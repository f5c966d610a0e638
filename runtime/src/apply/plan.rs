//! Beyond Flux: waves and hooks by annotation. Which objects of one owner are applied together, and in which order.

use std::collections::BTreeMap;

use super::Object;

/// Annotation with the wave of an object, a whole number; 0 where there is none.
pub const WAVE: &str = "sluice.dev/wave";
/// Annotation that makes an object a hook: `pre`, `post`, `fail`, or several with commas.
pub const HOOK: &str = "sluice.dev/hook";
/// Annotation that tells when a hook is deleted: `before-creation`, `succeeded`, `failed`, or several with commas.
pub const DELETE_POLICY: &str = "sluice.dev/hook-delete-policy";

/// The same annotations by the names of Argo CD.
const ARGO: [&str; 3] =
    ["argocd.argoproj.io/sync-wave", "argocd.argoproj.io/hook", "argocd.argoproj.io/hook-delete-policy"];

/// Objects that are applied together. The next step begins when they are healthy, or done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Hooks: each runs once for each content.
    Hooks(Vec<Object>),
    /// The objects of a wave.
    Wave(Vec<Object>),
}

/// What is applied, step by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// Hooks that run when a step fails.
    pub on_failure: Vec<Object>,
}

/// When a hook is deleted, apart from before it is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletePolicy {
    /// When everything went well.
    pub succeeded: bool,
    /// When something failed.
    pub failed: bool,
}

/// What an object is to the plan.
#[derive(Default)]
struct Role {
    pre: bool,
    post: bool,
    fail: bool,
    /// It is neither a hook nor applied.
    skipped: bool,
}

impl Plan {
    /// Sorts objects into steps. `argo`: the annotations of Argo CD count as well. The error names the object.
    pub fn of(objects: Vec<Object>, argo: bool) -> Result<Self, String> {
        let mut waves = BTreeMap::<i64, Vec<Object>>::new();
        let mut hooks = [BTreeMap::<i64, Vec<Object>>::new(), BTreeMap::new()];
        let mut on_failure = BTreeMap::<i64, Vec<Object>>::new();
        for object in objects {
            let wave = wave(&object, argo)?;
            let role = role(&object, argo)?;
            if role.skipped {
                continue;
            }
            delete_policy(&object, argo)?;
            for (wanted, place) in [(role.pre, 0), (role.post, 1)] {
                if wanted {
                    hooks[place].entry(wave).or_default().push(object.clone());
                }
            }
            if role.fail {
                on_failure.entry(wave).or_default().push(object);
            } else if !role.pre && !role.post {
                waves.entry(wave).or_default().push(object);
            }
        }
        let [pre, post] = hooks.map(|steps| steps.into_values().map(Step::Hooks));
        let steps = pre.chain(waves.into_values().map(Step::Wave)).chain(post).collect();
        Ok(Self { steps, on_failure: on_failure.into_values().flatten().collect() })
    }

    /// The objects that are no hooks.
    pub fn into_lasting(self) -> Vec<Object> {
        let waves = self.steps.into_iter().filter_map(|step| match step {
            Step::Wave(objects) => Some(objects),
            Step::Hooks(_) => None,
        });
        waves.flatten().collect()
    }

    /// All objects that a run without failures applies.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.steps.iter().flat_map(|step| match step {
            Step::Hooks(objects) | Step::Wave(objects) => objects,
        })
    }
}

/// The annotation of ours, else the one of Argo CD where that counts.
fn annotation<'o>(object: &'o Object, ours: &str, argo: Option<&str>) -> &'o str {
    match (object.tag("annotations", ours), argo) {
        ("", Some(argo)) => object.tag("annotations", argo),
        (found, _) => found,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn wave(object: &Object, argo: bool) -> Result<i64, String> {
    match annotation(object, WAVE, argo.then_some(ARGO[0])).trim() {
        "" => Ok(0),
        text => text
            .parse()
            .map_err(|_| format!("{}: {text:?} is no wave: it must be a whole number", object.id())),
    }
}

fn role(object: &Object, argo: bool) -> Result<Role, String> {
    let mut role = Role::default();
    for word in words(annotation(object, HOOK, argo.then_some(ARGO[1]))) {
        match word {
            "pre" | "PreSync" => role.pre = true,
            "post" | "PostSync" => role.post = true,
            "fail" | "SyncFail" => role.fail = true,
            // A hook of Argo's main phase is applied in its wave.
            "Sync" => {}
            "Skip" | "PreDelete" | "PostDelete" => role.skipped = true,
            _ => return Err(format!("{}: {word:?} is no hook: it must be pre, post or fail", object.id())),
        }
    }
    Ok(role)
}

/// When a hook is to be deleted. The error names the object.
pub fn delete_policy(object: &Object, argo: bool) -> Result<DeletePolicy, String> {
    let mut policy = DeletePolicy::default();
    for word in words(annotation(object, DELETE_POLICY, argo.then_some(ARGO[2]))) {
        match word {
            "before-creation" | "BeforeHookCreation" => {}
            "succeeded" | "HookSucceeded" => policy.succeeded = true,
            "failed" | "HookFailed" => policy.failed = true,
            _ => {
                return Err(format!(
                    "{}: {word:?} is no delete policy: it must be before-creation, succeeded or failed",
                    object.id()
                ));
            }
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, annotations: &[(&str, &str)]) -> Object {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        Object::new(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": annotations}}))
            .unwrap()
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let names =
            |objects: &[Object]| objects.iter().map(|o| o.name().to_owned()).collect::<Vec<_>>().join("+");
        plan.steps
            .iter()
            .map(|step| match step {
                Step::Hooks(objects) => format!("hooks {}", names(objects)),
                Step::Wave(objects) => format!("wave {}", names(objects)),
            })
            .collect()
    }

    #[test]
    fn hooks_frame_the_waves_and_each_is_ordered_by_its_wave() {
        let plan = Plan::of(
            vec![
                object("last", &[(WAVE, "5")]),
                object("smoke", &[(HOOK, "post")]),
                object("plain", &[]),
                object("first", &[(WAVE, "-1")]),
                object("migrate", &[(HOOK, "pre"), (WAVE, "1")]),
                object("backup", &[(HOOK, "pre")]),
                object("page", &[(HOOK, "fail")]),
                object("check", &[(HOOK, "pre,post")]),
            ],
            false,
        )
        .unwrap();
        assert_eq!(
            shown(&plan),
            [
                "hooks backup+check",
                "hooks migrate",
                "wave first",
                "wave plain",
                "wave last",
                "hooks smoke+check"
            ]
        );
        assert_eq!(plan.on_failure.len(), 1);
        assert_eq!(plan.into_lasting().len(), 3);
    }

    #[test]
    fn without_annotations_there_is_one_step() {
        let plan = Plan::of(vec![object("a", &[]), object("b", &[])], true).unwrap();
        assert_eq!(shown(&plan), ["wave a+b"]);
        assert!(Plan::of(Vec::new(), true).unwrap().steps.is_empty());
    }

    #[test]
    fn names_of_argo_count_only_where_asked_for() {
        let objects = || {
            vec![
                object("migrate", &[(ARGO[1], "PreSync"), (ARGO[2], "HookSucceeded")]),
                object("web", &[(ARGO[0], "2"), (ARGO[1], "Sync")]),
                object("never", &[(ARGO[1], "Skip")]),
            ]
        };
        assert_eq!(shown(&Plan::of(objects(), true).unwrap()), ["hooks migrate", "wave web"]);
        assert_eq!(shown(&Plan::of(objects(), false).unwrap()), ["wave migrate+web+never"]);
        assert!(delete_policy(&objects()[0], true).unwrap().succeeded);
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_the_object() {
        for (annotation, value, error) in [
            (WAVE, "soon", "Job/a: \"soon\" is no wave: it must be a whole number"),
            (HOOK, "before", "Job/a: \"before\" is no hook: it must be pre, post or fail"),
            (
                DELETE_POLICY,
                "never",
                "Job/a: \"never\" is no delete policy: it must be before-creation, succeeded or failed",
            ),
        ] {
            assert_eq!(Plan::of(vec![object("a", &[(annotation, value)])], false).unwrap_err(), error);
        }
    }
}
