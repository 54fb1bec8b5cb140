//! Messages that could not be decoded, with their original bytes (`trade_mq_consumer_log`). No effect relies on them.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, Set};

use crate::{
    db::{Db, Result},
    mq::Incoming,
    time::Millis,
};

mod entity {
    //! The row.
    #![expect(unreachable_pub, reason = "sea-orm derives public items for public rows")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "trade_mq_consumer_log")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub group_name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub msg_tag: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub msg_key: String,
        pub msg_id: String,
        pub msg_topic: String,
        #[sea_orm(column_type = "Blob")]
        pub msg_body: Vec<u8>,
        pub consumer_status: i16,
        pub consumer_times: i64,
        pub consumer_ms: i64,
        pub remark: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The tutorial's number for *failed*.
const FAILED: i16 = 2;
/// As much of a reason as the column holds.
const REMARK_CHARS: usize = 500;
/// As much of a name or key as its column holds: a sender may send more.
const NAME_CHARS: usize = 100;

/// Keeps `message` of `group`, once however often it comes, and why it could not be handled.
pub async fn park(db: &Db, group: &str, message: &Incoming, reason: &str, now: Millis) -> Result<()> {
    let key = if message.key.is_empty() { &message.msg_id } else { &message.key };
    let (key, tag) = (cut(key, NAME_CHARS), cut(&message.tag, NAME_CHARS));
    db.write_tx(async |tx| {
        let row = Condition::all()
            .add(entity::Column::GroupName.eq(group))
            .add(entity::Column::MsgTag.eq(tag.as_str()))
            .add(entity::Column::MsgKey.eq(key.as_str()));
        let known = entity::Entity::find().filter(row.clone()).lock_exclusive().one(tx).await?;
        let times = known.as_ref().map_or(0, |known| known.consumer_times).saturating_add(1);
        let parked = entity::ActiveModel {
            group_name: Set(group.to_owned()),
            msg_tag: Set(tag),
            msg_key: Set(key),
            msg_id: Set(cut(&message.msg_id, NAME_CHARS)),
            msg_topic: Set(cut(&message.topic, NAME_CHARS)),
            msg_body: Set(message.body.clone()),
            consumer_status: Set(FAILED),
            consumer_times: Set(times),
            consumer_ms: Set(now.get()),
            remark: Set(cut(reason, REMARK_CHARS)),
        };
        if known.is_some() {
            entity::Entity::update_many().set(parked).filter(row).exec(tx).await?;
        } else {
            entity::Entity::insert(parked).exec_without_returning(tx).await?;
        }
        Ok(())
    })
    .await
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
