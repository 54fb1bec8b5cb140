//! The wire of the shop: gRPC services, message bodies and the topic table.
//!
//! Generated from `proto/shop/<service>/v1/<service>.proto`; the modules mirror the packages.
//! [`event`] holds the JSON bodies of messages, [`topic`] *the* table of topics, tags and consumer groups.

pub mod event;
pub mod topic;

macro_rules! generated {
    ($package:tt) => {
        #[doc = concat!("Package `", $package, "`.")]
        #[allow(missing_docs, clippy::all, clippy::pedantic, clippy::as_conversions, reason = "generated code")]
        pub mod v1 {
            tonic::include_proto!($package);
        }
    };
}

/// Envelope and outcomes of internal commands.
pub mod common {
    generated!("shop.common.v1");
}

/// Goods and stock.
pub mod goods {
    generated!("shop.goods.v1");
}

/// Coupons.
pub mod coupon {
    generated!("shop.coupon.v1");
}

/// Users, balance and points.
pub mod user {
    generated!("shop.user.v1");
}

/// Orders.
pub mod order {
    generated!("shop.order.v1");
}

/// Payments.
pub mod pay {
    generated!("shop.pay.v1");
}

/// Encoded `FileDescriptorSet` of all packages, for reflection and the breaking-change test.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shop.bin"));
