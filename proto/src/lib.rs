//! The wire of the shop: gRPC services, message bodies and the topic table.
//!
//! Generated from `proto/shop/<service>/v1/<service>.proto`; the modules mirror the packages.
//! [`event`] holds the JSON bodies of messages, [`topic`] *the* table of topics, tags and consumer groups.

pub mod event;
pub mod topic;

/// Envelope and outcomes of internal commands.
pub mod common {
    /// Package `shop.common.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
        tonic::include_proto!("shop.common.v1");
    }
}

/// Goods and stock.
pub mod goods {
    /// Package `shop.goods.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
        tonic::include_proto!("shop.goods.v1");
    }
}

/// Coupons.
pub mod coupon {
    /// Package `shop.coupon.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
        tonic::include_proto!("shop.coupon.v1");
    }
}

/// Users, balance and points.
pub mod user {
    /// Package `shop.user.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
        tonic::include_proto!("shop.user.v1");
    }
}

/// Orders.
pub mod order {
    /// Package `shop.order.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
        tonic::include_proto!("shop.order.v1");
    }
}

/// Payments.
pub mod pay {
    /// Package `shop.pay.v1`.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
        tonic::include_proto!("shop.pay.v1");
    }
}

/// Encoded `FileDescriptorSet` of all packages, for reflection and the breaking-change test.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shop.bin"));
