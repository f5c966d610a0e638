use serde_json::Value;
use sluice_kstatus::compute;

#[derive(serde::Deserialize)]
struct Case {
    id: String,
    object: Value,
    ok: bool,
    status: String,
    message: String,
    conditions: Vec<Condition>,
    error: String,
}

#[derive(serde::Deserialize, Debug, PartialEq)]
struct Condition {
    r#type: String,
    reason: String,
    message: String,
}

#[test]
fn answers_of_the_reference() {
    let mut wrong = Vec::new();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    for line in include_str!("kstatus.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let actual = compute(&case.object, now);
        let right = match &actual {
            Ok(assessment) => {
                let conditions: Vec<_> = assessment
                    .condition
                    .iter()
                    .map(|condition| Condition {
                        r#type: condition.type_.to_owned(),
                        reason: condition.reason.clone(),
                        message: condition.message.clone(),
                    })
                    .collect();
                case.ok
                    && assessment.status.as_str() == case.status
                    && assessment.message == case.message
                    && conditions == case.conditions
            }
            Err(error) => !case.ok && (case.error.starts_with("panic") || error.to_string() == case.error),
        };
        if !right {
            wrong.push(format!(
                "{}: {actual:?}, not {} {:?} {:?}",
                case.id, case.status, case.message, case.error
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
