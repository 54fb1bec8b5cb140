use super::*;

const SANDBOX: &str = "at,kind,pay_id,refund_id,trade_no,amount
2026-11-24 00:00:00,payment,11,,SB11,880.00
2026-11-24 23:59:59,refund,11,21,SB11,0.01
";

const REFERENCE: &str = include_str!("../../../../deploy/config.reference.toml");

#[derive(serde::Deserialize)]
struct All {
    pay: Config,
}

const WECHAT: &str = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注
`2026-11-24 08:30:00,`wx1,`1900000001,`0,`,`4200000001,`11,`o1,`NATIVE,`SUCCESS,`OTHERS,`CNY,`880.00,`0.00,`0,`0,`0.00,`0.00,`,`,`shop,`,`5.28000,`0.60%,`880.00,`0.00,`
`2026-11-24 09:30:00,`wx1,`1900000001,`0,`,`4200000001,`11,`o1,`NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5030000001,`21,`10.00,`0.00,`ORIGINAL,`SUCCESS,`shop,`,`-0.06000,`0.60%,`0.00,`10.00,`
`2026-11-24 09:31:00,`wx1,`1900000001,`0,`,`4200000001,`11,`o1,`NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5030000002,`22,`10.00,`0.00,`ORIGINAL,`PROCESSING,`shop,`,`-0.06000,`0.60%,`0.00,`10.00,`
总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额
`3,`880.00,`20.00,`0.00,`5.16000,`880.00,`20.00
";

const ALIPAY: &str = "#支付宝业务明细查询
#账号：[20880000000000010156]
#起始日期：[2026年11月24日 00:00:00]   终止日期：[2026年11月25日 00:00:00]
#-----------------------------------------业务明细列表----------------------------------------
支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注
2026112422001\t,11\t,交易\t,shop,2026-11-24 08:29:00,2026-11-24 08:30:00,\t,,,,*a@b.c,880.00,880.00,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,\t,-5.28,0.00,
2026112422001\t,11\t,退款\t,shop,2026-11-24 09:29:00,2026-11-24 09:30:00,\t,,,,*a@b.c,-10.00,-10.00,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,21\t,0.06,0.00,
#-----------------------------------------业务明细列表结束------------------------------------
#导出时间：[2026年11月25日 09:00:00]
";

fn payment(at: &str, trade_no: &str) -> Line {
    let movement = Movement::Payment(PayId::new(11));
    let (amount, at) = (Fen::new(88_000), beijing::read(at).unwrap());
    Line { movement, amount, channel_trade_no: trade_no.into(), at }
}

fn refund(at: &str, trade_no: &str, fen: i64) -> Line {
    let movement = Movement::Refund(PayId::new(11), RefundId::new(21));
    let (amount, at) = (Fen::new(fen), beijing::read(at).unwrap());
    Line { movement, amount, channel_trade_no: trade_no.into(), at }
}

fn read(format: Format, text: &str) -> Vec<Line> {
    format.read(text.as_bytes()).unwrap().lines
}

#[test]
fn the_sandbox_reads_what_it_writes() {
    let lines = read(Format::Sandbox, SANDBOX);
    assert_eq!(lines, [payment("2026-11-24 00:00:00", "SB11"), refund("2026-11-24 23:59:59", "SB11", 1)]);
    assert_eq!(write_sandbox(&lines), SANDBOX);
    assert_eq!(Day::of(&lines, None).unwrap().to_string(), "2026-11-24");
}

#[test]
fn wechat_lists_payments_and_refunds_that_were_paid_back() {
    let lines = read(Format::Wechat, WECHAT);
    let (paid, back) = ("2026-11-24 08:30:00", "2026-11-24 09:30:00");
    assert_eq!(lines, [payment(paid, "4200000001"), refund(back, "4200000001", 1_000)]);
}

