use super::*;

const NOW: Millis = Millis::new(1_700_000_000_000);
const GAPS: [Duration; 2] = [Duration::from_secs(240), Duration::from_secs(600)];

fn announced() -> Books {
    let mut books = Books::default();
    books.announce(announcement(88_000), NOW).unwrap();
    books
}

fn announcement(fen: i64) -> Announcement {
    let (subject, notify_url) = (String::new(), "http://127.0.0.1/".to_owned());
    Announcement { out_trade_no: "1".to_owned(), amount: Fen::new(fen), subject, notify_url }
}

fn paid() -> Books {
    let mut books = announced();
    books.pay("1", NOW).unwrap();
    books
}

fn refund(books: &mut Books, number: &str, fen: i64) -> Result<bool, Refused> {
    books.refund(number, "1", Fen::new(fen), NOW).map(|(_, is_new)| is_new)
}

#[test]
fn a_trade_is_announced_once_by_its_number() {
    let mut books = announced();
    let first = books.trade("1").cloned().unwrap();
    assert_eq!(books.announce(announcement(88_000), NOW).unwrap(), &first);
    assert_eq!(books.announce(announcement(1), NOW), Err(Refused::Differs));
    books.close("1").unwrap();
    assert_eq!(books.announce(announcement(88_000), NOW), Err(Refused::Closed));
    assert_eq!(paid().announce(announcement(88_000), NOW), Err(Refused::Paid));
}

#[test]
fn whoever_tells_the_merchant_himself_pays_untold() {
    let mut books = announced();
    let (trade, is_new) = books.pay_untold("1", NOW).unwrap();
    assert_eq!((trade.state, trade.paid, is_new, books.to_send()), (State::Paid, Some(NOW), true, 0));
    assert_eq!(books.pay("1", NOW).unwrap(), trade, "paid once");
    assert_eq!((books.pay_untold("1", NOW), books.to_send()), (Ok((trade, false)), 0));
    refund(&mut books, "r", 1).unwrap();
    assert_eq!(books.to_send(), 1, "a refund is told");
}

#[test]
fn what_is_closed_cannot_be_paid_and_what_is_paid_cannot_be_closed() {
    let mut books = announced();
    books.close("1").unwrap();
    assert_eq!(books.pay("1", NOW), Err(Refused::Closed));
    assert_eq!(paid().close("1"), Err(Refused::Paid));
    assert_eq!(books.close("2"), Err(Refused::NotThere));
}

#[test]
fn a_refund_is_paid_once_by_its_number_and_never_above_what_was_paid() {
    let mut books = paid();
    assert_eq!(refund(&mut books, "7", 50_000), Ok(true));
    assert_eq!(refund(&mut books, "7", 50_000), Ok(false));
    assert_eq!(refund(&mut books, "7", 49_999), Err(Refused::Differs));
    assert_eq!(refund(&mut books, "8", 38_001), Err(Refused::TooMuch));
    assert_eq!(refund(&mut books, "8", 0), Err(Refused::TooMuch));
    assert_eq!(refund(&mut books, "8", 38_000), Ok(true));
    assert_eq!((books.refunds(), books.trade("1").unwrap().refunded), (2, Fen::new(88_000)));
    assert_eq!(refund(&mut announced(), "7", 1), Err(Refused::NotPaid));
}

#[test]
fn a_notification_comes_again_after_its_gaps_and_then_no_more() {
    let mut books = paid();
    let mut now = NOW;
    for gap in GAPS {
        assert_eq!(books.claim_due(&GAPS, now).len(), 1);
        assert_eq!(books.claim_due(&GAPS, now).len(), 0, "once at a time");
        now = now.after(gap);
    }
    assert_eq!(books.claim_due(&GAPS, now).len(), 1);
    assert_eq!(books.to_send(), 0, "it has given up");
}

#[test]
fn a_notification_that_is_acknowledged_comes_no_more() {
    let mut books = paid();
    let id = books.claim_due(&GAPS, NOW)[0].id.clone();
    books.acknowledge(&id);
    assert_eq!(books.to_send(), 0);
}
