//! Messages that could not be handled, with their original bytes (`trade_mq_consumer_log`): what cannot be decoded, and
//! what its handler failed on, until a later delivery of it succeeds. No effect relies on them; they are for operators
//! ([`crate::dead`]), who find here what the broker would let go after three days.

mod entity;
mod operator;

pub(crate) use operator::{body, discard, letters, resend};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};

use self::entity::{DISCARDED, FAILED, HANDLED};
use crate::{
    db::{Db, Result, Tx},
    mq::Incoming,
    sql::{self, cut},
    time::Millis,
};

/// As much of a reason as the column holds.
const REMARK_CHARS: usize = 500;
/// As much of a name or key as its column holds: a sender may send more.
const NAME_CHARS: usize = 100;

/// A message that could not be handled.
#[derive(Clone, Copy, Debug)]
pub struct Unhandled<'a> {
    /// The message.
    pub message: &'a Incoming,
    /// Why.
    pub reason: &'a str,
    /// When the broker delivers it again, if it does.
    pub retry: Option<Millis>,
}

/// Keeps messages of `group`, each once however often it comes.
pub async fn keep(db: &Db, group: &str, unhandled: &[Unhandled<'_>], now: Millis) -> Result<()> {
    if unhandled.is_empty() {
        return Ok(());
    }
    db.write_tx(async |tx| {
        for one in unhandled {
            keep_one(tx, group, one, now).await?;
        }
        Ok(())
    })
    .await
}

async fn keep_one(tx: &Tx, group: &str, unhandled: &Unhandled<'_>, now: Millis) -> Result<()> {
    let Unhandled { message, reason, retry } = unhandled;
    let tag = cut(&message.tag, NAME_CHARS);
    let [mut key, own_id] = keys(message);
    let mut known = entity::row(group, &tag, &key).lock_exclusive().one(tx).await?;
    // Whoever forges a message under the key of another must not displace it: the second is kept under its own id.
    if known.as_ref().is_some_and(|known| known.consumer_status == FAILED && known.msg_body != message.body) {
        known = entity::row(group, &tag, &own_id).lock_exclusive().one(tx).await?;
        key = own_id;
    }
    let times = known.as_ref().map_or(0, |known| known.consumer_times).saturating_add(1);
    // What an operator has discarded stays so, however often the broker still delivers it.
    let is_discarded =
        known.as_ref().is_some_and(|known| known.consumer_status == DISCARDED && known.msg_body == message.body);
    let parked = entity::ActiveModel {
        group_name: Set(group.to_owned()),
        msg_tag: Set(tag.clone()),
        msg_key: Set(key.clone()),
        msg_id: Set(cut(&message.msg_id, NAME_CHARS)),
        msg_topic: Set(cut(&message.topic, NAME_CHARS)),
        msg_body: Set(message.body.clone()),
        consumer_status: Set(if is_discarded { DISCARDED } else { FAILED }),
        consumer_times: Set(times),
        consumer_ms: Set(now.get()),
        remark: Set(cut(reason, REMARK_CHARS)),
        retry_ms: Set(retry.map(Millis::get)),
        ..entity::ActiveModel::default()
    };
    if known.is_some() {
        let set = entity::Entity::update_many().set(parked);
        let this = set.filter(entity::Column::GroupName.eq(group)).filter(entity::Column::MsgTag.eq(tag));
        this.filter(entity::Column::MsgKey.eq(key)).exec(tx).await?;
    } else {
        entity::Entity::insert(parked).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Takes note that `messages` of `group` were handled: those among them that were kept are open no more. Writes only
/// if there are any.
pub async fn handled(db: &Db, group: &str, messages: &[&Incoming], now: Millis) -> Result<()> {
    let tags = sql::padded(messages.iter().map(|message| cut(&message.tag, NAME_CHARS)));
    let all_keys = sql::padded(messages.iter().flat_map(|message| keys(message)));
    let open = entity::Entity::find()
        .filter(entity::Column::GroupName.eq(group))
        .filter(entity::Column::MsgTag.is_in(tags))
        .filter(entity::Column::MsgKey.is_in(all_keys))
        .filter(entity::Column::ConsumerStatus.eq(FAILED))
        .all(db.read())
        .await?;
    let is_done = |row: &&entity::Model| {
        // The same message, not another one under its key.
        let is_same = |message: &&Incoming| keys(message).contains(&row.msg_key) && message.body == row.msg_body;
        messages.iter().any(is_same)
    };
    let done: Vec<&entity::Model> = open.iter().filter(is_done).collect();
    if done.is_empty() {
        return Ok(());
    }
    db.write_tx(async |tx| {
        for row in &done {
            let set = entity::ActiveModel {
                consumer_status: Set(HANDLED),
                consumer_ms: Set(now.get()),
                retry_ms: Set(None),
                ..entity::ActiveModel::default()
            };
            let this = entity::Entity::update_many()
                .set(set)
                .filter(entity::Column::GroupName.eq(group))
                .filter(entity::Column::MsgTag.eq(&row.msg_tag))
                .filter(entity::Column::MsgKey.eq(&row.msg_key));
            // An operator may have been faster.
            this.filter(entity::Column::ConsumerStatus.eq(FAILED)).exec(tx).await?;
        }
        Ok(())
    })
    .await
}

/// Under what a message may be kept: its key, where it has one, and its id.
fn keys(message: &Incoming) -> [String; 2] {
    let id = cut(&message.msg_id, NAME_CHARS);
    let key = if message.key.is_empty() { id.clone() } else { cut(&message.key, NAME_CHARS) };
    [key, id]
}
