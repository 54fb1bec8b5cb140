//! What the other services are asked: the order's judgement, and the points.

use std::collections::BTreeSet;

use shop_common::{
    id::PayId,
    id::RefundId,
    link::{BETWEEN_SERVICES, call},
    trace::TraceParent,
};
use shop_proto::{
    common::v1::{CommandContext, do_outcome, undo_outcome},
    order::v1::{
        MarkPaidCommand, MarkPaidRequest, MarkRefundedCommand, MarkRefundedRequest, mark_paid_outcome::Kind,
        order_state_service_client::OrderStateServiceClient,
    },
    user::v1::{
        AwardPointsCommand, AwardPointsRequest, ReversePointsCommand, ReversePointsRequest,
        points_service_client::PointsServiceClient,
    },
};

use super::Sweeper;
use crate::{
    payment::{Payment, owed::Owed, refund::Cause},
    store,
    tx::StartRefund,
};

impl Sweeper {
    /// Asks the orders to judge; answers with the payments that are bound and notes what was decided.
    pub(super) async fn judge(&self, payments: &[&Payment]) -> BTreeSet<PayId> {
        let mut bound = BTreeSet::new();
        if payments.is_empty() {
            return bound;
        }
        let commands = payments.iter().map(|payment| mark_paid(payment)).collect();
        let mut orders = OrderStateServiceClient::new(self.orders.clone());
        let outcomes = match self
            .order_retries
            .ask(orders.mark_paid(call(MarkPaidRequest { commands }, BETWEEN_SERVICES)))
            .await
        {
            Ok(answer) => answer.into_inner().outcomes,
            Err(status) => {
                tracing::warn!(%status, payments = payments.len(), "orders cannot be asked; asking again later");
                return bound;
            }
        };
        for (payment, outcome) in payments.iter().zip(outcomes) {
            match outcome.kind() {
                Kind::Bound | Kind::AlreadyBound => drop(bound.insert(payment.pay_id)),
                Kind::NotBoundCancelled => self.give_back(payment, Cause::OrderCancelled).await,
                Kind::NotBoundPaidByOther => self.give_back(payment, Cause::PaidByOther).await,
                Kind::NotBoundAmount => self.give_back(payment, Cause::WrongAmount).await,
                Kind::NotYet => tracing::info!(pay.id = %payment.pay_id, "the order is not confirmed yet"),
                Kind::NotFound => {
                    tracing::error!(
                        pay.id = %payment.pay_id,
                        order.id = %payment.order_id,
                        "payment {} is paid, but its order {} is not there: an operator must look",
                        payment.pay_id,
                        payment.order_id,
                    );
                }
                Kind::NotRun | Kind::Unknown | Kind::Unspecified => {
                    tracing::warn!(pay.id = %payment.pay_id, detail = outcome.detail, "the order did not answer");
                }
            }
        }
        self.cleared(bound.iter().copied(), Owed::ORDER).await;
        bound
    }

    /// The order said no: all of the money goes back, and the points with it.
    async fn give_back(&self, payment: &Payment, cause: Cause) {
        let pay_id = payment.pay_id;
        let refund_id = match self.ids.next().await {
            Ok(id) => RefundId::new(id),
            Err(error) => return tracing::warn!(pay.id = %pay_id, %error, "no refund id; asking again later"),
        };
        match self.start_refund.run(StartRefund { refund_id, pay_id, cause }, None).await {
            Ok(started) => tracing::info!(pay.id = %pay_id, ?cause, ?started, "payment {pay_id} goes back"),
            Err(error) => tracing::warn!(pay.id = %pay_id, %error, "refund not started; asking again later"),
        }
    }

