//! Which resources a patch or replacement is for.

use sluice_regexp::Regexp;
use smol_str::SmolStr;

use crate::error::{Error, Result};
use crate::id::{Gvk, ResId};
use crate::kustomization::Selector;
use crate::resource::{Resource, ResourceMap};

/// A selector with its expressions compiled, anchored at both ends.
pub(crate) struct CompiledSelector {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: LabelSelector,
    annotations: LabelSelector,
    pub(crate) has_id: bool,
    pub(crate) has_labels: bool,
}

/// An expression that has to match a whole text. Most are plain names, for which no program needs to be made.
enum Pattern {
    Plain(String),
    Expression(Box<Regexp>),
}

pub(crate) fn compile(pattern: &str) -> Result<Regexp> {
    Regexp::new(pattern).map_err(|error| Error::new(error.to_string()))
}

fn anchored(pattern: &str) -> Result<Option<Pattern>> {
    if pattern.is_empty() {
        return Ok(None);
    }
    if pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/')) {
        return Ok(Some(Pattern::Plain(pattern.to_owned())));
    }
    compile(&format!("^(?:{pattern})$")).map(|regexp| Some(Pattern::Expression(Box::new(regexp))))
}

fn matches(pattern: Option<&Pattern>, text: &str) -> bool {
    pattern.is_none_or(|pattern| match pattern {
        Pattern::Plain(name) => name == text,
        Pattern::Expression(regexp) => regexp.is_match(text),
    })
}

impl CompiledSelector {
    pub(crate) fn new(selector: &Selector) -> Result<Self> {
        Ok(Self {
            group: anchored(&selector.id.gvk.group)?,
            version: anchored(&selector.id.gvk.version)?,
            kind: anchored(&selector.id.gvk.kind)?,
            name: anchored(&selector.id.name)?,
            namespace: anchored(&selector.id.namespace)?,
            labels: LabelSelector::parse(&selector.labels)?,
            annotations: LabelSelector::parse(&selector.annotations)?,
            has_id: !selector.id.is_empty(),
            has_labels: !selector.labels.is_empty() || !selector.annotations.is_empty(),
        })
    }

    pub(crate) fn matches_gvk(&self, gvk: &Gvk) -> bool {
        matches(self.group.as_ref(), &gvk.group)
            && matches(self.version.as_ref(), &gvk.version)
            && matches(self.kind.as_ref(), &gvk.kind)
    }

    pub(crate) fn matches_id(&self, id: &ResId) -> bool {
        self.matches_gvk(&id.gvk)
            && matches(self.name.as_ref(), &id.name)
            && matches(self.namespace.as_ref(), &id.namespace)
    }

    pub(crate) fn matches_labels(&self, resource: &Resource) -> bool {
        self.annotations.matches(resource, "annotations") && self.labels.matches(resource, "labels")
    }

    /// Whether a patch is for the resource: by its original or current name and namespace and current kind.
    fn selects(&self, resource: &Resource) -> bool {
        if !self.matches_gvk(&resource.gvk()) {
            return false;
        }
        let (original, current) = (resource.original_id(), resource.id());
        let namespace = self.namespace.as_ref();
        (matches(namespace, &original.effective_namespace())
            || matches(namespace, &current.effective_namespace()))
            && (matches(self.name.as_ref(), &original.name) || matches(self.name.as_ref(), &current.name))
            && self.matches_labels(resource)
    }
}

/// Indexes of the resources that a patch is for.
pub(crate) fn select(map: &ResourceMap, selector: &Selector) -> Result<Vec<usize>> {
    let selector = CompiledSelector::new(selector)?;
    Ok(map
        .resources
        .iter()
        .enumerate()
        .filter(|(_, resource)| selector.selects(resource))
        .map(|(at, _)| at)
        .collect())
}

/// A Kubernetes label selector.
#[derive(Debug, Default)]
struct LabelSelector(Vec<Requirement>);

#[derive(Debug)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Exists,
    DoesNotExist,
    In,
    NotIn,
    GreaterThan,
    LessThan,
}

impl LabelSelector {
    fn matches(&self, resource: &Resource, map: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let labels = resource.metadata_map(map);
        self.0.iter().all(|requirement| requirement.matches(&labels))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let mut requirements = Vec::new();
        loop {
            if !parser.is_at_requirement() {
                return match parser.peek() {
                    "" => Ok(Self(requirements)),
                    other => Err(problem(other, "!, identifier, or 'end of string'")),
                };
            }
            let requirement = parser
                .requirement()
                .map_err(|error| Error::new(format!("unable to parse requirement: {error}")))?;
            requirements.push(requirement);
            match parser.next().as_str() {
                "" => return Ok(Self(requirements)),
                "," if parser.is_at_requirement() => {}
                "," => return Err(problem(parser.peek(), "identifier after ','")),
                other => return Err(problem(other, "',' or 'end of string'")),
            }
        }
    }
}

fn problem(found: &str, expected: &str) -> Error {
    Error::new(format!("found '{found}', expected: {expected}"))
}

