//! How a container's machine came to be, as `inspect` says it.

use serde_json::Value;

/// Where the machine of a container came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StartMode {
    /// It booted.
    Cold,
    /// It was forked from a template.
    Fork,
    /// It was forked before, and waited.
    Pool,
}

impl StartMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Fork => "fork",
            Self::Pool => "pool",
        }
    }

    /// Reads what `hull inspect` printed; `None` if it does not say.
    pub(crate) fn of_inspect(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let places = ["/0/Hull/StartMode", "/0/Hull/Started", "/0/Hull/Start/Mode", "/0/StartMode"];
        places.iter().find_map(|place| match value.pointer(place)?.as_str()? {
            "cold" => Some(Self::Cold),
            "fork" => Some(Self::Fork),
            "pool" => Some(Self::Pool),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_found_where_it_is() {
        let read = StartMode::of_inspect;
        assert_eq!(read(r#"[{"Hull": {"StartMode": "pool"}}]"#), Some(StartMode::Pool));
        assert_eq!(read(r#"[{"Hull": {"Started": "fork"}}]"#), Some(StartMode::Fork));
        assert_eq!(read(r#"[{"Hull": {"Started": null}}]"#), None);
        assert_eq!(read(r#"[{"Hull": {"StartMode": "warp"}}]"#), None);
        assert_eq!(read("[]"), None);
        assert_eq!(read("oops"), None);
    }
}
