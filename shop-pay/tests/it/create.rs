//! Making and closing payments.

use futures::future::join_all;
use shop_common::code::ShopCode;
use shop_proto::{
    common::v1::do_outcome::Kind,
    pay::v1::{
        ClosePaymentsCommand, ClosePaymentsRequest, CreatePaymentRequest, GetPaymentRequest, GetStatesRequest,
        PaymentStatus,
    },
};

use crate::{
    fakes::{DUE, FLAKY, USER},
    world::{World, code, code_of, create, link, request, worlds},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_the_same_payment_over_two_instances() {
    for world in worlds().await {
        let links = [world.link.clone(), link(&world.second_instance().await)];
        let all = join_all((0..64).map(|n| create(&links[n % 2], request(1, "")))).await;
        let first = all[0].clone().unwrap();
        assert!(all.iter().all(|made| made.as_ref().unwrap() == &first), "{}", world.name());
        assert_eq!((first.amount_fen, first.status(), first.channel.as_str()), (DUE, PaymentStatus::Paying, "sandbox"));
        assert_eq!(first.pay_url, format!("/sandbox/pay/{}", first.pay_id));
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay").await, 1);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM sandbox_trade").await, 1);
        assert_ne!(world.create(1, FLAKY).await.pay_id, first.pay_id, "another channel is another payment");
    }
}

#[tokio::test]
async fn the_order_has_the_first_word() {
    for world in worlds().await {
        world.orders.cancelled.lock().unwrap().insert(2);
        let good = request(1, "");
        for (request, refusal) in [
            (CreatePaymentRequest { order_id: 2, ..good.clone() }, ShopCode::OrderNotPayable),
            (CreatePaymentRequest { user_id: USER + 1, ..good.clone() }, ShopCode::OrderNotFound),
            (CreatePaymentRequest { amount_fen: DUE - 1, ..good.clone() }, ShopCode::AmountMismatch),
            (CreatePaymentRequest { amount_fen: 0, ..good.clone() }, ShopCode::ParameterInvalid),
            (CreatePaymentRequest { amount_fen: -DUE, ..good.clone() }, ShopCode::ParameterInvalid),
            (CreatePaymentRequest { order_id: 0, ..good.clone() }, ShopCode::ParameterInvalid),
            (CreatePaymentRequest { user_id: -1, ..good.clone() }, ShopCode::ParameterInvalid),
            (CreatePaymentRequest { channel: "alipay".into(), ..good.clone() }, ShopCode::ChannelUnknown),
        ] {
            assert_eq!(code(create(&world.link, request.clone()).await), refusal, "{request:?}");
        }
        world.set_orders_away(true);
        assert_eq!(code(create(&world.link, good.clone()).await), ShopCode::Unknown);
        for table in ["trade_pay", "trade_pay_order", "sandbox_trade"] {
            assert_eq!(world.number(&format!("SELECT COUNT(*) AS n FROM {table}")).await, 0, "{table}");
        }
        world.set_orders_away(false);
        create(&world.link, good).await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_order_takes_no_payment() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        assert_eq!(
            [world.close(1).await, world.close(1).await, world.close(2).await],
            [Kind::Done, Kind::Already, Kind::Done]
        );
        for order_id in [1, 2] {
            assert_eq!(code(create(&world.link, request(order_id, "")).await), ShopCode::OrderNotPayable);
        }
        assert_eq!(world.owed(&payment).await, 4);
        world.sweep().await;
        assert_eq!(world.owed(&payment).await, 0);
        assert_eq!(world.number("SELECT state AS n FROM sandbox_trade").await, 2, "closed at the channel");
        let pays = world.pay.sandbox().unwrap();
        let refused = pays.pay_like_a_buyer(shop_common::id::PayId::new(payment.pay_id)).await;
        assert_eq!(code(refused), ShopCode::OrderNotPayable);
        let shown = GetPaymentRequest { pay_id: payment.pay_id, user_id: USER };
        let shown = world.client().get_payment(shown).await.unwrap().into_inner();
        assert_eq!((shown.status(), shown.closed_ms), (PaymentStatus::Unpaid, Some(world.clock.now().get())));
    }
}

/// Closes the order; a deadlock with the other instance makes the outcome unknown, so it asks again like its callers.
async fn closed(world: &World, order_id: i64) -> bool {
    for _ in 0..20 {
        if matches!(world.close(order_id).await, Kind::Done | Kind::Already) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_and_closing_at_once_never_leave_an_open_payment() {
    for world in worlds().await {
        let second = link(&world.second_instance().await);
        let race = |order_id| {
            let (world, second) = (&world, &second);
            async move {
                let (first, other, closed) = futures::join!(
                    create(&world.link, request(order_id, "")),
                    create(second, request(order_id, FLAKY)),
                    closed(world, order_id)
                );
                assert!(closed, "{}", world.name());
                for refused in [first, other].into_iter().filter_map(Result::err) {
                    assert!(matches!(refused.code, ShopCode::OrderNotPayable | ShopCode::Unknown), "{refused}");
                }
            }
        };
        join_all((1..=60).map(race)).await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay WHERE open_key IS NOT NULL").await, 0);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay_order WHERE state = 2").await, 60);
    }
}

#[tokio::test]
async fn a_lost_registration_is_made_up_for_by_the_repeat() {
    for world in worlds().await {
        world.flaky.answers_to_lose.store(1, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(code(create(&world.link, request(1, FLAKY)).await), ShopCode::Unknown);
        let payment = world.create(1, FLAKY).await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay").await, 1);
        world.sandbox_pays(&payment).await;
    }
}

#[tokio::test]
async fn a_payment_is_shown_to_its_owner_only() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let get = |pay_id, user_id| {
            let mut client = world.client();
            async move { client.get_payment(GetPaymentRequest { pay_id, user_id }).await }
        };
        assert_eq!(get(payment.pay_id, USER).await.unwrap().into_inner(), payment);
        assert_eq!(code_of(get(payment.pay_id, USER + 1).await), ShopCode::PaymentNotFound);
        assert_eq!(code_of(get(payment.pay_id + 1, USER).await), ShopCode::PaymentNotFound);
        assert_eq!(code_of(get(0, USER).await), ShopCode::ParameterInvalid);
    }
}

#[tokio::test]
async fn states_come_in_the_order_of_the_ids() {
    for world in worlds().await {
        let (one, two) = (world.create(1, "").await, world.create(2, "").await);
        let pay_ids = vec![two.pay_id, 7, one.pay_id, two.pay_id];
        let states = world.states().get_states(GetStatesRequest { pay_ids }).await.unwrap().into_inner().states;
        let seen: Vec<_> = states.iter().map(|state| (state.pay_id, state.found, state.order_id)).collect();
        let second = (two.pay_id, true, 2);
        assert_eq!(seen, [second, (7, false, 0), (one.pay_id, true, 1), second]);
        assert_eq!((states[0].user_id, states[0].amount_fen, states[0].channel.as_str()), (USER, DUE, "sandbox"));
        let too_many = world.states().get_states(GetStatesRequest { pay_ids: vec![1; 1001] }).await;
        assert_eq!(code_of(too_many), ShopCode::ParameterInvalid);
        let commands = vec![ClosePaymentsCommand { context: None, order_id: 1 }; 1001];
        let too_many = world.states().close_payments(ClosePaymentsRequest { commands }).await;
        assert_eq!(code_of(too_many), ShopCode::ParameterInvalid);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay WHERE open_key IS NOT NULL").await, 2);
    }
}
