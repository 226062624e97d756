//! Pure: JSON schemas that the derive cannot express.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A port number. Kubernetes knows `int32`, not the `uint16` that schemars would write.
pub(crate) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535})
}