    /// Tells the orders whose payments an operator gave back whole: each is refunded, or over already.
    pub(super) async fn tell_orders(&self, payments: &[&Payment]) {
        if payments.is_empty() {
            return;
        }
        let reasons = match store::last_reasons(self.db.read(), payments).await {
            Ok(reasons) => reasons,
            Err(error) => return tracing::warn!(%error, "refunds cannot be read; trying again later"),
        };
        let command = |payment: &&Payment| MarkRefundedCommand {
            context: Some(context()),
            order_id: payment.order_id.get(),
            pay_id: payment.pay_id.get(),
            reason: reasons.get(&payment.pay_id).cloned().unwrap_or_default(),
        };
        let request = MarkRefundedRequest { commands: payments.iter().map(command).collect() };
        let mut orders = OrderStateServiceClient::new(self.orders.clone());
        let outcomes = match self.order_retries.ask(orders.mark_refunded(call(request, BETWEEN_SERVICES))).await {
            Ok(answer) => answer.into_inner().outcomes,
            Err(status) => return tracing::warn!(%status, "orders cannot be told of refunds; trying again later"),
        };
        let mut told = Vec::new();
        for (payment, outcome) in payments.iter().zip(outcomes) {
            match outcome.kind() {
                do_outcome::Kind::Done | do_outcome::Kind::Already => told.push(payment.pay_id),
                do_outcome::Kind::NotRun | do_outcome::Kind::Unknown => {
                    tracing::warn!(pay.id = %payment.pay_id, detail = outcome.detail, "order cannot be told of its refund yet");
                }
                kind => {
                    let (pay_id, order_id) = (payment.pay_id, payment.order_id);
                    tracing::error!(pay.id = %pay_id, order.id = %order_id, ?kind, detail = outcome.detail, "order {order_id} does not take the refund of payment {pay_id}");
                }
            }
        }
        self.cleared(told, Owed::TELL_ORDER).await;
    }

    /// Credits points; a tombstone means that they were reversed before.
    pub(super) async fn award(&self, payments: &[&Payment]) {
        if payments.is_empty() {
            return;
        }
        let command = |payment: &&Payment| AwardPointsCommand {
            context: Some(context()),
            pay_id: payment.pay_id.get(),
            user_id: payment.user_id.get(),
            paid_fen: payment.amount.get(),
        };
        let request = AwardPointsRequest { commands: payments.iter().map(command).collect() };
        let mut points = PointsServiceClient::new(self.points.clone());
        let outcomes = match self.user_retries.ask(points.award_points(call(request, BETWEEN_SERVICES))).await {
            Ok(answer) => answer.into_inner().outcomes,
            Err(status) => return tracing::warn!(%status, "points cannot be credited; asking again later"),
        };
        let mut done = Vec::new();
        for (payment, outcome) in payments.iter().zip(outcomes) {
            match outcome.kind() {
                do_outcome::Kind::Done | do_outcome::Kind::Already | do_outcome::Kind::Cancelled => {
                    done.push(payment.pay_id);
                }
                do_outcome::Kind::Refused => {
                    let reason = outcome.refusal.map(|refusal| refusal.reason).unwrap_or_default();
                    tracing::error!(pay.id = %payment.pay_id, reason, "points of payment {} are refused", payment.pay_id);
                }
                do_outcome::Kind::NotRun | do_outcome::Kind::Unknown | do_outcome::Kind::Unspecified => {
                    tracing::warn!(pay.id = %payment.pay_id, detail = outcome.detail, "points not credited yet");
                }
            }
        }
        self.cleared(done, Owed::POINTS).await;
    }

    /// Takes points back; *never done* leaves a tombstone that keeps a late credit out.
    pub(super) async fn reverse(&self, payments: &[&Payment]) {
        if payments.is_empty() {
            return;
        }
        let command =
            |payment: &&Payment| ReversePointsCommand { context: Some(context()), pay_id: payment.pay_id.get() };
        let request = ReversePointsRequest { commands: payments.iter().map(command).collect() };
        let mut points = PointsServiceClient::new(self.points.clone());
        let outcomes = match self.user_retries.ask(points.reverse_points(call(request, BETWEEN_SERVICES))).await {
            Ok(answer) => answer.into_inner().outcomes,
            Err(status) => return tracing::warn!(%status, "points cannot be taken back; asking again later"),
        };
        let mut done = Vec::new();
        for (payment, outcome) in payments.iter().zip(outcomes) {
            match outcome.kind() {
                undo_outcome::Kind::Undone | undo_outcome::Kind::NeverDone | undo_outcome::Kind::AlreadyUndone => {
                    done.push(payment.pay_id);
                }
                undo_outcome::Kind::NotRun | undo_outcome::Kind::Unknown | undo_outcome::Kind::Unspecified => {
                    tracing::warn!(pay.id = %payment.pay_id, detail = outcome.detail, "points not taken back yet");
                }
            }
        }
        self.cleared(done, Owed::REVERSE_POINTS).await;
    }
}

fn mark_paid(payment: &Payment) -> MarkPaidCommand {
    MarkPaidCommand {
        context: Some(context()),
        order_id: payment.order_id.get(),
        pay_id: payment.pay_id.get(),
        amount_fen: payment.amount.get(),
    }
}

/// No deadline: what is owed is owed.
fn context() -> CommandContext {
    CommandContext { remaining_ms: 0, traceparent: TraceParent::current().to_string() }
}
