//! Containers and images under one roof: life cycle, state on disk, recovery
