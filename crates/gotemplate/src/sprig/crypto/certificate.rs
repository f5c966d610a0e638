//! Certificates.

use std::any::Any;
use std::net::IpAddr;

use jiff::Timestamp;
use sha2::Digest as _;

use super::der::{bit_string, integer, items, read, sequence, tagged};
use super::keys::{Key, NO_SIGNER};
use super::{EXPENSIVE, pem};
use crate::args::{int, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::time::{Time, format};
use crate::value::{Class, Object, Str, Type, Value};

const S: Type = Type::STRING;
const LIST: Type = Type::LIST;
const CERTIFICATE: Type = Type::new("sprig.certificate", Class::Struct);

pub(super) static FUNCS: &[Func] = &[
    Func::new("buildCustomCert", &[S, S], CERTIFICATE, |_, args| {
        Ok(build_custom(text(&args[0]), text(&args[1]))?.into())
    }),
    Func::new("genCA", &[S, Type::INT], CERTIFICATE, |ctx, args| {
        let key = new_key(ctx)?;
        authority(ctx, args, &key)
    }),
    Func::new("genCAWithKey", &[S, Type::INT, S], CERTIFICATE, |ctx, args| {
        let key = given_key(&args[2])?;
        authority(ctx, args, &key)
    }),
    Func::new("genSelfSignedCert", &[S, LIST, LIST, Type::INT], CERTIFICATE, |ctx, args| {
        let key = new_key(ctx)?;
        self_signed(ctx, args, &key)
    }),
    Func::new("genSelfSignedCertWithKey", &[S, LIST, LIST, Type::INT, S], CERTIFICATE, |ctx, args| {
        let key = given_key(&args[4])?;
        self_signed(ctx, args, &key)
    }),
    Func::new("genSignedCert", &[S, LIST, LIST, Type::INT, CERTIFICATE], CERTIFICATE, |ctx, args| {
        let key = new_key(ctx)?;
        signed(ctx, args, &key)
    }),
    Func::new(
        "genSignedCertWithKey",
        &[S, LIST, LIST, Type::INT, CERTIFICATE, S],
        CERTIFICATE,
        |ctx, args| {
            let key = given_key(&args[5])?;
            signed(ctx, args, &key)
        },
    ),
];

/// A certificate and its key, both PEM.
#[derive(PartialEq, Eq)]
struct Certificate {
    cert: String,
    key: String,
}

impl Object for Certificate {
    fn type_name(&self) -> &'static str {
        CERTIFICATE.name
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(self.cert.as_str().into()),
            "Key" => Some(self.key.as_str().into()),
            _ => None,
        }
    }

    fn print(&self) -> Str {
        format!("{{{} {}}}", self.cert, self.key).into()
    }

    fn to_plain(&self) -> Value {
        Value::map([("Cert", Value::from(self.cert.as_str())), ("Key", self.key.as_str().into())])
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl From<Certificate> for Value {
    fn from(certificate: Certificate) -> Self {
        Self::object(certificate)
    }
}

fn new_key(ctx: &mut Ctx<'_>) -> Result<Key, Failure> {
    ctx.spend(EXPENSIVE)?;
    Ok(Key::new_rsa(ctx, 2048).map_err(|error| format!("error generating rsa key: {error}"))?)
}

fn given_key(value: &Value) -> Result<Key, Failure> {
    Ok(Key::from_pem(&text(value).to_text()).map_err(|error| format!("parsing private key: {error}"))?)
}

fn build_custom(certificate: &[u8], key: &[u8]) -> Result<Certificate, String> {
    let decode = super::super::encoding::decode_base64;
    let cert = decode(certificate).map_err(|_| "unable to decode base64 certificate")?;
    let key = decode(key).map_err(|_| "unable to decode base64 private key")?;
    let (cert, key) = (crate::value::decode(&cert).into_owned(), crate::value::decode(&key).into_owned());
    let (_, bytes) = pem::decode(&cert).ok_or("unable to decode certificate")?;
    Signer::read(&bytes)
        .ok_or("error parsing certificate: decodedCert.Bytes: x509: malformed certificate")?;
    Key::from_pem(&key).map_err(|error| format!("error parsing private key: {error}"))?;
    Ok(Certificate { cert, key })
}

/// What a certificate is about.
struct Subject {
    name: Str,
    addresses: Vec<IpAddr>,
    hosts: Vec<Str>,
    days: i64,
    is_authority: bool,
}

fn authority(ctx: &mut Ctx<'_>, args: &[Value], key: &Key) -> Result<Value, Failure> {
    let subject = Subject {
        name: text(&args[0]).clone(),
        addresses: Vec::new(),
        hosts: Vec::new(),
        days: int(&args[1]),
        is_authority: true,
    };
    issue(ctx, &subject, key, None)
}

fn subject(args: &[Value]) -> Result<Subject, Failure> {
    let list = |value: &Value| value.as_list().map(|list| list.values().to_vec()).unwrap_or_default();
    let mut addresses = Vec::new();
    for value in list(&args[1]) {
        let Value::String(address) = &value else {
            let shown = crate::fmt::shown(&value);
            return Err(Failure::new(format!("error parsing ip: {shown} is not a string")));
        };
        let shown = address.to_text();
        addresses.push(shown.parse().map_err(|_| format!("error parsing ip: {shown}"))?);
    }
    let mut hosts = Vec::new();
    for value in list(&args[2]) {
        let Value::String(host) = &value else {
            let shown = crate::fmt::shown(&value);
            return Err(Failure::new(format!(
                "error processing alternate dns name: {shown} is not a string"
            )));
        };
        hosts.push(host.clone());
    }
    Ok(Subject { name: text(&args[0]).clone(), addresses, hosts, days: int(&args[3]), is_authority: false })
}

fn self_signed(ctx: &mut Ctx<'_>, args: &[Value], key: &Key) -> Result<Value, Failure> {
    let subject = subject(args)?;
    issue(ctx, &subject, key, None)
}

fn signed(ctx: &mut Ctx<'_>, args: &[Value], key: &Key) -> Result<Value, Failure> {
    let field = |name: &str| match &args[4] {
        Value::Object(object) => object.field(name).map(|value| text(&value).to_text().into_owned()),
        _ => None,
    };
    let (cert, signing_key) = (field("Cert").unwrap_or_default(), field("Key").unwrap_or_default());
    let (_, bytes) = pem::decode(&cert).ok_or("unable to decode certificate")?;
    let signer = Signer::read(&bytes)
        .ok_or("error parsing certificate: decodedSignerCert.Bytes: x509: malformed certificate")?;
    let signing_key =
        Key::from_pem(&signing_key).map_err(|error| format!("error parsing private key: {error}"))?;
    let subject = subject(args)?;
    issue(ctx, &subject, key, Some((&signer, &signing_key)))
}

/// What is taken from the certificate of who signs.
struct Signer {
    name: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

const OID_SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];

impl Signer {
    fn read(certificate: &[u8]) -> Option<Self> {
        let outer = read(certificate)?;
        let body = read(outer.content)?;
        let mut fields = items(body.content);
        if fields.first()?.tag == 0xa0 {
            fields.remove(0);
        }
        // Serial, algorithm, issuer, validity, subject, key, extensions.
        let [_, _, _, _, name, _, extensions @ ..] = fields.as_slice() else { return None };
        let extensions = extensions.iter().find(|item| item.tag == 0xa3);
        let key_id = extensions.and_then(|item| {
            let list = read(item.content)?;
            items(list.content).iter().find_map(|extension| {
                let parts = items(extension.content);
                let is_key_id = parts.first()?.content == OID_SUBJECT_KEY_ID;
                is_key_id.then(|| read(parts.last()?.content).map(|id| id.content.to_vec()))?
            })
        });
        Some(Self { name: name.whole.to_vec(), key_id })
    }
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![tagged(0x06, oid)];
    if critical {
        parts.push(vec![0x01, 0x01, 0xff]);
    }
    parts.push(tagged(0x04, value));
    sequence(&parts)
}

fn time(at: Timestamp) -> Vec<u8> {
    let time = Time::new(at, jiff::tz::TimeZone::UTC);
    if (1950..2050).contains(&time.civil().year()) {
        tagged(0x17, format(&time, "060102150405Z").as_bytes())
    } else {
        tagged(0x18, format(&time, "20060102150405Z").as_bytes())
    }
}

fn issue(
    ctx: &mut Ctx<'_>,
    subject: &Subject,
    key: &Key,
    signer: Option<(&Signer, &Key)>,
) -> Result<Value, Failure> {
    let signing_key = signer.map_or(key, |(_, key)| key);
    let fail = |message: &str| Failure::new(format!("error creating certificate: {message}"));
    let (Some((algorithm, bits)), Some(signature_algorithm)) =
        (key.public(), signing_key.signature_algorithm())
    else {
        return Err(fail(NO_SIGNER));
    };
    let mut serial = [0; 16];
    ctx.host().random(&mut serial)?;
    let now = ctx.host().now();
    let end =
        Time::new(now, jiff::tz::TimeZone::UTC).add(subject.days.wrapping_mul(24 * sluice_duration::HOUR)).at;

    let name = if subject.name.is_empty() {
        sequence(&[])
    } else {
        let printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte);
        let tag = if subject.name.iter().all(printable) { 0x13 } else { 0x0c };
        let attribute = sequence(&[tagged(0x06, &[0x55, 0x04, 0x03]), tagged(tag, &subject.name)]);
        sequence(&[tagged(0x31, &attribute)])
    };
    let issuer = signer.map_or_else(|| name.clone(), |(signer, _)| signer.name.clone());

    // Digital signature, key encipherment, and for authorities certificate signing.
    let usage = if subject.is_authority { bit_string(&[0xa4], 2) } else { bit_string(&[0xa0], 5) };
    let purposes = sequence(&[
        tagged(0x06, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]),
        tagged(0x06, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]),
    ]);
    let constraints = if subject.is_authority { sequence(&[vec![0x01, 0x01, 0xff]]) } else { sequence(&[]) };
    let mut extensions = vec![
        extension(&[0x55, 0x1d, 0x0f], true, &usage),
        extension(&[0x55, 0x1d, 0x25], false, &purposes),
        extension(&[0x55, 0x1d, 0x13], true, &constraints),
    ];
    if subject.is_authority {
        let digest = sha2::Sha256::digest(&bits);
        extensions.push(extension(OID_SUBJECT_KEY_ID, false, &tagged(0x04, &digest[..20])));
    }
    if issuer != name
        && let Some(id) = signer.and_then(|(signer, _)| signer.key_id.as_ref())
    {
        extensions.push(extension(&[0x55, 0x1d, 0x23], false, &sequence(&[tagged(0x80, id)])));
    }
    if !subject.hosts.is_empty() || !subject.addresses.is_empty() {
        let mut names: Vec<Vec<u8>> = subject.hosts.iter().map(|host| tagged(0x82, host)).collect();
        names.extend(subject.addresses.iter().map(|address| match address {
            IpAddr::V4(address) => tagged(0x87, &address.octets()),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => tagged(0x87, &address.octets()),
                None => tagged(0x87, &address.octets()),
            },
        }));
        extensions.push(extension(&[0x55, 0x1d, 0x11], subject.name.is_empty(), &sequence(&names)));
    }

    let body = sequence(&[
        tagged(0xa0, &integer(&[2])),
        integer(&serial),
        signature_algorithm.clone(),
        issuer,
        sequence(&[time(now), time(end)]),
        name,
        sequence(&[algorithm, bit_string(&bits, 0)]),
        tagged(0xa3, &sequence(&extensions)),
    ]);
    let signature = signing_key.sign(&body).map_err(|error| fail(&error))?;
    let whole = sequence(&[body, signature_algorithm, bit_string(&signature, 0)]);
    Ok(Certificate { cert: pem::encode("CERTIFICATE", &whole), key: key.to_pem()? }.into())
}
