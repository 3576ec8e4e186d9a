//! Answers of registries to classes: pure rules over status, headers and the first bytes of a body.
