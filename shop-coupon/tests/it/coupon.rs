//! Coupons keep the contract of a participant.

use shop_common::{
    batch::Limits,
    code::ShopCode,
    hold::{Done, Undone},
    id::{CouponId, OrderId, UserId},
    money::Fen,
    service::Deps,
};
use shop_coupon::{
    Config, Coupon, SCHEMA, SEED,
    coupon::Redemption,
    tx::{RedeemCoupon, ReinstateCoupon, redeem_coupon, reinstate_coupon},
};
use shop_testkit::{
    TestDb, dump,
    participant::{NOW, Participant, execute},
};

pub(crate) const OWNER: i64 = 70;

/// Four orders in a row want the same coupon.
pub(crate) const COUPONS: Participant<RedeemCoupon, ReinstateCoupon> = Participant {
    schema: &SCHEMA,
    rows: |orders| coupons(&(1..=3 + orders / 4).map(plain).collect::<Vec<_>>()),
    take: |tx, commands, now| Box::pin(redeem_coupon(tx, commands, now)),
    give_back: |tx, commands, now| Box::pin(reinstate_coupon(tx, commands, now)),
    take_of: |order| redeem(order, (order + 3) / 4),
    give_back_of: |order| ReinstateCoupon { order_id: OrderId::new(order) },
    holds: "trade_coupon_hold",
    violations,
};

fn violations() -> Vec<String> {
    let all = [
        // A coupon is used by the order whose hold names it, and by no other.
        "SELECT COUNT(*) AS n FROM trade_coupon c WHERE (c.is_used = 1) <> EXISTS (SELECT 1 FROM trade_coupon_hold h
         WHERE h.coupon_id = c.coupon_id AND h.order_id = c.order_id AND h.state IN (1, 2))",
        "SELECT COUNT(*) AS n FROM trade_coupon_hold h WHERE h.state IN (1, 2) AND NOT EXISTS (SELECT 1
         FROM trade_coupon c WHERE c.coupon_id = h.coupon_id AND c.order_id = h.order_id)",
    ];
    all.map(str::to_owned).to_vec()
}

/// 20.00 off anything, for ever.
pub(crate) fn plain(coupon_id: i64) -> String {
    format!("({coupon_id}, 2000, {OWNER}, 0, NULL, NULL)")
}

pub(crate) fn coupons(rows: &[String]) -> String {
    format!(
        "INSERT INTO trade_coupon (coupon_id, coupon_price_fen, user_id, minimum_fen, valid_from_ms, valid_until_ms)
         VALUES {}",
        rows.join(", ")
    )
}

fn redeem(order: i64, coupon: i64) -> RedeemCoupon {
    let redemption = Redemption {
        coupon_id: CouponId::new(coupon),
        user_id: UserId::new(OWNER),
        items_total: Fen::new(10_000),
        discount: Fen::new(2_000),
    };
    RedeemCoupon { order_id: OrderId::new(order), redemption }
}

pub(crate) fn service(test: &TestDb, deps: Deps) -> Coupon {
    Coupon::new(
        &Config {
            database: test.config.clone(),
            internal_listen: ([127, 0, 0, 1], 0).into(),
            batch: Limits::default(),
        },
        deps,
    )
}

#[tokio::test]
async fn the_seed_is_sown_once() {
    COUPONS.seeds_once(SEED).await;
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    COUPONS.repeats_change_nothing().await;
}

#[tokio::test]
async fn a_reinstatement_that_comes_first_keeps_the_redemption_out() {
    COUPONS.an_undo_that_comes_first_keeps_the_do_out().await;
}

#[tokio::test]
async fn a_batch_may_repeat_itself() {
    COUPONS.a_batch_may_repeat_itself().await;
}

