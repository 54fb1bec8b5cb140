//! What an operator does with messages that could not be handled.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Set, Statement};
use sha2::{Digest, Sha256};

use super::{
    NAME_CHARS, REMARK_CHARS,
    entity::{ActiveModel, Column, DISCARDED, Entity, FAILED, HANDLED, Model, row},
};
use crate::{
    db::{Db, Result, Tx},
    dead::{Dealt, Deed, Letter, Place, State},
    mq::{self, Outgoing},
    outbox,
    sql::cut,
    time::Millis,
    trace::TraceParent,
};

/// All but the body, which may be large.
const HEADERS: &str = "SELECT group_name, msg_tag, msg_key, msg_topic, consumer_status, consumer_times, consumer_ms, \
                       remark, retry_ms, operator, operator_ms, note FROM trade_mq_consumer_log";
const ORDER: &str = "ORDER BY consumer_ms, group_name, msg_tag, msg_key";

#[derive(FromQueryResult)]
struct Header {
    group_name: String,
    msg_tag: String,
    msg_key: String,
    msg_topic: String,
    consumer_status: i16,
    consumer_times: i64,
    consumer_ms: i64,
    remark: String,
    retry_ms: Option<i64>,
    operator: Option<String>,
    operator_ms: Option<i64>,
    note: Option<String>,
}

/// Those that are open; with `all`, those that were handled after all or discarded too.
pub(crate) async fn letters(db: &Db, all: bool) -> Result<Vec<Letter>> {
    let db = db.read();
    let filter = if all { String::new() } else { format!("WHERE consumer_status = {FAILED}") };
    let select = Statement::from_string(db.get_database_backend(), format!("{HEADERS} {filter} {ORDER}"));
    let headers = Header::find_by_statement(select).all(db).await?;
    Ok(headers.into_iter().map(Letter::from).collect())
}

/// The original bytes.
pub(crate) async fn body(db: &Db, group: &str, tag: &str, key: &str) -> Result<Option<Vec<u8>>> {
    Ok(row(group, tag, key).one(db.read()).await?.map(|row| row.msg_body))
}

/// Owes the message again: to its topic, with its bytes, by the outbox of this schema.
pub(crate) async fn resend(tx: &Tx, group: &str, tag: &str, key: &str, deed: &Deed<'_>) -> Result<Dealt> {
    let Some(kept) = row(group, tag, key).lock_exclusive().one(tx).await? else { return Ok(Dealt::Gone) };
    match kept.consumer_status {
        HANDLED => return Ok(Dealt::Already("it was handled after all".to_owned())),
        DISCARDED => return Ok(Dealt::Refused("it was discarded".to_owned())),
        _ => {}
    }
    let id = resend_id(&kept);
    let outgoing = match again(&kept) {
        Ok(outgoing) => outgoing,
        Err(why) => return Ok(Dealt::Refused(why)),
    };
    let dealt = outbox::owe_again(tx, &id, outgoing, deed).await?;
    if matches!(dealt, Dealt::Done) {
        mark(tx, &kept, ActiveModel::default(), deed, "resent").await?;
    }
    Ok(dealt)
}

/// Gives up on it; the row stays.
pub(crate) async fn discard(
    tx: &Tx,
    group: &str,
    tag: &str,
    key: &str,
    reason: &str,
    deed: &Deed<'_>,
) -> Result<Dealt> {
    let Some(kept) = row(group, tag, key).lock_exclusive().one(tx).await? else { return Ok(Dealt::Gone) };
    match kept.consumer_status {
        HANDLED => return Ok(Dealt::Refused("it was handled after all".to_owned())),
        DISCARDED => return Ok(Dealt::Already("it was discarded before".to_owned())),
        _ => {}
    }
    if outbox::waits(tx, &resend_id(&kept)).await? {
        return Ok(Dealt::Refused(outbox::WAITS.to_owned()));
    }
    let set = ActiveModel { consumer_status: Set(DISCARDED), retry_ms: Set(None), ..ActiveModel::default() };
    mark(tx, &kept, set, deed, reason).await?;
    Ok(Dealt::Done)
}

/// Writes `set` and who did it.
async fn mark(tx: &Tx, kept: &Model, set: ActiveModel, deed: &Deed<'_>, note: &str) -> Result<()> {
    let set = ActiveModel {
        operator: Set(Some(cut(deed.who, NAME_CHARS))),
        operator_ms: Set(Some(deed.now.get())),
        note: Set(Some(cut(note, REMARK_CHARS))),
        ..set
    };
    let this = Entity::update_many()
        .set(set)
        .filter(Column::GroupName.eq(&kept.group_name))
        .filter(Column::MsgTag.eq(&kept.msg_tag))
        .filter(Column::MsgKey.eq(&kept.msg_key));
    this.exec(tx).await?;
    Ok(())
}

/// The message as it goes out again, or why it cannot.
fn again(kept: &Model) -> Result<Outgoing, String> {
    let body = String::from_utf8(kept.msg_body.clone())
        .map_err(|error| format!("its bytes are no UTF-8 text ({error}): it can only be discarded"))?;
    let outgoing = Outgoing {
        group: kept.group_name.clone(),
        topic: kept.msg_topic.clone(),
        tag: kept.msg_tag.clone(),
        key: kept.msg_key.clone(),
        body,
        traceparent: TraceParent::start().to_string(),
        delay: None,
    };
    mq::check(&outgoing).map_err(|error| format!("the broker would never take it ({error})"))?;
    Ok(outgoing)
}

/// One row of the outbox for one kept message: a second resend meets the first.
fn resend_id(kept: &Model) -> String {
    let Model { group_name, msg_tag, msg_key, .. } = kept;
    let digest = Sha256::digest(format!("{group_name}\n{msg_tag}\n{msg_key}"));
    format!("resend:{}", hex::encode(digest))
}

impl From<Header> for Letter {
    fn from(row: Header) -> Self {
        let state = match row.consumer_status {
            HANDLED => State::Handled,
            DISCARDED => State::Discarded,
            _ => State::Open,
        };
        Self {
            topic: row.msg_topic,
            tag: row.msg_tag.clone(),
            key: row.msg_key.clone(),
            place: Place::Log { group: row.group_name, tag: row.msg_tag, key: row.msg_key },
            state,
            times: row.consumer_times,
            last: Millis::new(row.consumer_ms),
            reason: row.remark,
            retry: row.retry_ms.map(Millis::new),
            operator: row.operator,
            operated: row.operator_ms.map(Millis::new),
            note: row.note,
        }
    }
}
