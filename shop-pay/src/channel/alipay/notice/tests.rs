use std::sync::OnceLock;

use shop_sim::keys::{Pair, Signer};

use super::*;
use crate::channel::Said;

/// 2026-11-24 12:00:00 in Beijing.
const NOON: Millis = Millis::new(1_795_492_800_000);
const HOUR: i64 = 3_600_000;

/// One pair for all tests: making one takes longer than any of them.
fn pair() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| Pair::generate().unwrap())
}

fn keys() -> Vec<VerifyingKey> {
    vec![VerifyingKey::read(&pair().public).unwrap()]
}

fn merchant() -> Merchant {
    Merchant { app_id: "2021000000000001".to_owned(), seller_id: "2088000000000002".to_owned() }
}

/// Parameters as Alipay sends them; `changes` set or, when empty, remove one.
fn form(changes: &[(&str, &str)]) -> Form {
    let mut pairs = vec![
        ("gmt_create", "2026-11-24 11:59:00"),
        ("charset", "utf-8"),
        ("subject", " 手机/一 部"),
        ("buyer_id", "2088000000000001"),
        ("invoice_amount", "880.00"),
        ("notify_id", "2026112400222115900000010000000001"),
        ("fund_bill_list", r#"[{"amount":"880.00","fundChannel":"ALIPAYACCOUNT"}]"#),
        ("notify_type", "trade_status_sync"),
        ("trade_status", "TRADE_SUCCESS"),
        ("receipt_amount", "880.00"),
        ("app_id", "2021000000000001"),
        ("seller_id", "2088000000000002"),
        ("gmt_payment", "2026-11-24 11:59:30"),
        ("notify_time", "2026-11-24 12:00:00"),
        ("version", "1.0"),
        ("out_trade_no", "352542415984402432"),
        ("total_amount", "880.00"),
        ("trade_no", "2026112422001400000000000001"),
    ];
    pairs.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    pairs.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let mut form = Form::default();
    for (name, value) in pairs {
        form.set(name, value);
    }
    form
}

/// The same, signed: not by the code under test.
fn signed(changes: &[(&str, &str)]) -> Vec<u8> {
    let mut form = form(changes);
    let sign = Signer::read(&pair().private).unwrap().sign(form.text(&UNSIGNED).as_bytes()).unwrap();
    if form.get("sign_type").is_none() {
        form.set("sign_type", "RSA2");
    }
    form.set("sign", sign);
    form.body().into_bytes()
}

fn read_now(body: &[u8]) -> Result<Genuine> {
    read(body, &keys(), &merchant(), NOON)
}

fn place(error: ShopError) -> (ShopCode, String) {
    (error.code, error.field.unwrap_or_default().into_owned())
}

fn refusal(changes: &[(&str, &str)]) -> Option<(ShopCode, String)> {
    read_now(&signed(changes)).err().map(place)
}

#[expect(clippy::unnecessary_wraps, reason = "it is held against what may be nothing")]
fn at(code: ShopCode, field: &str) -> Option<(ShopCode, String)> {
    Some((code, field.to_owned()))
}

#[test]
fn what_alipay_says_is_read() {
    let genuine = read_now(&signed(&[])).unwrap();
    assert_eq!(genuine.refused, None);
    let expected = Notification {
        notify_id: "2026112400222115900000010000000001".to_owned(),
        pay_id: PayId::new(352_542_415_984_402_432),
        channel_trade_no: "2026112422001400000000000001".to_owned(),
        amount: Fen::new(88_000),
        status: TradeStatus::Success,
        paid: Some(Millis::new(NOON.get() - 30_000)),
    };
    assert_eq!(genuine.said, Said::Payment(expected));
}

#[test]
fn only_success_and_finished_are_paid() {
    for (word, status) in [
        ("TRADE_SUCCESS", TradeStatus::Success),
        ("TRADE_FINISHED", TradeStatus::Success),
        ("TRADE_CLOSED", TradeStatus::Closed),
        ("WAIT_BUYER_PAY", TradeStatus::Wait),
    ] {
        let Said::Payment(said) = read_now(&signed(&[("trade_status", word)])).unwrap().said else { panic!("{word}") };
        assert_eq!(said.status, status, "{word}");
    }
    for word in ["trade_success", "TRADE_PENDING", "PAID"] {
        assert_eq!(refusal(&[("trade_status", word)]), at(ShopCode::NotifyInvalid, "trade_status"), "{word}");
    }
}

/// A flip that leaves the decoded form as it was is the case of a hex digit, `%2b` for `%2B`: the same form spelled in
/// another way, so it is as genuine. Every other flip is refused.
#[test]
fn every_flipped_bit_is_noticed_unless_it_spells_the_same_form() {
    let body = signed(&[]);
    let (genuine, form) = (read_now(&body).unwrap(), Form::read(&body));
    let mut spelled = 0;
    for position in 0..body.len() * 8 {
        let mut flipped = body.clone();
        flipped[position / 8] ^= 1 << (position % 8);
        if Form::read(&flipped) == form {
            assert!(body[position / 8].is_ascii_hexdigit() && flipped[position / 8].is_ascii_hexdigit());
            assert!(flipped.eq_ignore_ascii_case(&body), "bit {position}");
            assert_eq!(read_now(&flipped).unwrap(), genuine);
            spelled += 1;
        } else {
            let refused = read_now(&flipped).expect_err("forged");
            assert_eq!(
                refused.code,
                ShopCode::SignatureInvalid,
                "bit {position}: {}",
                String::from_utf8_lossy(&flipped)
            );
        }
    }
    assert!(spelled > 0, "the body has escapes with letters");
}

#[test]
fn the_seller_and_the_application_are_us() {
    for (changes, field) in [
        ([("app_id", "2021000000000009")], "app_id"),
        ([("app_id", "")], "app_id"),
        ([("seller_id", "2088000000000009")], "seller_id"),
        ([("seller_id", "")], "seller_id"),
    ] {
        let genuine = read_now(&signed(&changes)).unwrap();
        assert_eq!(genuine.refused.map(place), at(ShopCode::NotifyInvalid, field), "{changes:?}");
        assert_eq!(genuine.said, read_now(&signed(&[])).unwrap().said, "it is recorded as what it says");
    }
}

#[test]
fn an_amount_is_decimal_yuan_and_never_rounded() {
    for (text, fen) in [("880.00", 88_000), ("880", 88_000), ("880.5", 88_050), ("0.01", 1)] {
        let Said::Payment(said) = read_now(&signed(&[("total_amount", text)])).unwrap().said else { panic!("{text}") };
        assert_eq!(said.amount, Fen::new(fen), "{text}");
    }
    for text in ["880.001", "8.8e2", "-880.00", "+880.00", " 880.00", "880.00 ", "0880.00", "８８０", "88,000", "NaN"]
    {
        assert_eq!(refusal(&[("total_amount", text)]), at(ShopCode::AmountMismatch, "total_amount"), "{text}");
    }
    assert_eq!(refusal(&[("total_amount", "")]), at(ShopCode::NotifyInvalid, "total_amount"));
}

#[test]
fn a_number_has_one_spelling() {
    for text in ["", "0", "-1", "+352542415984402432", "0352542415984402432", "9223372036854775808", "1 ", "x"] {
        assert_eq!(refusal(&[("out_trade_no", text)]), at(ShopCode::NotifyInvalid, "out_trade_no"), "{text:?}");
    }
}

#[test]
fn an_old_one_is_a_replay_and_every_resend_is_not() {
    for (milliseconds, refused) in [
        (0, None),
        (25 * HOUR, None),
        (26 * HOUR, None),
        (26 * HOUR + 1000, at(ShopCode::NotifyReplay, "notify_time")),
        (-300_000, None),
        (-301_000, at(ShopCode::NotifyReplay, "notify_time")),
    ] {
        let now = Millis::new(NOON.get() + milliseconds);
        assert_eq!(read(&signed(&[]), &keys(), &merchant(), now).err().map(place), refused, "{milliseconds}");
    }
    assert_eq!(refusal(&[("notify_time", "")]), at(ShopCode::NotifyInvalid, "notify_time"));
    assert_eq!(refusal(&[("notify_time", "1795492800")]), at(ShopCode::NotifyInvalid, "notify_time"));
}

#[test]
fn no_other_algorithm_or_charset_is_read_however_it_is_signed() {
    for kind in ["RSA", "MD5", "rsa2", "none"] {
        assert_eq!(refusal(&[("sign_type", kind)]), at(ShopCode::SignatureInvalid, "sign_type"), "{kind}");
    }
    for charset in ["GBK", "gb2312", "utf-16"] {
        assert_eq!(refusal(&[("charset", charset)]), at(ShopCode::SignatureInvalid, "charset"), "{charset}");
    }
    let (gbk, _, _) = encoding_rs::GBK.encode("手机");
    let escaped = gbk.iter().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let body = [signed(&[]), format!("&body={escaped}").into_bytes()].concat();
    assert_eq!(read_now(&body).err().map(place), at(ShopCode::SignatureInvalid, "body"), "GBK is not UTF-8");
}

#[test]
fn a_parameter_that_stands_there_twice_or_in_a_value_is_refused() {
    for more in ["&total_amount=0.01", "&total_amount=880.00", "&sign=x", "&extra=1", "&total%5Famount=0.01"] {
        let body = [signed(&[]), more.as_bytes().to_vec()].concat();
        assert_eq!(read_now(&body).unwrap_err().code, ShopCode::SignatureInvalid, "{more}");
    }
    // Its text is the text of a form with another subject and an amount of its own.
    let split = [("subject", "x&total_amount=0.01"), ("total_amount", "")];
    assert_eq!(refusal(&split), at(ShopCode::SignatureInvalid, "body"));
}

#[test]
fn both_keys_are_believed_while_they_are_changed_and_the_old_one_no_longer() {
    let next = Pair::generate().unwrap();
    let (old_key, next_key) = (VerifyingKey::read(&pair().public).unwrap(), VerifyingKey::read(&next.public).unwrap());
    let by = |keys: &[VerifyingKey]| read(&signed(&[]), keys, &merchant(), NOON).err().map(place);
    assert_eq!(by(&[next_key.clone(), old_key]), None);
    assert_eq!(by(&[next_key]), at(ShopCode::SignatureInvalid, "sign"));
    assert_eq!(by(&[]), at(ShopCode::SignatureInvalid, "sign"));
}

#[test]
fn a_resend_with_another_time_and_signature_says_the_same() {
    let later = signed(&[("notify_time", "2026-11-25 12:00:00")]);
    assert_ne!(later, signed(&[]));
    assert_eq!(lasting(&later), lasting(&signed(&[])));
    assert_ne!(lasting(&signed(&[("total_amount", "0.01")])), lasting(&signed(&[])));
}

#[test]
fn a_refund_is_read_as_what_it_says_of_its_trade() {
    let back = [("refund_fee", "880.00"), ("gmt_refund", "2026-11-24 12:00:00.123"), ("out_biz_no", "7")];
    for (word, status) in [("TRADE_SUCCESS", TradeStatus::Success), ("TRADE_CLOSED", TradeStatus::Closed)] {
        let changes = [&back[..], &[("trade_status", word)]].concat();
        let Said::Payment(said) = read_now(&signed(&changes)).unwrap().said else { panic!("{word}") };
        assert_eq!((said.status, said.amount), (status, Fen::new(88_000)), "the whole amount, not what went back");
    }
}

#[test]
fn a_long_id_stands_by_its_hash() {
    let long = "1".repeat(128);
    let said = read_now(&signed(&[("notify_id", &long)])).unwrap().said;
    assert_eq!((said.notify_id().len(), said.check()), (64, Ok(())));
}
