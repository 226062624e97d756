//! Pure: the host's clock beside the API server's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Seconds within which a comparison may differ from the last one and count as the same.
const UNSTEADY: i64 = 3;

/// When `manager` last wrote an object, in seconds since 1970 by the API server's clock: it notes
/// the time in `metadata.managedFields` itself.
pub fn written_at(object: &ObjectMeta, manager: &str) -> Option<i64> {
    let entries = object.managed_fields.iter().flatten();
    let own = entries.filter(|entry| entry.manager.as_deref() == Some(manager));
    own.filter_map(|entry| Some(entry.time.as_ref()?.0.as_second()))
        .max()
}

/// Seconds by which the clock here is ahead of the one there, for an answer that was made there
/// at `there` and between `here.0` and `here.1` by the clock here. What the two ends of that time
/// allow counts as agreement.
pub fn ahead(here: (i64, i64), there: i64) -> i64 {
    let (asked, answered) = here;
    if there < asked {
        asked - there
    } else if there > answered {
        answered - there
    } else {
        0
    }
}

/// The last comparison if the new one is as good as the same: each other one is news for somebody.
pub fn steadied(last: Option<i64>, new: i64) -> i64 {
    last.filter(|last| last.abs_diff(new) <= UNSTEADY.unsigned_abs())
        .unwrap_or(new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_of_the_own_write_is_read() {
        let object = json!({"name": "l", "managedFields": [
            {"manager": "extconn-gateway", "operation": "Apply", "time": "2027-01-15T08:00:00Z"},
            {"manager": "kubectl", "operation": "Update", "time": "2027-01-15T09:00:00Z"},
        ]});
        let object: ObjectMeta = serde_json::from_value(object).unwrap();
        assert_eq!(written_at(&object, "extconn-gateway"), Some(1_800_000_000));
        assert_eq!(written_at(&object, "somebody"), None);
    }

    #[test]
    fn only_what_the_round_trip_cannot_explain_is_a_difference() {
        for (here, there, expect) in [
            ((100, 100), 100, 0),
            ((100, 110), 105, 0),
            ((100, 101), 40, 60),
            ((100, 101), 161, -60),
        ] {
            assert_eq!(ahead(here, there), expect, "{here:?} {there}");
        }
    }

    #[test]
    fn a_second_more_or_less_is_no_news() {
        assert_eq!(steadied(None, 2), 2);
        assert_eq!(steadied(Some(100), 103), 100);
        assert_eq!(steadied(Some(100), 104), 104);
        assert_eq!(steadied(Some(-100), -104), -104);
    }
}
