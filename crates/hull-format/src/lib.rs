//! Go-template subset, tables, units and times as Docker prints them.
#![deny(unsafe_code)]

mod duration;
mod list;
mod natural;
mod ports;
mod table;
mod template;
mod text;
mod time;
mod units;

pub use duration::GoDuration;
pub use list::{Format, Listing, Row};
pub use natural::natural;
pub use ports::{Port, ports};
pub use table::align;
pub use template::{Data, Error, Template};
pub use text::{command, command_line, ellipsis, short_id};
pub use time::{
    ParseTimeError, Status, ago, human_duration, local_time, log_time, parse_time, rfc3339,
};
pub use units::{
    ParseSizeError, bytes_size, human_size, human_size_in_bytes, human_size_with_precision,
    ram_in_bytes,
};
