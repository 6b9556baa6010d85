//! Which tags a repository has: `GET /v2/<name>/tags/list` (OCI distribution specification, "Listing
//! Tags").

use http::HeaderMap;
use http::header::LINK;
use reqwest::Url;
use serde::Deserialize;

use super::{Repository, failure};
use crate::{Cause, Error};

#[derive(Deserialize)]
struct Page {
    /// Null where there are none.
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Returns the tags, in the registry's order.
    ///
    /// # Errors
    /// The registry refuses or fails, or its answer makes no sense.
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        let mut name = "list".to_owned();
        for _ in 0..MOST_PAGES {
            let answered = self.get("tags", &name, HeaderMap::new(), "Get").await;
            let response = answered.map_err(|failure| failure.error)?;
            let url = response.url().clone();
            let fail = |cause: String| failure::error("Get", &url, Cause::Other(cause));
            let next = response.headers().get(LINK).and_then(|link| link.to_str().ok());
            let next = next.and_then(|link| following(link, &url));
            let body = self.transport().body(response, MOST_BYTES).await?;
            let body = body.ok_or_else(|| fail("the list of tags is too long".into()))?;
            let page: Page =
                serde_json::from_slice(&body).map_err(|error| fail(error.to_string()))?;
            all.extend(page.tags.unwrap_or_default());
            match next {
                Some(query) => name = format!("list?{query}"),
                None => return Ok(all),
            }
        }
        Ok(all)
    }
}

/// Returns the query of the next page: `Link: </v2/x/tags/list?last=b&n=2>; rel="next"`.
fn following(link: &str, url: &Url) -> Option<String> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = rest.contains("rel=\"next\"") || rest.contains("rel=next");
    url.join(target).ok().filter(|_| next)?.query().map(str::to_owned)
}

/// Of a registry that never comes to an end, so many are read.
const MOST_PAGES: usize = 1000;
const MOST_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_name_the_next() {
        let url = Url::parse("https://r.example/v2/a/b/tags/list").unwrap();
        let query = |link: &str| following(link, &url);
        assert_eq!(
            query("</v2/a/b/tags/list?last=x&n=2>; rel=\"next\"").as_deref(),
            Some("last=x&n=2")
        );
        assert_eq!(query("</v2/a/b/tags/list?last=x>; rel=\"prev\""), None);
        assert_eq!(query("nonsense"), None);
    }
}
