//! The rule of the work order (the course, text 001): what becomes of a hold past its time, by the state of its order. No database,
//! no clock, no async.

use shop_proto::order::v1::{OrderState, OrderStatus, PayStatus};

/// What becomes of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The order is paid: the stock is its own.
    Keep,
    /// The order is over: the stock goes back.
    Release,
    /// The order may still become either: ask again later.
    Wait,
    /// There is no such order. Its row is always written before anything is taken, so this is a restored or a wrong
    /// database, and releasing would sell what somebody paid for.
    NoOrder,
}

impl Fate {
    /// As the owner of the order says.
    pub(crate) fn of(state: &OrderState) -> Self {
        if !state.found {
            return Self::NoOrder;
        }
        match state.status() {
            OrderStatus::Cancelled | OrderStatus::Invalid | OrderStatus::Refunded => Self::Release,
            OrderStatus::Confirmed if state.pay_status() == PayStatus::Paid => Self::Keep,
            OrderStatus::Confirmed | OrderStatus::Unconfirmed => Self::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_s_state_decides() {
        use OrderStatus::{Cancelled, Confirmed, Invalid, Refunded, Unconfirmed};
        for (status, pay_status, fate) in [
            (Unconfirmed, PayStatus::Unpaid, Fate::Wait),
            (Unconfirmed, PayStatus::Paid, Fate::Wait),
            (Confirmed, PayStatus::Unpaid, Fate::Wait),
            (Confirmed, PayStatus::Paying, Fate::Wait),
            (Confirmed, PayStatus::Paid, Fate::Keep),
            (Cancelled, PayStatus::Unpaid, Fate::Release),
            (Cancelled, PayStatus::Paying, Fate::Release),
            (Invalid, PayStatus::Unpaid, Fate::Release),
            (Refunded, PayStatus::Paid, Fate::Release),
        ] {
            let (status, pay_status) = (status.into(), pay_status.into());
            let state = OrderState { found: true, status, pay_status, ..OrderState::default() };
            assert_eq!(Fate::of(&state), fate, "{state:?}");
            assert_eq!(Fate::of(&OrderState { found: false, ..state }), Fate::NoOrder);
        }
    }

    #[test]
    fn a_status_of_a_later_version_is_waited_for() {
        let state = OrderState { found: true, status: 99, pay_status: 2, ..OrderState::default() };
        assert_eq!(Fate::of(&state), Fate::Wait);
    }
}