#[tokio::test]
async fn a_refused_redemption_leaves_no_rows() {
    let of = |change: fn(&mut Redemption)| {
        let mut command = redeem(20, 1);
        change(&mut command.redemption);
        command
    };
    let refused = [
        (of(|redemption| redemption.user_id = UserId::new(71)), ShopCode::CouponNotFound, "coupon_id"),
        (of(|redemption| redemption.coupon_id = CouponId::new(999)), ShopCode::CouponNotFound, "coupon_id"),
        (of(|redemption| redemption.discount = Fen::new(2_001)), ShopCode::CouponInvalid, "coupon_id"),
        (of(|redemption| redemption.items_total = Fen::new(-1)), ShopCode::CouponInvalid, "coupon_id"),
    ];
    COUPONS.refusals_leave_no_rows(&refused).await;
}

#[tokio::test]
async fn the_window_and_the_minimum_are_those_of_the_row() {
    let now = NOW.get();
    let rows = [
        (1, format!("(1, 2000, {OWNER}, 10000, {now}, {})", now + 1), Done::Done),
        (
            2,
            format!("(2, 2000, {OWNER}, 10001, NULL, NULL)"),
            refused("the items' total is below the coupon's minimum"),
        ),
        (3, format!("(3, 2000, {OWNER}, 0, {}, NULL)", now + 1), refused("the coupon is not valid yet")),
        (4, format!("(4, 2000, {OWNER}, 0, NULL, {now})"), refused("the coupon has expired")),
    ];
    for test in shop_testkit::databases(&SCHEMA).await {
        execute(&test.db, &coupons(&rows.clone().map(|(_, row, _)| row))).await;
        for (coupon, row, expected) in &rows {
            assert_eq!(COUPONS.takes(&test.db, &[redeem(*coupon, *coupon)]).await[0], *expected, "{row}");
        }
        COUPONS.check(&test).await;
    }
}

fn refused(why: &'static str) -> Done {
    Done::Refused(shop_common::error::ShopError::at(ShopCode::CouponInvalid, "coupon_id").because(why))
}

#[tokio::test]
async fn however_batches_are_cut_the_outcome_is_the_same() {
    COUPONS.splits_alike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redeeming_and_reinstating_at_once_spends_no_coupon_twice() {
    COUPONS.do_and_undo_race(2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_orders_with_one_coupon_exactly_one_spends_it() {
    let orders = (1..=100).map(|order| redeem(order, 500)).collect();
    COUPONS.exactly_one_wins(&coupons(&[plain(500)]), orders, ShopCode::CouponInvalid).await;
}

#[tokio::test]
async fn a_cancel_message_reinstates_only_what_the_order_service_cancelled() {
    COUPONS.cancels_what_the_owner_cancelled(|test, deps, orders| service(test, deps).listen(orders)).await;
}

#[tokio::test]
async fn a_late_duplicate_never_frees_the_coupon_of_a_newer_order() {
    for test in COUPONS.fresh(0).await {
        assert_eq!(COUPONS.takes(&test.db, &[redeem(1, 1)]).await, [Done::Done], "{}", test.name);
        assert_eq!(COUPONS.gives_back(&test.db, &[1]).await, [Undone::Undone], "{}", test.name);
        assert_eq!(COUPONS.takes(&test.db, &[redeem(2, 1)]).await, [Done::Done], "{}", test.name);
        let spent = dump(&test.db).await;
        assert_eq!(COUPONS.gives_back(&test.db, &[1]).await, [Undone::AlreadyUndone], "{}", test.name);
        assert_eq!(dump(&test.db).await, spent, "{}", test.name);
        COUPONS.check(&test).await;
    }
}

#[tokio::test]
async fn a_coupon_that_another_order_has_stays_with_it() {
    for test in COUPONS.fresh(0).await {
        COUPONS.takes(&test.db, &[redeem(1, 1)]).await;
        execute(&test.db, "UPDATE trade_coupon SET order_id = 2 WHERE coupon_id = 1").await;
        assert_eq!(COUPONS.gives_back(&test.db, &[1]).await, [Undone::Undone], "{}", test.name);
        let rows = dump(&test.db).await;
        assert!(rows.contains(&format!("user_id={OWNER} order_id=2 is_used=1 used_ms={}", NOW.get())), "{rows}");
    }
}
