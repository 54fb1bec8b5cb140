//! The one error table: number, name, gRPC code, HTTP status, verdict and text. Rendered to `docs/errors.md` by a test.
//!
//! Numbers follow the tutorial's families: 1xxxx order, 2xxxx goods, 3xxxx user, 4xxxx coupon, 5xxxx money,
//! 6xxxx messages, 7xxxx payment; 9xxxx is the system itself. Statuses are not errors and are not here (trap 50).

use tonic::Code;

/// What a caller may conclude from a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A definite no: nothing was done, asking again gives the same answer.
    Refused,
    /// Nothing was done: ask again later.
    Retry,
    /// It may or may not have been done: ask again under the same id.
    Unknown,
    /// Our fault.
    Bug,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The code.
    pub code: ShopCode,
    /// Stable number.
    pub number: i32,
    /// Stable name, the `reason` of `google.rpc.ErrorInfo`.
    pub name: &'static str,
    /// gRPC status.
    pub grpc: Code,
    /// HTTP status.
    pub http: u16,
    /// What a caller may conclude.
    pub verdict: Verdict,
    /// One sentence for a person.
    pub message: &'static str,
}

macro_rules! table {
    ($($variant:ident $number:literal $name:literal $grpc:ident $http:literal $verdict:ident $message:literal)*) => {
        /// A business code; the table is the module.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ShopCode {
            $(#[doc = $message] $variant,)*
        }

        /// All codes, by number.
        pub const TABLE: &[Row] = &[
            $(Row {
                code: ShopCode::$variant,
                number: $number,
                name: $name,
                grpc: Code::$grpc,
                http: $http,
                verdict: Verdict::$verdict,
                message: $message,
            },)*
        ];

        impl ShopCode {
            /// The code's row.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$variant => Row {
                        code: Self::$variant,
                        number: $number,
                        name: $name,
                        grpc: Code::$grpc,
                        http: $http,
                        verdict: Verdict::$verdict,
                        message: $message,
                    },)*
                }
            }
        }
    };
}

