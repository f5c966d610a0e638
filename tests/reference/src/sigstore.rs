//! A small Sigstore: an authority that certifies signers, a log of its certificates, and a log of signatures. What it signs
//! is what `cosign sign` leaves at a registry without a key, in both layouts.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Of what signs.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Its authority and its logs.
pub struct Sigstore {
    authority: Certificate,
    issuer: Issuer<'static, KeyPair>,
    certificate_log: KeyPair,
    log: KeyPair,
    /// When the log notes what is signed, in seconds since 1970; now, if nothing else is said.
    pub time: u64,
    /// Whether certificates get the word of the log of certificates.
    pub certificate_log_speaks: bool,
}

/// Who signs: an address or a URL, and who vouches for that.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// An address or a URL.
    pub subject: &'a str,
    /// The URL of the issuer.
    pub issuer: &'a str,
}

/// A signature, its certificate and its entry in the log.
struct Signed {
    signature: String,
    certificate: Certificate,
    entry: Value,
}

impl Sigstore {
    /// With keys of its own.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::OrganizationName, "sluice.test");
        params.distinguished_name.push(DnType::CommonName, "sluice-fulcio");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
        let authority = params.self_signed(&key)?;
        Ok(Sigstore {
            authority,
            issuer: Issuer::new(params, key),
            certificate_log: KeyPair::generate()?,
            log: KeyPair::generate()?,
            time: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
            certificate_log_speaks: true,
        })
    }

    /// What trusts it: a `trusted_root.json`.
    pub fn trusted_root(&self) -> String {
        let since = json!({"start": "2020-01-01T00:00:00Z"});
        let log = |name: &str, key: &KeyPair| {
            let spki = key.subject_public_key_info();
            json!({
                "baseUrl": format!("https://{name}.sluice.test"), "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(&spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since,
                },
                "logId": {"keyId": STANDARD.encode(Sha256::digest(&spki))},
            })
        };
        let certificates = json!([{"rawBytes": STANDARD.encode(self.authority.der())}]);
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log("rekor", &self.log)],
            "certificateAuthorities": [{
                "subject": {"organization": "sluice.test", "commonName": "sluice-fulcio"},
                "uri": "https://fulcio.sluice.test", "certChain": {"certificates": certificates},
                "validFor": since,
            }],
            "ctlogs": [log("ctfe", &self.certificate_log)],
        })
        .to_string()
    }

    /// The annotations of the older layout for a text that is signed.
    pub fn annotations(&self, signer: Signer<'_>, text: &[u8]) -> Result<BTreeMap<String, String>> {
        let signed = self.sign(signer, text, |signature, pem| {
            let hash = json!({"algorithm": "sha256", "value": hex(&Sha256::digest(text))});
            let signature = json!({"content": signature, "publicKey": {"content": pem}});
            entry("hashedrekord", &json!({"data": {"hash": hash}, "signature": signature}))
        })?;
        let spki = self.log.subject_public_key_info();
        let payload = json!({
            "body": signed.entry["canonicalizedBody"], "integratedTime": self.time, "logIndex": 7,
            "logID": hex(&Sha256::digest(&spki)),
        });
        let promise = &signed.entry["inclusionPromise"]["signedEntryTimestamp"];
        let bundle = json!({"SignedEntryTimestamp": promise, "Payload": payload});
        let annotation = |key: &str, value: String| (key.to_owned(), value);
        Ok([
            annotation("dev.cosignproject.cosign/signature", signed.signature),
            annotation("dev.sigstore.cosign/certificate", signed.certificate.pem()),
            annotation("dev.sigstore.cosign/chain", self.authority.pem()),
            annotation("dev.sigstore.cosign/bundle", bundle.to_string()),
        ]
        .into())
    }

    /// The text of the older layout for an artifact.
    pub fn text(reference: &str, digest: &str) -> Vec<u8> {
        let image = json!({"docker-manifest-digest": digest});
        let identity = json!({"docker-reference": reference});
        let kind = "cosign container image signature";
        let critical = json!({"identity": identity, "image": image, "type": kind});
        json!({"critical": critical, "optional": null}).to_string().into_bytes()
    }

    /// The bundle of the newer layout for an artifact.
    pub fn bundle(&self, signer: Signer<'_>, digest: &str) -> Result<Value> {
        let hash = digest.trim_start_matches("sha256:");
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hash}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {},
        })
        .to_string();
        let kind = "application/vnd.in-toto+json";
        let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        let digest_of = |text: &str| json!({"algorithm": "sha256", "value": hex(&Sha256::digest(text))});
        let signed = self.sign(signer, message.as_bytes(), |signature, pem| {
            let signatures = json!([{"signature": signature, "verifier": pem}]);
            let envelope = digest_of(&format!("{{\"payload\":\"{}\"}}", STANDARD.encode(&statement)));
            let spec = json!({
                "envelopeHash": envelope, "payloadHash": digest_of(&statement), "signatures": signatures,
            });
            entry("dsse", &spec)
        })?;
        Ok(json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": STANDARD.encode(signed.certificate.der())},
                "tlogEntries": [signed.entry],
            },
            "dsseEnvelope": {
                "payload": STANDARD.encode(&statement), "payloadType": kind,
                "signatures": [{"sig": signed.signature}],
            },
        }))
    }

    fn sign(
        &self,
        signer: Signer<'_>,
        message: &[u8],
        body: impl FnOnce(&str, &str) -> Value,
    ) -> Result<Signed> {
        let key = KeyPair::generate()?;
        let certificate = self.certify(signer, &key)?;
        let signature = STANDARD.encode(sign(&key, message)?);
        let body = body(&signature, &STANDARD.encode(certificate.pem()));
        let (kind, version) = (body["kind"].clone(), body["apiVersion"].clone());
        let body = body.to_string();
        let spki = self.log.subject_public_key_info();
        let id = Sha256::digest(&spki);
        let promised = json!({
            "body": STANDARD.encode(&body), "integratedTime": self.time, "logID": hex(&id), "logIndex": 7,
        });
        let promise = sign(&self.log, promised.to_string().as_bytes())?;
        // The second of two leaves.
        let leaf = |content: &str| Sha256::new().chain_update([0]).chain_update(content).finalize();
        let first = leaf("first");
        let root = Sha256::new().chain_update([1]).chain_update(first).chain_update(leaf(&body)).finalize();
        let tree = format!("rekor.sluice.test - 1234\n2\n{}\n", STANDARD.encode(root));
        let of_tree = [&id[..4], &sign(&self.log, tree.as_bytes())?].concat();
        let checkpoint = format!("{tree}\n— rekor.sluice.test {}\n", STANDARD.encode(of_tree));
        let entry = json!({
            "logIndex": "7", "logId": {"keyId": STANDARD.encode(id)},
            "kindVersion": {"kind": kind, "version": version}, "integratedTime": self.time.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": STANDARD.encode(promise)},
            "inclusionProof": {
                "logIndex": "1", "rootHash": STANDARD.encode(root), "treeSize": "2",
                "hashes": [STANDARD.encode(first)], "checkpoint": {"envelope": checkpoint},
            },
            "canonicalizedBody": STANDARD.encode(&body),
        });
        Ok(Signed { signature, certificate, entry })
    }

    fn certify(&self, signer: Signer<'_>, key: &KeyPair) -> Result<Certificate> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(4711));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
        let subject = signer.subject.try_into()?;
        params.subject_alt_names = vec![if signer.subject.contains("://") {
            SanType::URI(subject)
        } else {
            SanType::Rfc822Name(subject)
        }];
        let issuer = signer.issuer.as_bytes();
        let sigstore = |last: u64, content: Vec<u8>| {
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, last], content)
        };
        params.custom_extensions =
            vec![sigstore(1, issuer.to_vec()), sigstore(8, [&[0x0c, issuer.len() as u8], issuer].concat())];
        let bare = params.clone().signed_by(key, &self.issuer)?;
        if !self.certificate_log_speaks {
            return Ok(bare);
        }
        // A promise of the log of certificates, for what the certificate is without it.
        let tbs = first_element(bare.der()).ok_or("no certificate")?;
        let mut message = vec![0, 0];
        message.extend((self.time * 1000).to_be_bytes());
        message.extend([0, 1]);
        message.extend(Sha256::digest(self.issuer.key().subject_public_key_info()));
        message.extend(&(tbs.len() as u32).to_be_bytes()[1..]);
        message.extend(tbs);
        message.extend([0, 0]);
        let signature = sign(&self.certificate_log, &message)?;
        let mut stamp = vec![0];
        stamp.extend(Sha256::digest(self.certificate_log.subject_public_key_info()));
        stamp.extend((self.time * 1000).to_be_bytes());
        // No extensions; SHA-256 and ECDSA.
        stamp.extend([0, 0, 4, 3]);
        stamp.extend((signature.len() as u16).to_be_bytes());
        stamp.extend(signature);
        let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let list = sized(&sized(&stamp));
        // Shorter than 128 bytes.
        let content = [&[0x04, list.len() as u8], &list[..]].concat();
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], content));
        Ok(params.signed_by(key, &self.issuer)?)
    }
}

fn entry(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "0.0.1", "kind": kind, "spec": spec})
}

fn sign(key: &KeyPair, message: &[u8]) -> Result<Vec<u8>> {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der(), &random);
    let pair = pair.map_err(|error| format!("the key cannot sign: {error}"))?;
    let signature = pair.sign(&random, message).map_err(|_| "the key does not sign")?;
    Ok(signature.as_ref().to_vec())
}

/// The first element in a sequence (DER), whole.
fn first_element(sequence: &[u8]) -> Option<&[u8]> {
    let (head, _) = header(sequence)?;
    let content = sequence.get(head..)?;
    let (head, length) = header(content)?;
    content.get(..head + length)
}

/// The lengths of an element's head and of its content.
fn header(element: &[u8]) -> Option<(usize, usize)> {
    let first = *element.get(1)?;
    if first < 0x80 {
        return Some((2, first.into()));
    }
    let count = usize::from(first & 0x7f);
    let length = element.get(2..2 + count)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    Some((2 + count, length))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
