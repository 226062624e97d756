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
}
