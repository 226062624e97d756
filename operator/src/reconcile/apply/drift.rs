//! Pure: whether an object is as desired, so that a reconcile that has nothing to change writes
//! nothing.

use serde::Serialize;
use serde_json::Value;

/// Whether `observed` has everything that `desired` asks for. What `desired` does not mention
/// (defaults, other writers' fields, status) does not count; lists must agree item by item.
pub fn is_as_desired<K: Serialize>(observed: &K, desired: &K) -> bool {
    match (
        serde_json::to_value(observed),
        serde_json::to_value(desired),
    ) {
        (Ok(observed), Ok(desired)) => covers(&observed, &desired),
        // What cannot be compared is written: the API server tells what is wrong with it.
        _ => false,
    }
}

fn covers(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (Value::Object(observed), Value::Object(desired)) => {
            desired
                .iter()
                .all(|(field, desired)| match observed.get(field) {
                    Some(observed) if field == "resources" => same_amounts(observed, desired),
                    Some(observed) => covers(observed, desired),
                    // The API server drops empty lists and maps.
                    None => is_empty(desired),
                })
        }
        (Value::Array(observed), Value::Array(desired)) => {
            observed.len() == desired.len()
                && observed
                    .iter()
                    .zip(desired)
                    .all(|(observed, desired)| covers(observed, desired))
        }
        (observed, desired) => observed == desired,
    }
}

/// As [`covers`], for requests and limits: the API server writes `1000m` as `1`.
fn same_amounts(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (Value::Object(observed), Value::Object(desired)) => {
            desired
                .iter()
                .all(|(name, desired)| match observed.get(name) {
                    Some(observed) => same_amounts(observed, desired),
                    None => is_empty(desired),
                })
        }
        (Value::String(observed), Value::String(desired)) => {
            observed == desired
                || matches!((amount(observed), amount(desired)), (Some(a), Some(b)) if a == b)
        }
        (observed, desired) => covers(observed, desired),
    }
}

/// A quantity of Kubernetes in thousandths.
fn amount(text: &str) -> Option<f64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "m" => 1.0,
        "" => 1e3,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "Ki" => 1e3 * 1024.0,
        "Mi" => 1e3 * 1024.0 * 1024.0,
        "Gi" => 1e3 * 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1e3 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(observed: Value, desired: Value, as_desired: bool) {
        let message = format!("observed {observed}, desired {desired}");
        assert_eq!(is_as_desired(&observed, &desired), as_desired, "{message}");
    }

    #[test]
    fn defaults_and_fields_of_others_are_no_drift() {
        check(
            json!({"a": 1, "defaulted": {"b": 2}}),
            json!({"a": 1}),
            true,
        );
        check(
            json!({"ports": [{"port": 80, "protocol": "TCP"}]}),
            json!({"ports": [{"port": 80}]}),
            true,
        );
        check(json!({}), json!({"empty": [], "none": null}), true);
    }

    #[test]
    fn a_changed_missing_or_surplus_item_is_drift() {
        check(json!({"a": 1}), json!({"a": 2}), false);
        check(json!({}), json!({"a": false}), false);
        check(json!({"ports": [1, 2]}), json!({"ports": [1]}), false);
        check(json!({"ports": [1]}), json!({"ports": []}), false);
        check(json!({"ports": [2, 1]}), json!({"ports": [1, 2]}), false);
    }

    #[test]
    fn amounts_are_compared_by_their_value() {
        let resources = |cpu: &str, memory: &str| json!({"resources": {"limits": {"cpu": cpu, "memory": memory}}});
        check(resources("1", "1Gi"), resources("1000m", "1024Mi"), true);
        check(resources("500m", "1Gi"), resources("0.5", "1Gi"), true);
        check(resources("1", "1Gi"), resources("1", "1G"), false);
        check(
            resources("1", "1Gi"),
            json!({"resources": {"requests": {"cpu": "1"}}}),
            false,
        );
        // Elsewhere a text is a text.
        check(json!({"value": "1"}), json!({"value": "1000m"}), false);
    }
}
