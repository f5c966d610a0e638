//! Credentials as the entries of a Secret hold them.

use std::fmt;

use serde::Deserialize;
use sluice_cloud::{AzureIdentity, Keys, ServiceAccountKey};

/// Why an entry cannot be used. Tells nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportError(String);

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ImportError {}

/// What opens the services. What is not given is taken from the surroundings of the process, where there is something.
#[derive(Clone, Default)]
pub struct Credentials {
    pub(crate) vault: Option<String>,
    pub(crate) aws: Option<Keys>,
    pub(crate) gcp: Option<ServiceAccountKey>,
    pub(crate) azure: Option<AzureIdentity>,
    /// The server that the environment names, and its token.
    surrounding_vault: Option<(String, String)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// None but those of the environment: `VAULT_TOKEN` for the server of `VAULT_ADDR`.
    pub fn of_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { surrounding_vault: variable("VAULT_ADDR").zip(variable("VAULT_TOKEN")), ..Self::default() }
    }

    /// Takes an entry of a Secret: `sops.vault-token`, `sops.aws-kms`, `sops.gcp-kms` or `sops.azure-kv`. Others are left.
    pub fn add(&mut self, key: &str, value: &[u8]) -> Result<(), ImportError> {
        match key {
            "sops.vault-token" => {
                let token = text(value)?.trim().to_owned();
                self.vault = Some(token).filter(|token| !token.is_empty());
            }
            "sops.aws-kms" => self.aws = Some(aws(value)?),
            "sops.gcp-kms" => {
                let found =
                    ServiceAccountKey::parse(value).map_err(|error| ImportError(error.to_string()))?;
                self.gcp = Some(found);
            }
            "sops.azure-kv" => self.azure = Some(azure(value)?),
            _ => {}
        }
        Ok(())
    }

    /// The token of the environment, for a Vault. It goes to the server that the environment names and nowhere else:
    /// whoever writes a file chooses the address.
    pub(crate) fn surrounding_token(&self, address: &str) -> Option<&str> {
        let (server, token) = self.surrounding_vault.as_ref()?;
        (server.trim_end_matches('/') == address.trim_end_matches('/')).then_some(token)
    }
}

/// UTF-8, or UTF-16 with a mark at its beginning, as Windows writes it.
fn text(value: &[u8]) -> Result<String, ImportError> {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    let found = match value {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(value.to_vec()).ok(),
    };
    found.ok_or_else(|| ImportError("the value is no text".to_owned()))
}

fn yaml<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, ImportError> {
    let invalid = || ImportError("the value is no YAML or JSON of the expected form".to_owned());
    let read = sluice_yaml::read(text(value)?).map_err(|_| invalid())?;
    let json = sluice_yaml::json::to_string(&read).map_err(|_| invalid())?;
    // The reader's own words could quote a secret.
    serde_json::from_str(&json).map_err(|_| invalid())
}

fn aws(value: &[u8]) -> Result<Keys, ImportError> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        aws_access_key_id: String,
        #[serde(default)]
        aws_secret_access_key: String,
        #[serde(default)]
        aws_session_token: String,
    }
    let file: File = yaml(value)?;
    for (name, value) in [
        ("aws_access_key_id", &file.aws_access_key_id),
        ("aws_secret_access_key", &file.aws_secret_access_key),
    ] {
        if value.is_empty() {
            return Err(ImportError(format!("{name} is missing")));
        }
    }
    Ok(Keys {
        access_key: file.aws_access_key_id,
        secret_key: file.aws_secret_access_key,
        session_token: Some(file.aws_session_token).filter(|token| !token.is_empty()),
    })
}

fn azure(value: &[u8]) -> Result<AzureIdentity, ImportError> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct File {
        authority_host: String,
        tenant_id: String,
        client_id: String,
        client_secret: String,
        client_certificate: String,
        client_certificate_password: String,
        client_certificate_send_chain: bool,
        // What `az ad sp create-for-rbac` prints.
        tenant: String,
        app_id: String,
        password: String,
    }
    let file: File = yaml(value)?;
    let authority = file.authority_host;
    let set = |values: &[&String]| values.iter().all(|value| !value.is_empty());
    if set(&[&file.tenant_id, &file.client_id, &file.client_secret]) {
        let (tenant, client, secret) = (file.tenant_id, file.client_id, file.client_secret);
        return Ok(AzureIdentity::Secret { authority, tenant, client, secret });
    }
    if set(&[&file.tenant_id, &file.client_id, &file.client_certificate]) {
        if !file.client_certificate_password.is_empty() {
            return Err(ImportError("a certificate with a password is not supported yet".to_owned()));
        }
        let (tenant, client, pem) = (file.tenant_id, file.client_id, file.client_certificate);
        let send_chain = file.client_certificate_send_chain;
        return Ok(AzureIdentity::Certificate { authority, tenant, client, pem, send_chain });
    }
    if set(&[&file.tenant, &file.app_id, &file.password]) {
        let (tenant, client, secret) = (file.tenant, file.app_id, file.password);
        return Ok(AzureIdentity::Secret { authority, tenant, client, secret });
    }
    if set(&[&file.client_id]) {
        return Ok(AzureIdentity::Managed(Some(file.client_id)));
    }
    let message = "invalid data: requires a 'clientId' field, with a combination of 'tenantId', 'clientSecret' and 'clientCertificate', or 'tenant', 'appId' and 'password'";
    Err(ImportError(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_the_environment_goes_to_its_own_server_only() {
        let credentials = Credentials {
            surrounding_vault: Some(("https://vault.example.com/".to_owned(), "root".to_owned())),
            ..Credentials::default()
        };
        assert_eq!(credentials.surrounding_token("https://vault.example.com"), Some("root"));
        assert_eq!(credentials.surrounding_token("https://evil.example.com"), None);
    }

    #[test]
    fn logins_of_azure_have_flux_s_order_and_encodings() {
        let login = |text: &str| azure(text.as_bytes());
        assert!(matches!(
            login("{tenantId: t, clientId: c, clientSecret: s}"),
            Ok(AzureIdentity::Secret { .. })
        ));
        assert!(matches!(
            login("{tenantId: t, clientId: c, clientCertificate: p}"),
            Ok(AzureIdentity::Certificate { .. })
        ));
        assert!(matches!(login("{tenant: t, appId: c, password: s}"), Ok(AzureIdentity::Secret { .. })));
        assert!(matches!(login("clientId: c"), Ok(AzureIdentity::Managed(Some(_)))));
        assert!(login("tenantId: t").unwrap_err().to_string().contains("requires a 'clientId' field"));
        let wide: Vec<u8> =
            [0xfeff_u16].into_iter().chain("clientId: c".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert!(matches!(azure(&wide), Ok(AzureIdentity::Managed(Some(_)))));
    }

    #[test]
    fn what_is_wrong_is_told_without_what_is_in_it() {
        for (key, value, says) in [
            ("sops.aws-kms", "aws_access_key_id: hunter2", "aws_secret_access_key is missing"),
            ("sops.aws-kms", "[hunter2", "no YAML"),
            ("sops.gcp-kms", "{\"private_key\": \"hunter2\"}", "the service account's key"),
            ("sops.azure-kv", "password: hunter2", "requires a 'clientId' field"),
        ] {
            let error = Credentials::default().add(key, value.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        }
    }
}