impl Requirement {
    fn matches(&self, labels: &[(SmolStr, SmolStr)]) -> bool {
        let found = labels.iter().find(|(key, _)| *key == self.key).map(|(_, value)| value.as_str());
        let listed = |value: &str| self.values.iter().any(|wanted| wanted == value);
        match self.operator {
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
            Operator::In => found.is_some_and(listed),
            Operator::NotIn => !found.is_some_and(listed),
            Operator::GreaterThan | Operator::LessThan => {
                let number = |text: &str| text.parse::<i64>().ok();
                let (Some(found), Some(limit)) =
                    (found.and_then(number), self.values.first().and_then(|text| number(text)))
                else {
                    return false;
                };
                if self.operator == Operator::GreaterThan { found > limit } else { found < limit }
            }
        }
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut result = Vec::new();
    let mut characters = text.chars().peekable();
    let special = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<');
    while let Some(&c) = characters.peek() {
        if c.is_ascii_whitespace() {
            characters.next();
            continue;
        }
        let mut token = String::new();
        if special(c) {
            characters.next();
            token.push(c);
            if matches!(c, '=' | '!') && characters.peek() == Some(&'=') {
                characters.next();
                token.push('=');
            }
        } else {
            while let Some(&c) = characters.peek() {
                if special(c) || c.is_ascii_whitespace() {
                    break;
                }
                token.push(c);
                characters.next();
            }
        }
        result.push(token);
    }
    result
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        let token = self.peek().to_owned();
        self.at += 1;
        token
    }

    fn is_at_requirement(&self) -> bool {
        self.peek() == "!" || Self::is_word(self.peek())
    }

    fn is_word(token: &str) -> bool {
        !token.is_empty() && !token.starts_with(['=', '!', '(', ')', ',', '>', '<'])
    }

    fn requirement(&mut self) -> Result<Requirement> {
        let negated = self.peek() == "!";
        if negated {
            self.at += 1;
        }
        let key = self.next();
        if !Self::is_word(&key) {
            return Err(problem(&key, "identifier"));
        }
        check_key(&key)?;
        if matches!(self.peek(), "" | ",") {
            let operator = if negated { Operator::DoesNotExist } else { Operator::Exists };
            return Ok(Requirement { key, operator, values: Vec::new() });
        }
        if negated {
            // Whoever asks finds that something follows.
            return Ok(Requirement { key, operator: Operator::DoesNotExist, values: Vec::new() });
        }
        let operator = match self.next().as_str() {
            "=" | "==" | "in" => Operator::In,
            "!=" | "notin" => Operator::NotIn,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            other => return Err(problem(other, "'=', '!=', '==', 'in', notin'")),
        };
        let listed = matches!(self.tokens[self.at - 1].as_str(), "in" | "notin");
        let values = if listed { self.values()? } else { vec![self.exact_value()?] };
        if matches!(operator, Operator::GreaterThan | Operator::LessThan)
            && values.iter().any(|value| value.parse::<i64>().is_err())
        {
            return Err(Error::new("for 'Gt', 'Lt' operators, the value must be an integer"));
        }
        values.iter().try_for_each(|value| check_value(&key, value))?;
        Ok(Requirement { key, operator, values })
    }

    /// What is compared, which may be missing.
    fn exact_value(&mut self) -> Result<String> {
        if matches!(self.peek(), "" | ",") {
            return Ok(String::new());
        }
        match self.next() {
            value if Self::is_word(&value) => Ok(value),
            other => Err(problem(&other, "identifier")),
        }
    }

    /// Values between brackets, any of which may be blank.
    fn values(&mut self) -> Result<Vec<String>> {
        let open = self.next();
        if open != "(" {
            // The one text of these without a comma.
            return Err(Error::new(format!("found '{open}' expected: '('")));
        }
        match self.peek() {
            ")" => {
                self.at += 1;
                return Ok(vec![String::new()]);
            }
            "," => {}
            word if Self::is_word(word) => {}
            other => return Err(problem(other, "',', ')' or identifier")),
        }
        let mut values = Vec::new();
        loop {
            match self.next().as_str() {
                ")" if !values.is_empty() => return Ok(values),
                "," => {
                    if values.is_empty() || matches!(self.peek(), ")" | ",") {
                        values.push(String::new());
                    }
                    if self.peek() == "," {
                        self.at += 1;
                    }
                }
                word if Self::is_word(word) => {
                    values.push(word.to_owned());
                    if !matches!(self.peek(), "," | ")") {
                        return Err(problem(self.peek(), "',' or ')'"));
                    }
                }
                other => return Err(problem(other, "',', or identifier")),
            }
        }
    }
}

fn check_key(key: &str) -> Result<()> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let prefix = key.split_once('/').map(|(prefix, _)| prefix);
    let fine = is_label_text(name)
        && !name.is_empty()
        && key.split('/').count() <= 2
        && prefix.is_none_or(is_domain);
    if fine { Ok(()) } else { Err(Error::new(format!("invalid label key \"{key}\": {LABEL_KEY}"))) }
}

fn check_value(key: &str, value: &str) -> Result<()> {
    if is_label_text(value) {
        Ok(())
    } else {
        Err(Error::new(format!("invalid label value: \"{value}\": at key: \"{key}\": {LABEL_VALUE}")))
    }
}

const LABEL_KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
     used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// A DNS subdomain in lower case.
fn is_domain(text: &str) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 253
        && text.split('.').all(|part| {
            let bytes = part.as_bytes();
            bytes.first().is_some_and(is_letter)
                && bytes.last().is_some_and(is_letter)
                && bytes.iter().all(|byte| is_letter(byte) || *byte == b'-')
        })
}

fn is_label_text(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
