//! Core's types from the wire and back.
