//! gRPC of the coupon service, over a link as others call it.

use shop_common::{code::ShopCode, error::ShopError, link::Link};
use shop_proto::{
    common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome},
    coupon::v1::{
        Coupon, GetCouponRequest, ListCouponsRequest, RedeemCouponCommand, RedeemCouponRequest, ReinstateCouponCommand,
        ReinstateCouponRequest, coupon_service_client::CouponServiceClient,
        redemption_service_client::RedemptionServiceClient,
    },
};
use shop_testkit::{
    TestDb, bus,
    participant::{NOW, execute},
    service::deps,
};
use tonic::service::RoutesBuilder;

use crate::coupon::{COUPONS, OWNER, coupons, plain, service};

fn link(test: &TestDb) -> Link {
    let (deps, _running) = deps(test, bus());
    let (coupon, mut routes) = (service(test, deps), RoutesBuilder::default());
    coupon.add_public(&mut routes);
    coupon.add_internal(&mut routes);
    Link::local(routes.routes())
}

fn redeem(order_id: i64, coupon_id: i64) -> RedeemCouponCommand {
    let (items_total_fen, discount_fen) = (10_000, 2_000);
    RedeemCouponCommand { order_id, coupon_id, user_id: OWNER, items_total_fen, discount_fen, context: None }
}

#[tokio::test]
async fn a_coupon_is_shown_to_its_owner_alone() {
    for test in COUPONS.fresh(0).await {
        let mut client = CouponServiceClient::new(link(&test));
        let free = client.get_coupon(GetCouponRequest { coupon_id: 2, user_id: OWNER }).await.unwrap().into_inner();
        let expected = Coupon { coupon_id: 2, user_id: OWNER, discount_fen: 2_000, ..Coupon::default() };
        assert_eq!(free, expected, "{}", test.name);
        COUPONS.takes_of(&test.db, &[5]).await;
        let used = client.get_coupon(GetCouponRequest { coupon_id: 2, user_id: OWNER }).await.unwrap().into_inner();
        let spent = Coupon { used: true, order_id: Some(5), used_ms: Some(NOW.get()), ..expected };
        assert_eq!(used, spent, "{}", test.name);

        let refused = [
            (2, OWNER + 1, ShopCode::CouponNotFound, "coupon_id"),
            (99, OWNER, ShopCode::CouponNotFound, "coupon_id"),
            (0, OWNER, ShopCode::ParameterInvalid, "coupon_id"),
            (2, -1, ShopCode::ParameterInvalid, "user_id"),
        ];
        for (coupon_id, user_id, code, field) in refused {
            let status = client.get_coupon(GetCouponRequest { coupon_id, user_id }).await.unwrap_err();
            let error = ShopError::from_status(&status);
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{}", test.name);
        }
    }
}

#[tokio::test]
async fn a_list_holds_the_coupons_of_one_user_by_id_and_no_more_than_1000() {
    for test in COUPONS.fresh(0).await {
        execute(&test.db, &coupons(&["(9, 500, 71, 100, 7, 8)".to_owned()])).await;
        execute(&test.db, &coupons(&(10..=1_010).map(plain).collect::<Vec<_>>())).await;
        let mut client = CouponServiceClient::new(link(&test));
        let mut list = async |user_id| client.list_coupons(ListCouponsRequest { user_id }).await;
        let others = list(71).await.unwrap().into_inner().coupons;
        let windowed = Coupon {
            coupon_id: 9,
            user_id: 71,
            discount_fen: 500,
            minimum_fen: 100,
            valid_from_ms: Some(7),
            valid_until_ms: Some(8),
            ..Coupon::default()
        };
        assert_eq!(others, [windowed], "{}", test.name);
        let ids: Vec<i64> = list(OWNER).await.unwrap().into_inner().coupons.iter().map(|c| c.coupon_id).collect();
        assert_eq!((ids.len(), ids.is_sorted(), ids[..4].to_vec()), (1_000, true, vec![1, 2, 3, 10]), "{}", test.name);
        assert!(list(72).await.unwrap().into_inner().coupons.is_empty(), "{}", test.name);
        let status = list(0).await.unwrap_err();
        assert_eq!(ShopError::from_status(&status).code, ShopCode::ParameterInvalid, "{}", test.name);
    }
}

#[tokio::test]
async fn outcomes_come_in_the_order_of_the_commands() {
    use do_outcome::Kind::{Already, Cancelled, Done, Refused};
    use undo_outcome::Kind::{AlreadyUndone, NeverDone, Undone};
    for test in COUPONS.fresh(0).await {
        let mut client = RedemptionServiceClient::new(link(&test));
        let orders = |orders: &[i64]| ReinstateCouponRequest {
            commands: orders
                .iter()
                .map(|order_id| ReinstateCouponCommand { order_id: *order_id, context: None })
                .collect(),
        };
        let undone = client.reinstate_coupon(orders(&[4])).await.unwrap().into_inner().outcomes;
        assert_eq!(undone[0].kind(), NeverDone, "{}", test.name);

        let foreign = RedeemCouponCommand { user_id: OWNER + 1, ..redeem(5, 2) };
        let commands = vec![redeem(1, 1), redeem(2, 1), redeem(1, 1), redeem(4, 2), foreign, redeem(3, 2)];
        let taken = client.redeem_coupon(RedeemCouponRequest { commands }).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = taken.iter().map(DoOutcome::kind).collect();
        assert_eq!(kinds, [Done, Refused, Already, Cancelled, Refused, Done], "{}", test.name);
        let reason = |at: usize| taken[at].refusal.clone().unwrap().reason;
        assert_eq!((&*reason(1), &*reason(4)), ("SHOP_COUPON_INVALIED", "SHOP_COUPON_NO_EXIST"), "{}", test.name);

        let undone = client.reinstate_coupon(orders(&[1, 2, 1])).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = undone.iter().map(UndoOutcome::kind).collect();
        assert_eq!(kinds, [Undone, NeverDone, AlreadyUndone], "{}", test.name);
        COUPONS.check(&test).await;
    }
}

#[tokio::test]
async fn a_call_of_too_many_commands_is_refused_as_a_whole() {
    for test in COUPONS.fresh(0).await {
        let mut client = RedemptionServiceClient::new(link(&test));
        let before = shop_testkit::dump(&test.db).await;
        let commands = (1..=1001).map(|order| redeem(order, 1)).collect();
        let status = client.redeem_coupon(RedeemCouponRequest { commands }).await.unwrap_err();
        assert_eq!(ShopError::from_status(&status).code, ShopCode::ParameterInvalid, "{}", test.name);
        let commands = (1..=1001).map(|order_id| ReinstateCouponCommand { order_id, context: None }).collect();
        let status = client.reinstate_coupon(ReinstateCouponRequest { commands }).await.unwrap_err();
        assert_eq!(ShopError::from_status(&status).code, ShopCode::ParameterInvalid, "{}", test.name);
        assert_eq!(shop_testkit::dump(&test.db).await, before, "{}", test.name);
    }
}
