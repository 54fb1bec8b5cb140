use proptest::prelude::*;

use super::*;

/// The notification of `core/notify/notify_test.go` in wechatpay-apiv3/wechatpay-go, with the public key of the
/// certificate there. Its resource is sealed under a key of 16 bytes, so only the signature can be compared.
const PUBLIC_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2VCTd91fnUn73Xy9DLvt/V62TVxRTEEstVdeRaZ3B3leO0pldE80\
    6mXO4RwdHXagHQ4vGeZN0yqm++rDsGK+U3AH7kejyD2pXshNP9Cq5YwbptiLGtjcquw4HNxJQUOmDeJf2vg6byms9RUipiq4SzbJKqJFlUpbuIPDpSpW\
    z10PYmyCNeDGUUK65E5h2B834uxl1zNLYQCrkdBzb8oUxwYeP5a2DNxmjL5lsJML7DGr5znsevnoqGRwTm9fxCGfy8wus7hwKz6clt3Whmmda7UAdb1c\
    08hEQFVRbF14AR73xbnd8N0obCWJPCbzMCtkaSef4FdEEgEXJiw0VAJT8wIDAQAB";
const KNOWN_SERIAL: &str = "D7CE59D1F522D701";
const KNOWN_SECONDS: i64 = 1_624_523_846;
const KNOWN_NONCE: &str = "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz";
const KNOWN_SIGNATURE: &str = "tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFlbYZTOQrVdG\
    4b6LfTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70xptjL8hrfUjEE8kkry\
    6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ90GAihDwIcb16TQMnzCMBoutnwZK\
    NiKRACrFmtxw2Q==";
const KNOWN_BODY: &str = "{\"id\":\"3119dfba-e649-5eec-ab1e-3412bc4d2e17\",\"create_time\":\"2021-06-24T16:37:26+08:00\",\
    \"resource_type\":\"encrypt-resource\",\"event_type\":\"PAYSCORE.USER_OPEN_SERVICE\",\"summary\":\"签约成功\",\
    \"resource\":{\"original_type\":\"payscore\",\"algorithm\":\"AEAD_AES_256_GCM\",\"ciphertext\":\
    \"YDS3lKPaC4Y52Gf3uhft5qUBlIa8b428AWTtTauHQfQrRw+X1WpiuHIDy0vo1Vd6VEq67aVyqPdDYMkRVSDaZL3iZttevRMOoPKMifozg6XPWjIZumks\
    /GpT48lI4NizyeaqLBokNebthah3o1H76qSlO9NkDjp9bzmKLEYYH9TEklFUpsvPqOTOcgSLgh21YJXYR7dEBXFgRLiNIKRgO5JdXh1hccRUAlyVWxE54PX\
    pnQ==\",\"associated_data\":\"payscore\",\"nonce\":\"Kj7QIyUiYx1q\"}}";

fn known() -> (Platform, Headers, Millis) {
    let headers = headers(&KNOWN_SECONDS.to_string(), KNOWN_NONCE, KNOWN_SIGNATURE, KNOWN_SERIAL);
    let keys = [(KNOWN_SERIAL.to_owned(), VerifyingKey::read(PUBLIC_KEY).unwrap())];
    (Platform(keys.into()), headers, Millis::new(KNOWN_SECONDS * 1000))
}

fn headers(timestamp: &str, nonce: &str, signature: &str, serial: &str) -> Headers {
    let values = [timestamp, nonce, signature, serial];
    HEADERS.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect()
}

fn code(platform: &Platform, headers: &Headers, body: &[u8], now: Millis) -> Option<ShopCode> {
    platform.verify(headers, body, now).err().map(|error| error.code)
}

#[test]
fn a_notification_of_the_provider_s_own_tests_is_genuine() {
    let (platform, headers, now) = known();
    assert_eq!(platform.verify(&headers, KNOWN_BODY.as_bytes(), now), Ok(()));
    assert_eq!(code(&platform, &headers, format!("{KNOWN_BODY} ").as_bytes(), now), Some(ShopCode::SignatureInvalid));
}

#[test]
fn a_signature_is_good_for_less_than_five_minutes_either_way() {
    let (platform, headers, now) = known();
    for (seconds, refusal) in [
        (299, None),
        (-299, None),
        (300, Some(ShopCode::NotifyReplay)),
        (-300, Some(ShopCode::NotifyReplay)),
        (25 * 3600, Some(ShopCode::NotifyReplay)),
    ] {
        let now = Millis::new(now.get() + seconds * 1000);
        assert_eq!(code(&platform, &headers, KNOWN_BODY.as_bytes(), now), refusal, "{seconds}");
    }
}

