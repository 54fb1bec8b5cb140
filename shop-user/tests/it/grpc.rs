//! gRPC of the user service, over a link as others call it.

use shop_common::{code::ShopCode, error::ShopError, link::Link};
use shop_proto::{
    common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome},
    user::v1::{
        AwardPointsCommand, AwardPointsRequest, DebitBalanceCommand, DebitBalanceRequest, GetBalancesRequest,
        GetUserRequest, RefundBalanceCommand, RefundBalanceRequest, ReversePointsCommand, ReversePointsRequest, User,
        UserBalance, balance_service_client::BalanceServiceClient, points_service_client::PointsServiceClient,
        user_service_client::UserServiceClient,
    },
};
use shop_testkit::{TestDb, bus, databases, dump, participant::execute, service::deps};
use shop_user::SCHEMA;
use tonic::service::RoutesBuilder;

use crate::users::{service, users};

async fn fresh() -> Vec<TestDb> {
    let tests = databases(&SCHEMA).await;
    for test in &tests {
        execute(&test.db, &users(&[(1, 1_000, 100)])).await;
    }
    tests
}

fn link(test: &TestDb) -> Link {
    let (deps, _running) = deps(test, bus());
    let (user, mut routes) = (service(test, deps), RoutesBuilder::default());
    user.add_public(&mut routes);
    user.add_internal(&mut routes);
    Link::local(routes.routes())
}

async fn user_1(link: &Link) -> User {
    UserServiceClient::new(link.clone()).get_user(GetUserRequest { user_id: 1 }).await.unwrap().into_inner()
}

fn debit(order_id: i64, amount_fen: i64) -> DebitBalanceCommand {
    DebitBalanceCommand { order_id, user_id: 1, amount_fen, context: None }
}

fn award(pay_id: i64, paid_fen: i64) -> AwardPointsCommand {
    AwardPointsCommand { pay_id, user_id: 1, paid_fen, context: None }
}

#[tokio::test]
async fn a_user_is_shown_or_does_not_exist() {
    for test in fresh().await {
        let link = link(&test);
        let expected = User { user_id: 1, user_name: "user 1".to_owned(), balance_fen: 1_000, score: 100 };
        assert_eq!(user_1(&link).await, expected, "{}", test.name);
        for (user_id, code) in [(99, ShopCode::UserNotFound), (0, ShopCode::ParameterInvalid)] {
            let status = UserServiceClient::new(link.clone()).get_user(GetUserRequest { user_id }).await.unwrap_err();
            let error = ShopError::from_status(&status);
            assert_eq!((error.code, error.field.as_deref()), (code, Some("user_id")), "{}", test.name);
        }
    }
}

#[tokio::test]
async fn balances_are_those_of_the_users_that_exist() {
    for test in fresh().await {
        let mut client = BalanceServiceClient::new(link(&test));
        let asked = GetBalancesRequest { user_ids: vec![99, 1, 1] };
        let found = client.get_balances(asked).await.unwrap().into_inner().balances;
        assert_eq!(found, [UserBalance { user_id: 1, balance_fen: 1_000 }], "{}", test.name);
        let many = GetBalancesRequest { user_ids: (0..=1000).collect() };
        let status = client.get_balances(many).await.unwrap_err();
        assert_eq!(ShopError::from_status(&status).code, ShopCode::ParameterInvalid, "{}", test.name);
    }
}

