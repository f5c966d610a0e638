//! `.Files`: what a chart holds beside its templates.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as JsonMap, Value as Json};
use sluice_gotemplate::{Class, Ctx, Failure, Method, Object, ObjectKind, Str, Type, Value};

use super::super::document;
use crate::chart::File;
use crate::pattern::Pattern;

const FILES: Type = Type { name: "engine.files", class: Class::Nillable };

const METHODS: &[Method] = &[
    Method { name: "AsConfig", params: &[], variadic: false, result: Type::STRING, call: as_config },
    Method { name: "AsSecrets", params: &[], variadic: false, result: Type::STRING, call: as_secrets },
    Method { name: "Get", params: &[Type::STRING], variadic: false, result: Type::STRING, call: get },
    Method {
        name: "GetBytes",
        params: &[Type::STRING],
        variadic: false,
        result: Type::BYTES,
        call: get_bytes,
    },
    Method { name: "Glob", params: &[Type::STRING], variadic: false, result: FILES, call: glob },
    Method { name: "Lines", params: &[Type::STRING], variadic: false, result: Type::STRINGS, call: lines },
];

/// Files by path.
pub(super) struct Files(BTreeMap<Str, File>);

impl Files {
    pub(super) fn of(files: &[File]) -> Value {
        Value::object(Files(files.iter().map(|file| (Str::from(&*file.name), file.clone())).collect()))
    }

    fn content(&self, name: &Str) -> Str {
        self.0.get(name).map_or_else(|| Str::from(""), |file| Str::from(&*file.data))
    }

    /// Base names and texts as YAML; of files with one base name the last in order wins. Nothing where a text has
    /// characters that YAML cannot have, as helm gives nothing then.
    fn yaml(&self, text: impl Fn(&[u8]) -> String) -> Value {
        let mut map = JsonMap::new();
        for file in self.0.values() {
            let base = file.name.rsplit('/').next().unwrap_or(&file.name);
            map.insert(base.to_owned(), Json::String(text(&file.data)));
        }
        let yaml = document::to_yaml(&Json::Object(map)).unwrap_or_default();
        Value::string(yaml.strip_suffix('\n').unwrap_or(&yaml))
    }
}

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::Map
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.get(name.as_bytes()).map(|file| Value::Bytes(Str::from(file.data.shared())))
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        let entry = |(name, file): (&Str, &File)| {
            (Value::String(name.clone()), Value::Bytes(Str::from(file.data.shared())))
        };
        Some(self.0.iter().map(entry).collect())
    }

    fn elem(&self) -> Type {
        Type::BYTES
    }

    fn truth(&self) -> bool {
        !self.0.is_empty()
    }

    fn print(&self) -> Str {
        let mut text = "map[".to_owned();
        for (index, (name, file)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(&name.to_text());
            text.push_str(":[");
            for (index, byte) in file.data.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                text.push_str(&byte.to_string());
            }
            text.push(']');
        }
        text.push(']');
        text.into()
    }

    fn to_plain(&self) -> Value {
        Value::map(
            self.0.iter().map(|(name, file)| (name.clone(), Value::string(STANDARD.encode(&*file.data)))),
        )
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn files(value: &Value) -> Result<&Files, Failure> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<Files>(),
        _ => None,
    }
    .ok_or_else(|| Failure::new("not a set of files"))
}

fn name(arguments: &[Value]) -> Result<&Str, Failure> {
    arguments.first().and_then(Value::as_str).ok_or_else(|| Failure::new("a name is needed"))
}

fn get(_: &mut Ctx<'_>, this: &Value, arguments: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::String(files(this)?.content(name(arguments)?)))
}

fn get_bytes(_: &mut Ctx<'_>, this: &Value, arguments: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bytes(files(this)?.content(name(arguments)?)))
}

fn glob(_: &mut Ctx<'_>, this: &Value, arguments: &mut [Value]) -> Result<Value, Failure> {
    let all = files(this)?;
    let pattern = Pattern::parse(&name(arguments)?.to_text()).unwrap_or_else(Pattern::everything);
    let found = all.0.iter().filter(|(name, _)| pattern.matches(&name.to_text()));
    Ok(Value::Object(Rc::new(Files(found.map(|(name, file)| (name.clone(), file.clone())).collect()))))
}

fn as_config(_: &mut Ctx<'_>, this: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    Ok(files(this)?.yaml(|data| String::from_utf8_lossy(data).into_owned()))
}

fn as_secrets(_: &mut Ctx<'_>, this: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    Ok(files(this)?.yaml(|data| STANDARD.encode(data)))
}

fn lines(_: &mut Ctx<'_>, this: &Value, arguments: &mut [Value]) -> Result<Value, Failure> {
    let content = files(this)?.content(name(arguments)?);
    if content.is_empty() {
        return Ok(Value::strings(Vec::<Str>::new()));
    }
    let content = content.strip_suffix(b"\n").unwrap_or(&content);
    Ok(Value::strings(content.split(|byte| *byte == b'\n')))
}
