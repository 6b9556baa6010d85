//! Image references and a client for OCI distribution registries
