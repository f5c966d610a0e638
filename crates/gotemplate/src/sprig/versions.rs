//! Semantic versions.

use std::any::Any;
use std::cmp::Ordering;

use sluice_semver::{Constraints, Version};

use crate::args::text;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Class, Int, IntKind, Method, Object, ObjectKind, Str, Type, Value};

const S: Type = Type::STRING;
const VERSION: Type = Type::new("*semver.Version", Class::Nillable);
const UINT64: Type = Type::new("uint64", Class::Int(IntKind::Uint64));

pub(super) static FUNCS: &[Func] = &[
    Func::new("semver", &[S], VERSION, |_, args| {
        let version = Version::parse(&text(&args[0]).to_text()).map_err(|error| error.to_string())?;
        Ok(Value::object(Semver(version)))
    }),
    Func::new("semverCompare", &[S, S], Type::BOOL, |_, args| {
        let constraints = Constraints::parse(&text(&args[0]).to_text()).map_err(|error| error.to_string())?;
        let version = Version::parse(&text(&args[1]).to_text()).map_err(|error| error.to_string())?;
        Ok(Value::Bool(constraints.check(&version)))
    }),
];

struct Semver(Version);

fn version(value: &Value) -> Option<&Version> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<Semver>().map(|semver| &semver.0),
        _ => None,
    }
}

type Call = fn(&mut Ctx<'_>, &Value, &mut [Value]) -> Result<Value, Failure>;

const fn method(name: &'static str, params: &'static [Type], result: Type, call: Call) -> Method {
    Method { name, params, variadic: false, result, call }
}

macro_rules! of_version {
    ($name:literal, $result:expr, |$version:ident| $body:expr) => {
        method($name, &[], $result, |_, receiver, _| {
            Ok(version(receiver).map_or(Value::Missing, |$version| $body))
        })
    };
}

const fn number(value: u64) -> Value {
    Value::Int(Int::new(IntKind::Uint64, value as i64))
}

macro_rules! compared {
    ($name:literal, $test:expr) => {
        method($name, &[VERSION], Type::BOOL, |_, receiver, args| {
            let order = compare(receiver, &args[0])?;
            let test: fn(Ordering) -> bool = $test;
            Ok(Value::Bool(test(order)))
        })
    };
}

fn compare(left: &Value, right: &Value) -> Result<Ordering, Failure> {
    match (version(left), version(right)) {
        (Some(left), Some(right)) => Ok(left.cmp(right)),
        _ => Err(crate::args::NIL_DEREFERENCE.into()),
    }
}

fn changed(changed: Option<Version>, receiver: &Value) -> Value {
    changed.map_or_else(|| receiver.clone(), |version| Value::object(Semver(version)))
}

const METHODS: &[Method] = &[
    of_version!("Major", UINT64, |version| number(version.major())),
    of_version!("Minor", UINT64, |version| number(version.minor())),
    of_version!("Patch", UINT64, |version| number(version.patch())),
    of_version!("Prerelease", S, |version| version.prerelease().into()),
    of_version!("Metadata", S, |version| version.metadata().into()),
    of_version!("Original", S, |version| version.original().into()),
    of_version!("String", S, |version| version.to_string().into()),
    method("Compare", &[VERSION], Type::INT, |_, receiver, args| {
        Ok(Value::int(compare(receiver, &args[0])? as i64))
    }),
    compared!("Equal", |order| order == Ordering::Equal),
    compared!("LessThan", |order| order == Ordering::Less),
    compared!("LessThanEqual", |order| order != Ordering::Greater),
    compared!("GreaterThan", |order| order == Ordering::Greater),
    compared!("GreaterThanEqual", |order| order != Ordering::Less),
    method("IncMajor", &[], Type::new("semver.Version", Class::Struct), |_, receiver, _| {
        Ok(changed(version(receiver).and_then(Version::increment_major), receiver))
    }),
    method("IncMinor", &[], Type::new("semver.Version", Class::Struct), |_, receiver, _| {
        Ok(changed(version(receiver).and_then(Version::increment_minor), receiver))
    }),
    method("IncPatch", &[], Type::new("semver.Version", Class::Struct), |_, receiver, _| {
        Ok(changed(version(receiver).and_then(Version::increment_patch), receiver))
    }),
];

impl Object for Semver {
    fn type_name(&self) -> &'static str {
        VERSION.name
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::Pointer
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn print(&self) -> Str {
        self.0.to_string().into()
    }

    fn has_string_method(&self) -> bool {
        true
    }

    fn fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let version = &self.0;
        Some(vec![
            ("major", number(version.major())),
            ("minor", number(version.minor())),
            ("patch", number(version.patch())),
            ("pre", version.prerelease().into()),
            ("metadata", version.metadata().into()),
            ("original", version.original().into()),
        ])
    }

    fn copied(&self) -> Option<Value> {
        // Its fields are private: the copy has none of them.
        Some(Value::object(Self(Version::new(0, 0, 0))))
    }

    fn to_plain(&self) -> Value {
        self.0.to_string().into()
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| {
            self.0.cmp(&other.0) == Ordering::Equal
                && self.0.metadata() == other.0.metadata()
                && self.0.original() == other.0.original()
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