#[tokio::test]
async fn balance_outcomes_come_in_the_order_of_the_commands() {
    use do_outcome::Kind::{Already, Cancelled, Done, Refused};
    use undo_outcome::Kind::{AlreadyUndone, NeverDone, Undone};
    for test in fresh().await {
        let link = link(&test);
        let mut client = BalanceServiceClient::new(link.clone());
        let orders = |orders: &[i64]| RefundBalanceRequest {
            commands: orders
                .iter()
                .map(|order_id| RefundBalanceCommand { order_id: *order_id, context: None })
                .collect(),
        };
        let undone = client.refund_balance(orders(&[4])).await.unwrap().into_inner().outcomes;
        assert_eq!(undone[0].kind(), NeverDone, "{}", test.name);

        let commands = vec![debit(1, 600), debit(2, 401), debit(1, 600), debit(4, 1), debit(3, 400)];
        let taken = client.debit_balance(DebitBalanceRequest { commands }).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = taken.iter().map(DoOutcome::kind).collect();
        assert_eq!(kinds, [Done, Refused, Already, Cancelled, Done], "{}", test.name);
        let refusal = taken[1].refusal.clone().unwrap();
        assert_eq!((&*refusal.reason, &*refusal.field), ("SHOP_MONEY_PAID_INVALID", "balance_used_fen"));
        assert_eq!(user_1(&link).await.balance_fen, 0, "{}", test.name);

        let undone = client.refund_balance(orders(&[1, 2, 1])).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = undone.iter().map(UndoOutcome::kind).collect();
        assert_eq!(kinds, [Undone, NeverDone, AlreadyUndone], "{}", test.name);
        assert_eq!(user_1(&link).await.balance_fen, 600, "{}", test.name);
    }
}

#[tokio::test]
async fn points_outcomes_come_in_the_order_of_the_commands() {
    use do_outcome::Kind::{Already, Cancelled, Done, Refused};
    use undo_outcome::Kind::{AlreadyUndone, NeverDone, Undone};
    for test in fresh().await {
        let link = link(&test);
        let mut client = PointsServiceClient::new(link.clone());
        let payments = |payments: &[i64]| ReversePointsRequest {
            commands: payments.iter().map(|pay_id| ReversePointsCommand { pay_id: *pay_id, context: None }).collect(),
        };
        let undone = client.reverse_points(payments(&[4])).await.unwrap().into_inner().outcomes;
        assert_eq!(undone[0].kind(), NeverDone, "{}", test.name);

        let commands = vec![award(1, 88_000), award(2, 0), award(1, 88_000), award(4, 100), award(3, 199)];
        let credited = client.award_points(AwardPointsRequest { commands }).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = credited.iter().map(DoOutcome::kind).collect();
        assert_eq!(kinds, [Done, Refused, Already, Cancelled, Done], "{}", test.name);
        assert_eq!(user_1(&link).await.score, 981, "{}", test.name);

        let undone = client.reverse_points(payments(&[1, 2, 1])).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = undone.iter().map(UndoOutcome::kind).collect();
        assert_eq!(kinds, [Undone, NeverDone, AlreadyUndone], "{}", test.name);
        assert_eq!(user_1(&link).await.score, 101, "{}", test.name);
    }
}

#[tokio::test]
async fn a_call_of_too_many_commands_is_refused_as_a_whole() {
    for test in fresh().await {
        let (link, before) = (link(&test), dump(&test.db).await);
        let mut balance = BalanceServiceClient::new(link.clone());
        let mut points = PointsServiceClient::new(link);
        let many = || 1..=1001;
        let commands = many().map(|order| debit(order, 1)).collect();
        let refund = many().map(|order_id| RefundBalanceCommand { order_id, context: None }).collect();
        let credits = many().map(|payment| award(payment, 1)).collect();
        let reverse = many().map(|pay_id| ReversePointsCommand { pay_id, context: None }).collect();
        let refused = [
            balance.debit_balance(DebitBalanceRequest { commands }).await.unwrap_err(),
            balance.refund_balance(RefundBalanceRequest { commands: refund }).await.unwrap_err(),
            points.award_points(AwardPointsRequest { commands: credits }).await.unwrap_err(),
            points.reverse_points(ReversePointsRequest { commands: reverse }).await.unwrap_err(),
        ];
        for status in refused {
            assert_eq!(ShopError::from_status(&status).code, ShopCode::ParameterInvalid, "{}", test.name);
        }
        assert_eq!(dump(&test.db).await, before, "{}", test.name);
    }
}
