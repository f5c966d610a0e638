//! `.Release` and `.Capabilities`.

use std::any::Any;
use std::rc::Rc;

use sluice_gotemplate::{Class, Ctx, Failure, Method, Object, ObjectKind, Str, Type, Value};

use super::ReleaseOptions;
use crate::capabilities::{Capabilities, HelmVersion, KubeVersion};

pub(super) fn release(options: &ReleaseOptions) -> Value {
    Value::map([
        ("Name", Value::string(options.name.as_str())),
        ("Namespace", Value::string(options.namespace.as_str())),
        ("IsUpgrade", Value::Bool(options.is_upgrade)),
        ("IsInstall", Value::Bool(!options.is_upgrade)),
        ("Revision", Value::int(options.revision)),
        ("Service", Value::string("Helm")),
    ])
}

pub(super) fn capabilities(capabilities: &Capabilities) -> Value {
    Value::object(CapabilitiesObject {
        kube_version: Rc::new(KubeVersionObject(capabilities.kube_version.clone())),
        api_versions: Rc::new(VersionSet(
            capabilities.api_versions.iter().map(|version| Str::from(version.as_str())).collect(),
        )),
        helm_version: Rc::new(HelmVersionObject(capabilities.helm_version.clone())),
    })
}

struct CapabilitiesObject {
    kube_version: Rc<KubeVersionObject>,
    api_versions: Rc<VersionSet>,
    helm_version: Rc<HelmVersionObject>,
}

impl Object for CapabilitiesObject {
    fn type_name(&self) -> &'static str {
        "*common.Capabilities"
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::Pointer
    }

    fn methods(&self) -> &'static [Method] {
        const COPY: Type = Type { name: "*common.Capabilities", class: Class::Nillable };
        &[Method {
            name: "Copy",
            params: &[],
            variadic: false,
            result: COPY,
            call: |_, this, _| Ok(this.clone()),
        }]
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "KubeVersion" => Some(Value::Object(self.kube_version.clone())),
            "APIVersions" => Some(Value::Object(self.api_versions.clone())),
            "HelmVersion" => Some(Value::Object(self.helm_version.clone())),
            _ => None,
        }
    }

    fn print(&self) -> Str {
        let version = &self.kube_version.0;
        let mut text = format!("&{{{{{}", version.version).into_bytes();
        for part in [version.text(), &version.major, &version.minor] {
            text.push(b' ');
            text.extend_from_slice(part.as_bytes());
        }
        text.extend_from_slice(b"} ");
        text.extend_from_slice(&self.api_versions.print());
        text.push(b' ');
        text.extend_from_slice(&self.helm_version.print());
        text.push(b'}');
        text.into()
    }

    /// An action follows the pointer, a function does not.
    fn print_in_place(&self) -> Option<Str> {
        Some(self.print().get(1..)?.to_vec().into())
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let names = ["KubeVersion", "APIVersions", "HelmVersion"];
        Some(names.into_iter().filter_map(|name| Some((name, self.field(name)?))).collect())
    }

    fn to_plain(&self) -> Value {
        Value::map([
            ("KubeVersion", self.kube_version.to_plain()),
            ("APIVersions", self.api_versions.to_plain()),
            ("HelmVersion", self.helm_version.to_plain()),
        ])
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other
            .as_any()
            .downcast_ref::<Self>()
            .is_some_and(|other| Rc::ptr_eq(&self.api_versions, &other.api_versions))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct KubeVersionObject(KubeVersion);

impl Object for KubeVersionObject {
    fn type_name(&self) -> &'static str {
        "common.KubeVersion"
    }

    fn methods(&self) -> &'static [Method] {
        &[
            Method {
                name: "String",
                params: &[],
                variadic: false,
                result: Type::STRING,
                call: kube_version_text,
            },
            Method {
                name: "GitVersion",
                params: &[],
                variadic: false,
                result: Type::STRING,
                call: kube_version_full,
            },
        ]
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Version" => Some(Value::string(self.0.version.as_str())),
            "Major" => Some(Value::string(self.0.major.as_str())),
            "Minor" => Some(Value::string(self.0.minor.as_str())),
            _ => None,
        }
    }

    fn print(&self) -> Str {
        let version = &self.0;
        format!("{{{} {} {} {}}}", version.version, version.text(), version.major, version.minor).into()
    }

    /// `String` is a method of the pointer: an action sees it, a function does not.
    fn print_in_place(&self) -> Option<Str> {
        Some(self.0.text().into())
    }

    fn fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let version = &self.0;
        Some(vec![
            ("Version", Value::string(version.version.as_str())),
            ("normalizedVersion", Value::string(version.text())),
            ("Major", Value::string(version.major.as_str())),
            ("Minor", Value::string(version.minor.as_str())),
        ])
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let fields = self.fields()?;
        Some(fields.into_iter().filter(|(name, _)| *name != "normalizedVersion").collect())
    }

    fn to_plain(&self) -> Value {
        plain(self, &["Version", "Major", "Minor"])
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn kube_version(value: &Value) -> Result<&KubeVersion, Failure> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<KubeVersionObject>().map(|object| &object.0),
        _ => None,
    }
    .ok_or_else(|| Failure::new("not a version"))
}

