//! What an App says to prove who it is: a JSON web token that its key signs.

use crate::Error;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Clocks may differ by so many seconds.
const LEEWAY: i64 = 30;
const LIFE: i64 = 120;

pub(crate) fn statement(app: &str, pem: &[u8]) -> Result<String, Error> {
    let issued = Timestamp::now().as_second() - LEEWAY;
    let claims = json!({"iat": issued, "exp": issued + LIFE, "iss": app});
    sluice_jwt::sign(&claims, &Value::Null, pem).map_err(Error::Key)
}