#[test]
fn alipay_is_read_in_gbk_and_in_utf_8() {
    let (gbk, _, lossy) = encoding_rs::GBK.encode(ALIPAY);
    assert!(!lossy && str::from_utf8(&gbk).is_err());
    let (paid, back) = ("2026-11-24 08:30:00", "2026-11-24 09:30:00");
    let expected = [payment(paid, "2026112422001"), refund(back, "2026112422001", 1_000)];
    assert_eq!(Format::Alipay.read(&gbk).unwrap().lines, expected);
    assert_eq!(read(Format::Alipay, ALIPAY), expected);
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_nothing_is_used() {
    let line_of = |bad: Result<Statement, BadStatement>| match bad {
        Err(BadStatement::Line { line, why }) => (line, why),
        other => panic!("{other:?}"),
    };
    for (right, wrong) in [
        ("880.00", "880.001"),
        ("880.00", "8.8e2"),
        ("2026-11-24 00:00:00", "2026-11-24T00:00:00Z"),
        ("payment,11", "payment,x11"),
        ("payment", "gift"),
        (",11,,SB11,880.00", ",11"),
    ] {
        let (line, why) = line_of(Format::Sandbox.read(SANDBOX.replacen(right, wrong, 1).as_bytes()));
        assert_eq!(line, 2, "{wrong}: {why}");
    }
    for (right, wrong) in [("`880.00,`0.00,`\n", "`-,`0.00,`\n"), ("`CNY", "`USD")] {
        let (line, _) = line_of(Format::Wechat.read(WECHAT.replacen(right, wrong, 1).as_bytes()));
        assert_eq!(line, 2, "{wrong}");
    }
    let other = format!("a,b\n#{}\n", "业务明细列表结束");
    assert_eq!(Format::Alipay.read(other.as_bytes()), Err(BadStatement::Column("支付宝交易号")));
    assert_eq!(Format::Sandbox.read(b""), Err(BadStatement::Column("at")));
    assert!(matches!("visa".parse::<Format>(), Err(BadStatement::Channel(_))));
}

#[test]
fn a_statement_that_is_not_whole_is_refused() {
    let refused = |format: Format, text: &str| match format.read(text.as_bytes()) {
        Err(BadStatement::NotWhole(why)) => why,
        other => panic!("{other:?}"),
    };
    let totals = WECHAT.find("总交易单数").unwrap();
    assert!(refused(Format::Wechat, &WECHAT[..totals]).contains("no line of 总交易单数"));
    let header = WECHAT.trim_end().rfind('\n').unwrap();
    assert!(refused(Format::Wechat, &WECHAT[..=header]).contains("no line of 总交易单数"));
    let second = WECHAT.match_indices('\n').nth(1).unwrap().0..WECHAT.match_indices('\n').nth(2).unwrap().0;
    let without = format!("{}{}", &WECHAT[..second.start], &WECHAT[second.end..]);
    assert_eq!(refused(Format::Wechat, &without), "it has 2 rows and says 3");
    for (said, wrong) in [("5.16000,`880.00,", "5.16000,`881.00,"), (",`20.00\n", ",`20.01\n")] {
        assert!(refused(Format::Wechat, &WECHAT.replacen(said, wrong, 1)).contains("together and it says"), "{wrong}");
    }
    let end = ALIPAY.find("#-----------------------------------------业务明细列表结束").unwrap();
    assert!(refused(Format::Alipay, &ALIPAY[..end]).contains("no line 业务明细列表结束"));
    assert!(refused(Format::Alipay, "").contains("no line 业务明细列表结束"));
}

#[test]
fn a_day_on_which_nothing_moved_is_a_statement_too() {
    let only =
        |is_kept: fn(&str) -> bool| -> String { ALIPAY.split_inclusive('\n').filter(|line| is_kept(line)).collect() };
    let (of_comments, without_rows) = (only(|line| line.starts_with('#')), only(|line| !line.starts_with("2026")));
    for text in [of_comments, without_rows] {
        assert_eq!(read(Format::Alipay, &text), [], "{text}");
    }
    let (header, totals) = (WECHAT.find("\n`").unwrap(), WECHAT.find("总交易单数").unwrap());
    let text = format!("{}\n{}", &WECHAT[..header], &WECHAT[totals..]);
    let text = text.replace("`3,", "`0,").replace("880.00", "0.00").replace("20.00", "0.00");
    assert_eq!(read(Format::Wechat, &text), []);
}

#[test]
fn a_statement_of_another_merchant_is_refused_where_it_is_known_who_we_are() {
    let config = |seller_id: &str, mchid: &str| {
        let mut config = shop_common::config::load::<All>(REFERENCE, None, &[]).unwrap().pay;
        (config.alipay.seller_id, config.wechat.mchid) = (seller_id.to_owned(), mchid.to_owned());
        config
    };
    let check = |format: Format, text: &str, config: &Config| {
        format.check_merchant(&format.read(text.as_bytes()).unwrap(), config).map_err(|error| error.to_string())
    };
    let (ours, others) = (config("2088000000000001", "1900000001"), config("2088000000000009", "1900000009"));
    for (format, text, said) in [
        (Format::Alipay, ALIPAY, "merchant 20880000000000010156, and pay.alipay.seller_id says 2088000000000009"),
        (Format::Wechat, WECHAT, "merchant 1900000001, and pay.wechat.mchid says 1900000009"),
    ] {
        assert_eq!(check(format, text, &ours), Ok(()));
        assert_eq!(check(format, text, &config("", "")), Ok(()));
        assert_eq!(check(format, text, &others), Err(format!("the statement is of {said}")));
    }
    let mixed = WECHAT.replacen("1900000001", "1900000002", 1);
    assert!(check(Format::Wechat, &mixed, &ours).unwrap_err().contains("merchant 1900000002"));
}

#[test]
fn a_statement_is_of_one_day_of_beijing() {
    let lines = read(Format::Sandbox, SANDBOX);
    let day: Day = "2026-11-24".parse().unwrap();
    let (from, until) = day.bounds();
    assert_eq!(until.get() - from.get(), 86_400_000);
    // 16:00 UTC of the day before.
    assert_eq!(from.get(), 1_795_449_600_000);
    assert!(day.contains(from) && !day.contains(until) && !day.contains(Millis::new(from.get() - 1)));
    assert!(Day::of(&[], None).is_err());
    assert_eq!(Day::of(&[], Some(day)), Ok(day));
    let other = Day::of(&lines, Some("2026-11-23".parse().unwrap())).unwrap_err();
    assert_eq!(other.to_string(), "payment 11 was at 2026-11-24 00:00:00, which is not 2026-11-23");
    let two_days = [payment("2026-11-24 00:00:00", "a"), payment("2026-11-25 00:00:00", "b")];
    assert!(Day::of(&two_days, None).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_upset_a_reader(file in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..512)) {
        for format in [Format::Sandbox, Format::Alipay, Format::Wechat] {
            drop(format.read(&file));
        }
    }
}
