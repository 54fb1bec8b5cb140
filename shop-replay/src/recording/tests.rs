use std::time::Duration;

use proptest::prelude::*;
use shop_common::{code::ShopCode, money::Fen};

use super::*;
use crate::notification::{Copies, Expect, Key, Manner, PaymentRef, Sign};

const GOOD: &str = r#"{"channel":"sandbox","at_ms":5,"headers":{"x-shop-signature":"t=1"},"body":"{}","expect":"refused","codes":["SHOP_SIGN_INVALID"]}"#;

fn read(text: &[u8]) -> Result<Vec<Notification>, BadRecording> {
    super::read(text, |_| Ok(()))
}

fn wrong(text: &str) -> String {
    read(text.as_bytes()).unwrap_err().to_string()
}

fn wrong_line(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    wrong(&format!("{{\"shop_replay\":1}}\n\n{}\n", GOOD.replace(from, to)))
}

fn payments() -> impl Strategy<Value = PaymentRef> {
    (1..i64::MAX, 1..i64::MAX, 1..i64::MAX, 1..99_999_999_999_i64)
        .prop_map(|(pay_id, order_id, user_id, fen)| PaymentRef { pay_id, order_id, user_id, amount: Fen::new(fen) })
}

fn notifications() -> impl Strategy<Value = Notification> {
    let key = prop_oneof![Just(Key::Ours), Just(Key::Wrong), Just(Key::Revoked)];
    let sign = prop::option::of((key, -1000_i64..1000).prop_map(|(key, age_s)| Sign { key, age_s }));
    let codes =
        prop::collection::vec(prop_oneof![Just(ShopCode::NotifyReplay), Just(ShopCode::SignatureInvalid)], 0..3);
    let expect = prop_oneof![Just(Expect::Accepted), codes.prop_map(Expect::Refused)];
    let headers = prop::collection::btree_map("[a-z0-9_-]{1,9}", "[ -~]{0,9}", 0..4);
    let wire = ("[a-z]{1,8}", headers, prop::collection::vec(any::<u8>(), 0..50), 0_u64..1 << 38);
    let how = (1_u32..1000, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (wire, sign, expect, prop::option::of(payments()), how).prop_map(
        |((channel, headers, body, at_ms), sign, expect, payment, (count, at_once, slow, early, late))| {
            let early = early && expect != Expect::Accepted;
            let manner = Manner { slow, early, late: late && payment.is_some() };
            let (at, copies) = (Duration::from_millis(at_ms), Copies { count, at_once });
            Notification { channel, headers, body, at, sign, expect, payment, copies, manner }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(all in prop::collection::vec(notifications(), 0..5)) {
        let mut text = head();
        for notification in &all {
            text.push_str(&line(notification, Some(Sent { kind: "stale".into(), answer: "x".into() })));
        }
        prop_assert_eq!(read(text.as_bytes()).unwrap(), all);
    }

    #[test]
    fn no_bytes_at_all_bring_it_down(bytes: Vec<u8>, with_head: bool) {
        let mut file = if with_head { head().into_bytes() } else { Vec::new() };
        file.extend(&bytes);
        let _is_read = read(&file).is_ok();
    }
}

#[test]
fn a_line_is_read_as_the_manual_says() {
    let [read] = read(format!("{}{GOOD}", head()).as_bytes()).unwrap().try_into().unwrap();
    assert_eq!(
        (read.channel.as_str(), read.body.as_slice(), read.at),
        ("sandbox", &b"{}"[..], Duration::from_millis(5))
    );
    assert_eq!((read.headers["x-shop-signature"].as_str(), read.sign), ("t=1", None));
    assert_eq!(read.expect, Expect::Refused(vec![ShopCode::SignatureInvalid]));
    assert_eq!((read.copies, read.manner), (Copies::ONE, Manner::default()));
}

#[test]
fn whoever_reads_may_refuse_a_line() {
    let text = format!("{}\n{GOOD}\n\n{GOOD}\n", head());
    let second = std::cell::Cell::new(false);
    let refused = super::read(text.as_bytes(), |_| if second.replace(true) { Err("why".to_owned()) } else { Ok(()) });
    assert_eq!(refused.unwrap_err().to_string(), "line 5: why");
}

#[test]
fn a_wrong_line_is_named_with_its_reason() {
    for (from, to, reason) in [
        ("{\"channel\"", "\"channel\"", "expected"),
        ("\"channel\":\"sandbox\",", "", "missing field `channel`"),
        ("\"expect\":\"refused\"", "\"expect\":\"perhaps\"", "unknown variant `perhaps`"),
        ("\"expect\"", "\"expects\"", "unknown field `expects`"),
        ("\"body\":\"{}\",", "", "either `body` or `body_base64`"),
        ("\"body\":\"{}\"", "\"body\":\"{}\",\"body_base64\":\"e30=\"", "either `body` or `body_base64`"),
        ("\"body\":\"{}\"", "\"body_base64\":\"e3\"", "body_base64"),
        ("\"at_ms\":5", "\"at_ms\":-5", "at_ms"),
        ("\"at_ms\":5", "\"at_ms\":1795492800000", "since the first notification"),
        ("x-shop-signature", "X-Shop-Signature", "names in lower case"),
        ("t=1", "t=1\\n", "visible ASCII"),
        ("SHOP_SIGN_INVALID", "SHOP_SIGN_INVALIDE", "is no code"),
        ("\"refused\"", "\"accepted\"", "what is accepted has none"),
        ("\"at_ms\":5", "\"copies\":0", "copies: 1 to 1000"),
        ("\"at_ms\":5", "\"late\":true", "`payment` must say"),
        ("\"at_ms\":5", "\"sign\":{\"key\":\"mine\"}", "unknown variant `mine`"),
        ("\"at_ms\":5", "\"sign\":{\"key\":\"ours\",\"age_s\":9223372036854775807}", "at most ten years"),
    ] {
        let said = wrong_line(from, to);
        let expected = if reason == "at_ms" { "invalid value" } else { reason };
        assert!(said.starts_with("line 3: ") && said.contains(expected), "{to}: {said}");
    }
    let early = GOOD
        .replace("\"at_ms\":5", "\"early\":true")
        .replace("refused\",\"codes\":[\"SHOP_SIGN_INVALID\"]", "accepted\"");
    assert!(wrong(&format!("{}{early}", head())).starts_with("line 2: early: "));
    assert!(wrong(&format!("{}{}", head(), "x".repeat(300 << 10))).starts_with("line 2: longer than"));
}

#[test]
fn a_file_of_no_or_another_version_is_refused() {
    assert_eq!(wrong("{\"shop_replay\":2}\n"), "line 1: version 2 is not known, only 1 is");
    for text in [
        "",
        "\n\n",
        GOOD,
        "{}",
        "{\"shop_replay\":\"1\"}",
        "{\"shop_replay\":1,\"more\":1}",
        "{\"shop_replay\":1}\u{feff}",
        "\u{feff}\u{feff}{\"shop_replay\":1}",
    ] {
        assert!(
            wrong(text).starts_with("line 1: a recording begins with {\"shop_replay\":1}: "),
            "{text}: {}",
            wrong(text)
        );
    }
    assert_eq!(read(head().as_bytes()).unwrap(), []);
    assert_eq!(read(format!("\u{feff}{}", head()).as_bytes()).unwrap(), [], "as some editors write it");
}
