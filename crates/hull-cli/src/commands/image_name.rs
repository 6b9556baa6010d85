//! Names of images that are about to be made.

use super::pull;
use crate::client::encode;
use crate::error::Failure;

/// Checks the name of a new image, if it gets one, and returns it as parameters of a query.
pub(super) fn query(name: Option<&str>) -> Result<String, Failure> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(String::new());
    };
    let reference = pull::parse(name)?;
    if reference.digest().is_some() {
        return Err(Failure::new("cannot use digest reference"));
    }
    let reference = reference.with_default_tag();
    let (name, tag) = (reference.familiar_name(), reference.tag().unwrap_or_default());
    Ok(format!("&repo={}&tag={}", encode(&name), encode(tag)))
}
