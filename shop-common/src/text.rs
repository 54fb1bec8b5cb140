//! The shape of texts that clients send, and its limits.

use crate::error::{Result, ShopError};

/// Longest key of idempotency.
const KEY_CHARS: usize = 64;
/// Longest free text.
pub const TEXT_CHARS: usize = 255;

/// A free text of at most `chars` characters, kept as it was sent.
///
/// # Errors
/// `SHOP_REQUEST_PARAMETER_VALID` at `field`.
pub fn free(text: String, chars: usize, field: &'static str) -> Result<String> {
    if text.chars().count() > chars {
        return Err(ShopError::invalid(field, format!("at most {chars} characters")));
    }
    if text.contains('\0') {
        return Err(ShopError::invalid(field, "no NUL characters"));
    }
    Ok(text)
}

/// A key of idempotency: 1 to 64 visible ASCII characters.
///
/// # Errors
/// `SHOP_REQUEST_PARAMETER_VALID` at `request_id`.
pub fn request_id(key: String) -> Result<String> {
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || key.is_empty() || key.len() > KEY_CHARS {
        return Err(ShopError::invalid("request_id", "1 to 64 visible ASCII characters"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_in_characters_and_kept() {
        let free = |text: &str| free(text.to_owned(), TEXT_CHARS, "address");
        assert_eq!(free(&"京".repeat(255)).unwrap().chars().count(), 255);
        assert!(free(&"京".repeat(256)).is_err());
        assert!(free("a\0b").is_err());
        assert_eq!(free("' OR 1=1 --\u{202e}").unwrap(), "' OR 1=1 --\u{202e}");
    }

    #[test]
    fn a_key_is_visible_ascii() {
        let key = |text: &str| request_id(text.to_owned()).is_ok();
        assert!(key("k") && key(&"k".repeat(64)) && key("!~"));
        assert!(!key("") && !key(&"k".repeat(65)) && !key("a b") && !key("键"));
    }
}
