//! The way out of the namespace.

mod pasta;
mod rules;

pub(crate) use pasta::Pasta;
pub(crate) use rules::apply as apply_rules;
