//! PGP signatures.

use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp};

use crate::error::Error;

pub(super) type Key = SignedPublicKey;

/// Reads an armored keyring. `None` if there is no key in it.
pub(super) fn parse(content: &[u8]) -> Option<Vec<Key>> {
    let (keys, _) = SignedPublicKey::from_armor_many(content).ok()?;
    let keys = keys.collect::<Result<Vec<_>, _>>().ok()?;
    (!keys.is_empty()).then_some(keys)
}

pub(super) fn verify(keys: &[Key], armored: &str, payload: &[u8]) -> Result<String, Error> {
    let failed = |reason: &str| Error::Signature(reason.to_owned());
    let (signature, _) = DetachedSignature::from_armor_single(armored.as_bytes())
        .map_err(|_| failed("the PGP signature cannot be read"))?;
    let now = Timestamp::now();
    let mut refusal = None;
    for key in keys {
        match check(key, &signature, payload, now) {
            Ok(true) => return Ok(id(&key.primary_key)),
            Ok(false) => {}
            Err(reason) => refusal = Some(format!("{reason}: {}", id(&key.primary_key))),
        }
    }
    Err(Error::Signature(
        refusal.unwrap_or_else(|| "unable to verify payload with any of the given key rings".to_owned()),
    ))
}

fn id(key: &impl KeyDetails) -> String {
    key.legacy_key_id().to_string().to_uppercase()
}

/// Whether `key`, or one of its subkeys, made the signature. An error if it did and may not be relied on.
fn check(
    key: &Key,
    signature: &DetachedSignature,
    payload: &[u8],
    now: Timestamp,
) -> Result<bool, &'static str> {
    if signature.verify(&key.primary_key, payload).is_ok() {
        return usable(key, now).map(|()| true);
    }
    let Some(subkey) =
        key.public_subkeys.iter().find(|subkey| signature.verify(&subkey.key, payload).is_ok())
    else {
        return Ok(false);
    };
    usable(key, now)?;
    usable_subkey(key, subkey, now).map(|()| true)
}

/// A primary key must vouch for itself, not be revoked and not have expired.
fn usable(key: &Key, now: Timestamp) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    if key.details.revocation_signatures.iter().any(|revocation| revocation.verify_key(primary).is_ok()) {
        return Err("the signing key is revoked");
    }
    let certified = key.details.users.iter().flat_map(|user| {
        let own = move |signature: &&Signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        user.signatures.iter().filter(own)
    });
    let direct =
        key.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let newest = certified.chain(direct).max_by_key(|signature| signature.created());
    let newest = newest.ok_or("the signing key does not vouch for itself")?;
    not_expired(primary, newest, now)
}

/// A subkey must be bound by the primary key, for signing, and bind itself in return.
fn usable_subkey(key: &Key, subkey: &SignedPublicSubKey, now: Timestamp) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    let bound = |signature: &&Signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok();
    let valid: Vec<&Signature> = subkey.signatures.iter().filter(bound).collect();
    if valid.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err("the signing subkey is revoked");
    }
    let binding = valid.into_iter().max_by_key(|signature| signature.created());
    let binding = binding.ok_or("the signing subkey is not bound to its key")?;
    let back = binding.embedded_signature();
    if !binding.key_flags().sign()
        || back.is_none_or(|back| back.verify_primary_key_binding(&subkey.key, primary).is_err())
    {
        return Err("the subkey may not sign");
    }
    not_expired(&subkey.key, binding, now)
}

fn not_expired(key: &impl KeyDetails, by: &Signature, now: Timestamp) -> Result<(), &'static str> {
    let Some(lifetime) = by.key_expiration_time().filter(|lifetime| lifetime.as_secs() > 0) else {
        return Ok(());
    };
    let end = u64::from(key.created_at().as_secs()) + u64::from(lifetime.as_secs());
    if u64::from(now.as_secs()) < end { Ok(()) } else { Err("the signing key has expired") }
}
