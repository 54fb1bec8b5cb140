//! Notifications that were not believed.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use sha2::{Digest, Sha256};
use shop_common::{
    db::{Db, Result},
    error::ShopError,
    sql::{cut, insert_many},
    time::Millis,
};

use crate::entity::pay_rejected;

/// How long they are kept.
const KEPT: Duration = Duration::from_hours(72);
/// As much of a body as is kept.
const BODY_BYTES: usize = 4096;
/// As much of a field's name as the column holds.
const FIELD_CHARS: usize = 64;

/// Keeps a notification that was not believed, and drops those that are past their time.
pub(crate) async fn reject(
    db: &Db,
    channel: &str,
    headers: String,
    body: &[u8],
    why: &ShopError,
    now: Millis,
) -> Result<()> {
    let row = pay_rejected::ActiveModel {
        channel: Set(channel.to_owned()),
        create_ms: Set(now.get()),
        body_hash: Set(hex::encode(Sha256::digest(body))),
        reason: Set(why.code.row().name.to_owned()),
        field: Set(cut(why.field.as_deref().unwrap_or_default(), FIELD_CHARS)),
        body_bytes: Set(i64::try_from(body.len()).unwrap_or(i64::MAX)),
        body: Set(body.iter().copied().take(BODY_BYTES).collect()),
        headers: Set(headers),
    };
    let past = now.get().saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
    db.write_tx(async |tx| {
        pay_rejected::Entity::delete_many().filter(pay_rejected::Column::CreateMs.lt(past)).exec(tx).await?;
        insert_many(tx, vec![row]).await
    })
    .await
}
