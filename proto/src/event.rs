//! Bodies of messages: JSON, versioned, the course's field names, ids as strings, money as decimal strings of yuan.
//!
//! A message is a hint: its receiver asks the owner for the state and acts on the answer, never on the body. So only
//! the id matters to receivers; the rest is for people. The bodies are pinned by `golden/*.json`.

use serde::{Deserialize, Serialize};

/// Version of all bodies; a body of another version is parked, not guessed at.
pub const VERSION: u32 = 1;

/// Body of `orderTopic` / `order_confirm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderConfirmed {
    /// [`VERSION`].
    pub version: u32,
    /// The order.
    #[serde(with = "id")]
    pub order_id: i64,
    /// The buyer.
    #[serde(with = "id")]
    pub user_id: i64,
    /// What is due, decimal yuan.
    pub pay_amount: String,
}

/// Body of `orderTopic` / `order_cancel`; the course's `CancelOrderMQ`, less what a receiver must not trust (trap 20).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// [`VERSION`].
    pub version: u32,
    /// The order.
    #[serde(with = "id")]
    pub order_id: i64,
    /// The buyer.
    #[serde(with = "id")]
    pub user_id: i64,
}

/// Body of `payTopic` / `pay_success`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentSucceeded {
    /// [`VERSION`].
    pub version: u32,
    /// The payment.
    #[serde(with = "id")]
    pub pay_id: i64,
    /// The order it pays.
    #[serde(with = "id")]
    pub order_id: i64,
    /// What was paid, decimal yuan.
    pub pay_amount: String,
}

/// Body of `orderTimeoutTopic` / `order_timeout`: orders that were confirmed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderTimeout {
    /// [`VERSION`].
    pub version: u32,
    /// The orders, at most [`TIMEOUT_ORDERS_MAX`].
    #[serde(with = "ids")]
    pub order_ids: Vec<i64>,
}

/// Most orders of one [`OrderTimeout`]; a body of more is forged.
pub const TIMEOUT_ORDERS_MAX: usize = 1000;

/// Why a body cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Undecodable(pub String);

/// Reads a body of this version.
///
/// # Errors
/// Not JSON, a field missing or of the wrong type, or another version.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Undecodable> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let undecodable = |error: serde_json::Error| Undecodable(error.to_string());
    let versioned: Versioned = serde_json::from_slice(body).map_err(undecodable)?;
    if versioned.version != VERSION {
        return Err(Undecodable(format!("version {} is not {VERSION}", versioned.version)));
    }
    serde_json::from_slice(body).map_err(undecodable)
}

/// Ids travel as strings, because JavaScript rounds integers above 2^53.
mod id {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom("an id is a decimal string"))
    }
}

/// Several ids, each as a string.
mod ids {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::TIMEOUT_ORDERS_MAX;

    pub(super) fn serialize<S: Serializer>(ids: &[i64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.len() > TIMEOUT_ORDERS_MAX {
            return Err(D::Error::custom(format!("{} ids", texts.len())));
        }
        let ids = texts.into_iter().map(|text| text.parse().map_err(|_| D::Error::custom("an id is a decimal string")));
        ids.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_pinned_by_golden_files() {
        let confirmed = OrderConfirmed {
            version: 1,
            order_id: 352_537_369_385_242_624,
            user_id: 345_963_634_385_633_280,
            pay_amount: "880.00".into(),
        };
        let cancelled =
            OrderCancelled { version: 1, order_id: 352_537_369_385_242_624, user_id: 345_963_634_385_633_280 };
        let paid = PaymentSucceeded {
            version: 1,
            pay_id: 352_542_415_984_402_432,
            order_id: 352_537_369_385_242_624,
            pay_amount: "880.00".into(),
        };
        let timeout = OrderTimeout { version: 1, order_ids: vec![352_537_369_385_242_624, 352_537_369_385_242_625] };
        assert_eq!(serde_json::to_string(&timeout).unwrap(), include_str!("../golden/order_timeout.json").trim());
        assert_eq!(decode::<OrderTimeout>(include_bytes!("../golden/order_timeout.json")).unwrap(), timeout);
        assert_eq!(serde_json::to_string(&confirmed).unwrap(), include_str!("../golden/order_confirm.json").trim());
        assert_eq!(serde_json::to_string(&cancelled).unwrap(), include_str!("../golden/order_cancel.json").trim());
        assert_eq!(serde_json::to_string(&paid).unwrap(), include_str!("../golden/pay_success.json").trim());
        assert_eq!(decode::<OrderCancelled>(include_bytes!("../golden/order_cancel.json")).unwrap(), cancelled);
    }

    #[test]
    fn a_timeout_lists_a_bounded_number_of_orders() {
        let body = |orders: usize| OrderTimeout { version: 1, order_ids: vec![1; orders] };
        let is_read = |orders| decode::<OrderTimeout>(&serde_json::to_vec(&body(orders)).unwrap()).is_ok();
        assert_eq!([0, 1, TIMEOUT_ORDERS_MAX, TIMEOUT_ORDERS_MAX + 1].map(is_read), [true, true, true, false]);
    }

    #[test]
    fn another_version_is_undecodable() {
        assert!(decode::<OrderCancelled>(br#"{"version":2,"orderId":"1","userId":"1"}"#).is_err());
        assert!(decode::<OrderCancelled>(br#"{"version":1,"orderId":1,"userId":"1"}"#).is_err());
        assert!(decode::<OrderCancelled>(b"\xff").is_err());
    }
}
