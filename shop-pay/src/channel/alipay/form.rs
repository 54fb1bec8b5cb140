//! A form of Alipay's: `application/x-www-form-urlencoded`, each parameter once, in UTF-8; and the text that is signed.
//!
//! What is signed are the parameters after decoding, sorted by name and joined as `k=v&k=v`. Nothing in that text keeps
//! a value from holding `&` and `=`, so a form is read only if its text could not be that of another form.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;

/// Most parameters of one form.
const PARAMETERS: usize = 100;
/// Longest name.
const NAME_BYTES: usize = 64;
/// The signature and its kind: no notification signs them.
pub(super) const UNSIGNED: [&str; 2] = ["sign", "sign_type"];

/// Parameters by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a body; none unless there is exactly one way to read it.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut form = Self::default();
        for pair in body.split(|byte| *byte == b'&') {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = pair.split_at_checked(equals)?;
            let (name, value) = (decoded(name)?, decoded(value.get(1..)?)?);
            let known = form.0.insert(name.clone(), value.clone());
            if !is_name(&name) || known.is_some() || form.0.len() > PARAMETERS || could_be_split(&value) {
                return None;
            }
        }
        Some(form)
    }

    /// The parameter of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a parameter of our own; an empty one is left out, as Alipay's own clients do.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// The text that is signed: every parameter but those `without`.
    pub(super) fn text(&self, without: &[&str]) -> String {
        let signed = self.0.iter().filter(|(name, _)| !without.contains(&name.as_str()));
        signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<String>>().join("&")
    }

    /// The body that [`Form::read`] reads.
    pub(super) fn body(&self) -> String {
        Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    matches!(name.len(), 1..=NAME_BYTES) && name.bytes().all(plain)
}

/// Whether what follows an `&` in `value` could be taken for a parameter of its own.
fn could_be_split(value: &str) -> bool {
    value.split('&').skip(1).any(|piece| piece.contains('='))
}

/// `+` is a space, `%` begins two hex digits, and everything else is visible ASCII that stands for itself.
fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            visible if visible.is_ascii_graphic() => *visible,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Form {
        Form(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_signed_is_decoded_sorted_and_joined() {
        let body = b"total_amount=88.88&subject=%E6%89%8B%E6%9C%BA+x&sign=a%2Bb%3D%3D&app_id=1&sign_type=RSA2&empty=";
        let form = Form::read(body).unwrap();
        assert_eq!(form.get("sign"), Some("a+b=="));
        assert_eq!(form.text(&UNSIGNED), "app_id=1&empty=&subject=手机 x&total_amount=88.88");
    }

    #[test]
    fn a_body_that_could_be_read_in_two_ways_is_not_read() {
        let bodies: [&[u8]; 17] = [
            b"",
            b"a",
            b"a=1&",
            b"&a=1",
            b"a=1&&b=2",
            b"a=1&a=1",
            b"a=1&a=2",
            b"a=1&%61=2",
            b"=1",
            b"a b=1",
            b"a=%",
            b"a=%2",
            b"a=%2G",
            b"a=%FF",
            b"a=\xd6\xa7",
            b"a=1 2",
            b"subject=x%26total_amount%3D0.01&app_id=1",
        ];
        for body in bodies {
            assert_eq!(Form::read(body), None, "{}", String::from_utf8_lossy(body));
        }
        assert!(Form::read(b"subject=a%26b&app_id=1").is_some(), "this & begins no parameter");
        let many = (0..=PARAMETERS).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(Form::read(many.as_bytes()), None);
    }

    #[test]
    fn an_empty_parameter_of_ours_is_left_out() {
        let mut form = of(&[("a", "1")]);
        form.set("notify_url", "");
        assert_eq!((form.text(&[]), form.body()), ("a=1".to_owned(), "a=1".to_owned()));
    }

    /// A form that is read: any values but those that could be split.
    fn forms() -> impl Strategy<Value = Form> {
        let values = "\\PC{0,12}|[a-z&= +%]{0,12}".prop_filter("could be split", |value| !could_be_split(value));
        btree_map("[a-z_]{1,8}", values, 1..8).prop_map(Form)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(form in forms()) {
            prop_assert_eq!(Form::read(form.body().as_bytes()), Some(form));
        }

        /// Otherwise the signature of one would vouch for the other.
        #[test]
        fn two_forms_never_share_a_text(one in forms(), other in forms()) {
            prop_assert_eq!(one == other, one.text(&[]) == other.text(&[]));
        }

        /// The text, taken apart at its `&` and first `=`, gives the form again: so no other form has it.
        #[test]
        fn the_text_tells_the_form(form in forms()) {
            let mut again = Form::default();
            let mut last = None;
            for piece in form.text(&[]).split('&') {
                match (piece.split_once('='), &last) {
                    (Some((name, value)), _) => {
                        again.0.insert(name.to_owned(), value.to_owned());
                        last = Some(name.to_owned());
                    }
                    (None, Some(name)) => again.0.get_mut(name).unwrap().extend(["&", piece]),
                    (None, None) => prop_assert!(false, "the text begins with a name"),
                }
            }
            prop_assert_eq!(again, form);
        }

        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(form) = Form::read(&body) {
                prop_assert_eq!(Form::read(form.body().as_bytes()), Some(form));
            }
        }
    }
}
