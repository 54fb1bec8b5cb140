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
        assert_eq!(serde_json::to_string(&confirmed).unwrap(), include_str!("../golden/order_confirm.json").trim());
        assert_eq!(serde_json::to_string(&cancelled).unwrap(), include_str!("../golden/order_cancel.json").trim());
        assert_eq!(serde_json::to_string(&paid).unwrap(), include_str!("../golden/pay_success.json").trim());
        assert_eq!(decode::<OrderCancelled>(include_bytes!("../golden/order_cancel.json")).unwrap(), cancelled);
    }

    #[test]
    fn another_version_is_undecodable() {
        assert!(decode::<OrderCancelled>(br#"{"version":2,"orderId":"1","userId":"1"}"#).is_err());
        assert!(decode::<OrderCancelled>(br#"{"version":1,"orderId":1,"userId":"1"}"#).is_err());
        assert!(decode::<OrderCancelled>(b"\xff").is_err());
    }
}
