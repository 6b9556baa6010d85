//! What holds for any input.

use hull_registry::{Digest, Document, MediaType, Platform, Reference};
use proptest::prelude::*;

proptest! {
    #[test]
    fn references_survive_printing(text in "[a-z0-9A-Z./:@_\\[\\]-]{0,60}") {
        if let Ok(reference) = Reference::parse(&text) {
            for printed in [reference.to_string(), reference.familiar()] {
                prop_assert_eq!(Reference::parse(&printed), Ok(reference.clone()), "{}", printed);
            }
        }
    }

    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        let _ = Reference::parse(&text);
        let _ = text.parse::<Platform>();
        let _ = text.parse::<Digest>();
        let _ = Document::parse(&MediaType::from(text.as_str()), text.as_bytes());
    }

    #[test]
    fn platforms_survive_printing(text in "[a-z]{1,8}(/[a-z0-9_]{1,8}){1,2}") {
        let platform: Platform = text.parse().unwrap();
        prop_assert_eq!(platform.to_string().parse::<Platform>().unwrap(), platform.clone());
        prop_assert_eq!(platform.suits(&platform), Some(0));
    }
}