#[test]
fn what_is_missing_unknown_or_spelled_otherwise_is_no_signature() {
    let (platform, good, now) = known();
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.insert(name.to_owned(), value.to_owned());
        headers
    };
    for name in HEADERS {
        let mut headers = good.clone();
        headers.remove(name);
        assert_eq!(code(&platform, &headers, KNOWN_BODY.as_bytes(), now), Some(ShopCode::SignatureInvalid), "{name}");
    }
    let twice = |text: &str| format!("{text}, {text}");
    for headers in [
        with(SERIAL, "D7CE59D1F522D702"),
        with(SERIAL, "d7ce59d1f522d701"),
        with(SERIAL, ""),
        with(SERIAL, &twice(KNOWN_SERIAL)),
        with(TIMESTAMP, "01624523846"),
        with(TIMESTAMP, "+1624523846"),
        with(TIMESTAMP, "1624523846.0"),
        with(TIMESTAMP, ""),
        with(TIMESTAMP, &twice("1624523846")),
        with(NONCE, ""),
        with(NONCE, &twice(KNOWN_NONCE)),
        with(SIGNATURE, ""),
        with(SIGNATURE, &twice(KNOWN_SIGNATURE)),
        with(SIGNATURE, KNOWN_SIGNATURE.trim_end_matches('=')),
        with(SIGNATURE, &format!("{KNOWN_SIGNATURE}\n")),
        // As the provider probes whether signatures are looked at.
        with(SIGNATURE, &format!("WECHATPAY/SIGNTEST/{KNOWN_SIGNATURE}")),
        with(SIGNATURE, "WECHATPAY/SIGNTEST/"),
    ] {
        assert_eq!(
            code(&platform, &headers, KNOWN_BODY.as_bytes(), now),
            Some(ShopCode::SignatureInvalid),
            "{headers:?}"
        );
    }
}

#[test]
fn lines_are_signed_as_the_provider_says() {
    // The examples of its pages "signature generation" and "signature verification".
    assert_eq!(
        asked("GET", "/v3/certificates", 1_554_208_460, "593BEC0C930BF1AFEB40B4A08C8FB242", ""),
        "GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n"
    );
    assert_eq!(
        said(
            "1722850421",
            "d824f2e086d3c1df967785d13fcd22ef",
            br#"{"code_url":"weixin://wxpay/bizpayurl?pr=JyC91EIz1"}"#
        ),
        b"1722850421\nd824f2e086d3c1df967785d13fcd22ef\n{\"code_url\":\"weixin://wxpay/bizpayurl?pr=JyC91EIz1\"}\n"
    );
    assert_eq!(said("1", "n", b""), b"1\nn\n\n", "an answer without a body is signed all the same");
}

#[test]
fn answers_are_wanted_under_the_public_key_as_soon_as_there_is_one() {
    let key = || VerifyingKey::read(PUBLIC_KEY).unwrap();
    let platform = |serials: &[&str]| Platform(serials.iter().map(|serial| ((*serial).to_owned(), key())).collect());
    assert_eq!(platform(&["D7CE59D1F522D701"]).wanted(), None);
    assert_eq!(platform(&["D7CE59D1F522D701", "PUB_KEY_ID_01"]).wanted(), Some("PUB_KEY_ID_01"));
}

proptest! {
    /// No two pairs of time, nonce and body have the same lines, so a signature is of one of them alone.
    #[test]
    fn lines_are_read_in_one_way(
        seconds in "[0-9]{1,12}",
        nonce in "[!-~]{1,40}",
        body in any::<Vec<u8>>(),
        other_seconds in "[0-9]{1,12}",
        other_nonce in "[!-~]{1,40}",
        other_body in any::<Vec<u8>>(),
    ) {
        let lines = said(&seconds, &nonce, &body);
        let mut parts = lines.splitn(3, |byte| *byte == b'\n');
        prop_assert_eq!(parts.next(), Some(seconds.as_bytes()));
        prop_assert_eq!(parts.next(), Some(nonce.as_bytes()));
        let rest = parts.next().unwrap_or_default();
        prop_assert_eq!(rest.strip_suffix(b"\n"), Some(body.as_slice()));
        let same = (&seconds, &nonce, &body) == (&other_seconds, &other_nonce, &other_body);
        prop_assert_eq!(lines == said(&other_seconds, &other_nonce, &other_body), same);
    }

    #[test]
    fn nothing_that_was_not_signed_is_genuine(
        timestamp in ".{0,14}", nonce in ".{0,40}", signature in ".{0,400}", serial in ".{0,20}", body in any::<Vec<u8>>(),
    ) {
        let (platform, _, now) = known();
        for serial in [serial.as_str(), KNOWN_SERIAL] {
            let headers = headers(&timestamp, &nonce, &signature, serial);
            prop_assert_eq!(code(&platform, &headers, &body, now), Some(ShopCode::SignatureInvalid));
        }
    }
}
