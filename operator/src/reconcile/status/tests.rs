//! Pure: tables.
