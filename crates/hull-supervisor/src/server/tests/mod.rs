//! The supervisor with a fake machine.

mod fake;
mod life;
mod operations;
mod streams;