fn kube_version_text(_: &mut Ctx<'_>, this: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    kube_version(this).map(|version| Value::string(version.text()))
}

fn kube_version_full(_: &mut Ctx<'_>, this: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    kube_version(this).map(|version| Value::string(version.version.as_str()))
}

struct VersionSet(Vec<Str>);

impl Object for VersionSet {
    fn type_name(&self) -> &'static str {
        "common.VersionSet"
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::List
    }

    fn methods(&self) -> &'static [Method] {
        &[Method { name: "Has", params: &[Type::STRING], variadic: false, result: Type::BOOL, call: has }]
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        Some(
            self.0
                .iter()
                .enumerate()
                .map(|(index, version)| (Value::int(index as i64), Value::String(version.clone())))
                .collect(),
        )
    }

    fn elem(&self) -> Type {
        Type::STRING
    }

    fn print(&self) -> Str {
        let mut text = vec![b'['];
        for (index, version) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(version);
        }
        text.push(b']');
        text.into()
    }

    fn to_plain(&self) -> Value {
        Value::list(self.0.iter().map(|version| Value::String(version.clone())).collect())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn has(_: &mut Ctx<'_>, this: &Value, arguments: &mut [Value]) -> Result<Value, Failure> {
    let Value::Object(object) = this else { return Err(Failure::new("not a version set")) };
    let (Some(set), Some(Value::String(wanted))) =
        (object.as_any().downcast_ref::<VersionSet>(), arguments.first())
    else {
        return Err(Failure::new("not a version set"));
    };
    Ok(Value::Bool(set.0.contains(wanted)))
}

struct HelmVersionObject(HelmVersion);

impl Object for HelmVersionObject {
    fn type_name(&self) -> &'static str {
        "version.BuildInfo"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let text = match name {
            "Version" => &self.0.version,
            "GitCommit" => &self.0.git_commit,
            "GitTreeState" => &self.0.git_tree_state,
            "GoVersion" => &self.0.go_version,
            "KubeClientVersion" => &self.0.kube_client_version,
            _ => return None,
        };
        Some(Value::string(text.as_str()))
    }

    fn print(&self) -> Str {
        let version = &self.0;
        format!(
            "{{{} {} {} {} {}}}",
            version.version,
            version.git_commit,
            version.git_tree_state,
            version.go_version,
            version.kube_client_version
        )
        .into()
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let version = &self.0;
        let fields = [
            ("version", &version.version),
            ("git_commit", &version.git_commit),
            ("git_tree_state", &version.git_tree_state),
            ("go_version", &version.go_version),
            ("kube_client_version", &version.kube_client_version),
        ];
        let present = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Some(present.map(|(name, text)| (name, Value::string(text.as_str()))).collect())
    }

    fn to_plain(&self) -> Value {
        Value::map(self.json_fields().unwrap_or_default())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The fields under their own names.
fn plain(object: &dyn Object, fields: &[&'static str]) -> Value {
    Value::map(fields.iter().filter_map(|name| Some((*name, object.field(name)?))))
}
