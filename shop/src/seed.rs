//! `shop seed`: the course's goods, user and coupon as they were before its order.

use shop_common::{db::Failure, migrate::seed as run};

use crate::audit::Schemas;

/// Writes the course's rows; a second run changes nothing.
pub async fn seed(schemas: &Schemas) -> Result<(), Failure> {
    run(&schemas.goods, shop_goods::SEED).await?;
    run(&schemas.coupon, shop_coupon::SEED).await?;
    run(&schemas.user, shop_user::SEED).await
}
