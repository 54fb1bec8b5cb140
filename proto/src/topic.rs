//! *The* table of messages: topic, tag, who sends, who listens, how, and what stands in when a message is lost.
//!
//! Every service that listens has a group of its own, `<service>_<topic>_<tag>_group` (trap 36: the course shares one
//! group between four services, so each message would reach only one of them).

/// How a group receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each message goes to one member of the group; an error is retried, then dead-lettered.
    Clustering,
    /// Each message goes to every member; an error drops it (RocketMQ never retries a broadcast).
    Broadcasting,
}

/// A consumer group of a message kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The service that listens.
    pub service: &'static str,
    /// The group's name.
    pub name: &'static str,
}

/// One kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Topic.
    pub topic: &'static str,
    /// Tag.
    pub tag: &'static str,
    /// The producer group, `<service>_producer_group`.
    pub producer: &'static str,
    /// How its groups receive.
    pub delivery: Delivery,
    /// Who listens.
    pub groups: &'static [Group],
    /// What reaches the same end state when the message is lost.
    pub fallback: &'static str,
}

/// An order was confirmed: display only.
pub const ORDER_CONFIRM: Kind = Kind {
    topic: "orderTopic",
    tag: "order_confirm",
    producer: "order_producer_group",
    delivery: Delivery::Clustering,
    groups: &[],
    fallback: "none needed: display only",
};

/// An order was cancelled: goods, coupon, user and pay give back what it took.
pub const ORDER_CANCEL: Kind = Kind {
    topic: "orderTopic",
    tag: "order_cancel",
    producer: "order_producer_group",
    delivery: Delivery::Broadcasting,
    groups: &[
        Group { service: "goods", name: "goods_orderTopic_order_cancel_group" },
        Group { service: "coupon", name: "coupon_orderTopic_order_cancel_group" },
        Group { service: "user", name: "user_orderTopic_order_cancel_group" },
        Group { service: "pay", name: "pay_orderTopic_order_cancel_group" },
    ],
    fallback: "trade_order.owed",
};

/// Orders may not have been paid in time: a delayed hint, by delay levels alone, armed again until their deadline.
pub const ORDER_TIMEOUT: Kind = Kind {
    topic: "orderTimeoutTopic",
    tag: "order_timeout",
    producer: "order_producer_group",
    delivery: Delivery::Clustering,
    groups: &[Group { service: "order", name: "order_orderTimeoutTopic_order_timeout_group" }],
    fallback: "trade_order.due_ms",
};

/// A payment was paid: the order is marked paid, points are credited.
pub const PAY_SUCCESS: Kind = Kind {
    topic: "payTopic",
    tag: "pay_success",
    producer: "pay_producer_group",
    delivery: Delivery::Clustering,
    groups: &[
        Group { service: "order", name: "order_payTopic_pay_success_group" },
        Group { service: "user", name: "user_payTopic_pay_success_group" },
    ],
    fallback: "trade_pay.owed",
};

/// All kinds.
pub const ALL: [Kind; 4] = [ORDER_CONFIRM, ORDER_CANCEL, ORDER_TIMEOUT, PAY_SUCCESS];

impl Kind {
    /// The group of `service`, if it listens to this kind.
    pub fn group_of(&self, service: &str) -> Option<&'static str> {
        self.groups.iter().find(|group| group.service == service).map(|group| group.name)
    }
}

/// How `group` receives, if it is one of ours.
pub fn delivery_of(group: &str) -> Option<Delivery> {
    let listens = |kind: &&Kind| kind.groups.iter().any(|other| other.name == group);
    ALL.iter().find(listens).map(|kind| kind.delivery)
}

/// The group names that more than one service claims; must be empty before anything subscribes.
pub fn shared_groups(kinds: &[Kind]) -> Vec<&'static str> {
    let all: Vec<&Group> = kinds.iter().flat_map(|kind| kind.groups).collect();
    all.iter()
        .filter(|a| all.iter().any(|b| a.name == b.name && a.service != b.service))
        .map(|group| group.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_services_share_a_group() {
        assert!(shared_groups(&ALL).is_empty());
        let wrong = Kind {
            groups: &[Group { service: "goods", name: "g" }, Group { service: "user", name: "g" }],
            ..ORDER_CANCEL
        };
        assert_eq!(shared_groups(&[wrong]), ["g", "g"]);
    }

    #[test]
    fn groups_are_named_after_service_topic_and_tag() {
        for kind in ALL {
            for group in kind.groups {
                assert_eq!(group.name, format!("{}_{}_{}_group", group.service, kind.topic, kind.tag));
            }
        }
    }
}