table! {
    ParameterInvalid     10000 "SHOP_REQUEST_PARAMETER_VALID"    InvalidArgument    400 Refused "a field of the request is missing, malformed or out of range"
    OrderInvalid         10001 "SHOP_ORDER_INVALID"              InvalidArgument    400 Refused "the order is empty or cannot be read"
    ShippingFeeInvalid   10002 "SHOP_ORDER_SHIPPINGFEE_INVALID"  InvalidArgument    400 Refused "the shipping fee is not the one the shop charges"
    OrderAmountInvalid   10003 "SHOP_ORDERAMOUNT_INVALID"        InvalidArgument    400 Refused "the order's total is not the one the shop computes"
    OrderNotFound        10004 "SHOP_ORDER_NO_EXIST"             NotFound           404 Refused "no such order"
    OrderCancelled       10005 "SHOP_ORDER_CANCELLED"            Aborted            409 Refused "the order was cancelled before it was confirmed; use a new request id"
    OrderNotCancellable  10006 "SHOP_ORDER_NOT_CANCELLABLE"      FailedPrecondition 409 Refused "an order in this state cannot be cancelled"
    OrderNotPayable      10007 "SHOP_ORDER_NOT_PAYABLE"          FailedPrecondition 409 Refused "an order in this state cannot be paid"
    OrderIsPaid          10008 "SHOP_ORDER_PAY_STATUS_IS_PAY"    FailedPrecondition 409 Refused "the order is already paid"
    IdempotencyConflict  10009 "SHOP_IDEMPOTENCY_CONFLICT"       AlreadyExists      422 Refused "the key was used for something else"
    InProgress           10010 "SHOP_IN_PROGRESS"                Aborted            409 Retry   "an order with this request id is still being confirmed"
    GoodsNotFound        20001 "SHOP_GOODS_NO_EXIST"             NotFound           404 Refused "no such goods"
    GoodsPriceInvalid    20002 "SHOP_GOODS_PRICE_INVALID"        FailedPrecondition 409 Refused "the price is not the one the shop charges"
    GoodsNotEnough       20003 "SHOP_GOODS_NUM_NOT_ENOUGH"       FailedPrecondition 409 Refused "not enough stock"
    UserNotFound         30001 "SHOP_USER_NO_EXIST"              NotFound           404 Refused "no such user"
    CouponNotFound       40001 "SHOP_COUPON_NO_EXIST"            NotFound           404 Refused "no such coupon"
    CouponInvalid        40002 "SHOP_COUPON_INVALIED"            FailedPrecondition 409 Refused "the coupon is used, expired or below its minimum"
    MoneyPaidNegative    50001 "SHOP_MONEY_PAID_LESS_ZERO"       InvalidArgument    400 Refused "the balance to use is negative"
    MoneyPaidInvalid     50002 "SHOP_MONEY_PAID_INVALID"         FailedPrecondition 409 Refused "the balance does not suffice"
    PaymentNotFound      70001 "SHOP_PAYMENT_NOT_FOUND"          NotFound           404 Refused "no such payment"
    AmountMismatch       70003 "SHOP_AMOUNT_MISMATCH"            InvalidArgument    400 Refused "the amount is not the amount due"
    SignatureInvalid     70004 "SHOP_SIGN_INVALID"               Unauthenticated    401 Refused "the notification's signature is missing or wrong"
    NotifyReplay         70005 "SHOP_NOTIFY_REPLAY"              FailedPrecondition 409 Refused "the notification is too old, from the future, or its id was used with another body"
    NotifyInvalid        70006 "SHOP_NOTIFY_INVALID"             InvalidArgument    400 Refused "the notification is genuine but not for a payment of this shop"
    ChannelUnknown       70007 "SHOP_CHANNEL_UNKNOWN"            InvalidArgument    400 Refused "no such payment channel"
    PaymentNotPaid       70010 "SHOP_PAYMENT_NOT_PAID"           FailedPrecondition 409 Refused "the payment was not paid"
    RefundTooMuch        70011 "SHOP_REFUND_TOO_MUCH"            FailedPrecondition 409 Refused "more than is left of the payment"
    RefundNotFound       70012 "SHOP_REFUND_NOT_FOUND"           NotFound           404 Refused "no such refund"
    Busy                 90001 "SHOP_BUSY"                       ResourceExhausted  429 Retry   "too much at once; try again shortly"
    Unavailable          90002 "SHOP_UNAVAILABLE"                Unavailable        503 Retry   "a service the shop depends on is away; try again"
    Unknown              90003 "SHOP_UNKNOWN"                    DeadlineExceeded   504 Unknown "not finished in time; ask again under the same id"
    Internal             90004 "SHOP_INTERNAL"                   Internal           500 Bug     "internal error"
}

impl ShopCode {
    /// The code of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.code)
    }

    /// The code of this number.
    pub fn from_number(number: i32) -> Option<Self> {
        TABLE.iter().find(|row| row.number == number).map(|row| row.code)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        let numbers: BTreeSet<i32> = TABLE.iter().map(|row| row.number).collect();
        let names: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!((numbers.len(), names.len()), (TABLE.len(), TABLE.len()));
    }

    #[test]
    fn the_page_shows_the_table() {
        let mut page = String::from(
            "# Errors\n\nRendered from `shop-common/src/code.rs` by its test; run it with `UPDATE_DOCS=1` to write this page anew.\n\n\
             A refusal is a gRPC status with `google.rpc.ErrorInfo { reason: name, domain: \"shop\" }`; over REST it is\n\
             `application/problem+json` with `code` (name) and `number`.\n\n\
             Verdict: *Refused* nothing was done, the same again gives the same answer; *Retry* nothing was done, ask again;\n\
             *Unknown* it may have been done, ask again under the same id; *Bug* our fault.\n\n\
             | number | name | gRPC | HTTP | verdict | meaning |\n|---|---|---|---|---|---|\n",
        );
        for row in TABLE {
            writeln!(
                page,
                "| {} | `{}` | {:?} | {} | {:?} | {} |",
                row.number, row.name, row.grpc, row.http, row.verdict, row.message
            )
            .unwrap();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        assert_eq!(fs::read_to_string(path).unwrap(), page);
    }
}
