//! Pages of lists: at most 100 rows, and a token that is the id of the last one.

use crate::error::{Result, ShopError};

/// Rows of a page when the client does not say.
const DEFAULT_SIZE: u8 = 20;

/// Which page a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// 1..=100.
    pub size: u8,
    /// Id of the last row of the page before.
    pub after: Option<i64>,
}

impl Page {
    /// Reads `page_size` (0 = 20) and `page_token` (empty = first page).
    ///
    /// # Errors
    /// `SHOP_REQUEST_PARAMETER_VALID` for a size outside 0..=100 or a token that is not ours.
    pub fn parse(size: i32, token: &str) -> Result<Self> {
        let size = match u8::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size @ 1..=100) => size,
            _ => return Err(ShopError::invalid("page_size", "a page has 1 to 100 rows")),
        };
        let after = if token.is_empty() {
            None
        } else {
            let id = token.parse().ok().filter(|id: &i64| *id > 0);
            Some(id.ok_or_else(|| ShopError::invalid("page_token", "not a page token of this list"))?)
        };
        Ok(Self { size, after })
    }

    /// Rows to ask the database for: one more than the page, to know whether there is another.
    pub fn limit(self) -> u64 {
        u64::from(self.size).saturating_add(1)
    }

    /// The rows of the page and the token of the next.
    pub fn cut<T>(self, mut rows: Vec<T>, id: impl Fn(&T) -> i64) -> (Vec<T>, String) {
        let more = rows.len() > usize::from(self.size);
        rows.truncate(usize::from(self.size));
        let token = rows.last().filter(|_| more).map(|row| id(row).to_string());
        (rows, token.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_tokens_are_bounded() {
        assert_eq!(Page::parse(0, "").map(|page| page.size), Ok(20));
        for (size, token) in
            [(-1, ""), (101, ""), (1_000_000_000, ""), (1, "x"), (1, "-5"), (1, "0"), (1, "99999999999999999999")]
        {
            assert!(Page::parse(size, token).is_err(), "{size} {token}");
        }
    }

    #[test]
    fn a_full_page_names_the_next() {
        let page = Page::parse(2, "").unwrap();
        assert_eq!(page.cut(vec![1_i64, 2, 3], |id| *id), (vec![1, 2], "2".to_owned()));
        assert_eq!(page.cut(vec![1_i64, 2], |id| *id), (vec![1, 2], String::new()));
    }
}
