//! What an operator does with messages that could not be sent.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Set, Statement};

use super::entity::{ActiveModel, Column, DISCARDED, Entity, PARKED, TO_BE_SENT};
use crate::{
    db::{Db, Result, Tx},
    dead::{Dealt, Deed, Letter, Place, State},
    mq::Outgoing,
    sql::cut,
    time::Millis,
};

/// All but the body, which may be large.
const HEADERS: &str = "SELECT id, msg_topic, msg_tag, msg_key, msg_status, attempts, create_ms, remark, operator, \
                       operator_ms, note FROM trade_mq_producer_temp";
/// Why nothing can be done about a message: it may be on its way this moment.
pub(crate) const WAITS: &str = "it waits to be sent";
/// As much of a reason as the column holds.
const NOTE_CHARS: usize = 500;
/// As much of a name as the column holds.
const NAME_CHARS: usize = 100;

#[derive(FromQueryResult)]
struct Header {
    id: String,
    msg_topic: String,
    msg_tag: String,
    msg_key: String,
    msg_status: i16,
    attempts: i64,
    create_ms: i64,
    remark: Option<String>,
    operator: Option<String>,
    operator_ms: Option<i64>,
    note: Option<String>,
}

/// Those that are parked; with `all`, those that were discarded or are being sent again too.
pub(crate) async fn letters(db: &Db, all: bool) -> Result<Vec<Letter>> {
    let db = db.read();
    let also = if all { " OR operator IS NOT NULL" } else { "" };
    let text = format!("{HEADERS} WHERE msg_status = {PARKED}{also} ORDER BY create_ms, id");
    let select = Statement::from_string(db.get_database_backend(), text);
    Ok(Header::find_by_statement(select).all(db).await?.into_iter().map(Letter::from).collect())
}

/// The body.
pub(crate) async fn body(db: &Db, id: &str) -> Result<Option<Vec<u8>>> {
    Ok(Entity::find_by_id(id).one(db.read()).await?.map(|row| row.msg_body.into_bytes()))
}

/// Owes it again.
pub(crate) async fn resend(tx: &Tx, id: &str, deed: &Deed<'_>) -> Result<Dealt> {
    match status(tx, id).await? {
        None => Ok(Dealt::Gone),
        Some(TO_BE_SENT) => Ok(Dealt::Already(WAITS.to_owned())),
        Some(DISCARDED) => Ok(Dealt::Refused("it was discarded".to_owned())),
        Some(_) => send(tx, id, deed).await,
    }
}

/// Gives up on it; the row stays.
pub(crate) async fn discard(tx: &Tx, id: &str, reason: &str, deed: &Deed<'_>) -> Result<Dealt> {
    match status(tx, id).await? {
        None => Ok(Dealt::Gone),
        Some(TO_BE_SENT) => Ok(Dealt::Refused(WAITS.to_owned())),
        Some(DISCARDED) => Ok(Dealt::Already("it was discarded before".to_owned())),
        Some(_) => {
            let text = "UPDATE trade_mq_producer_temp SET msg_status = 3, operator = ?, operator_ms = ?, note = ? \
                        WHERE id = ? AND msg_status = 2";
            let values =
                [cut(deed.who, NAME_CHARS).into(), deed.now.get().into(), cut(reason, NOTE_CHARS).into(), id.into()];
            changed(tx, text, values.to_vec()).await
        }
    }
}

/// Owes a message that was received and could not be handled, under the name `id`; if it is owed already, that stays.
pub(crate) async fn owe_again(tx: &Tx, id: &str, message: Outgoing, deed: &Deed<'_>) -> Result<Dealt> {
    match status(tx, id).await? {
        Some(TO_BE_SENT) => return Ok(Dealt::Already(WAITS.to_owned())),
        Some(_) => return send(tx, id, deed).await,
        None => {}
    }
    let row = ActiveModel {
        id: Set(id.to_owned()),
        group_name: Set(message.group),
        msg_topic: Set(message.topic),
        msg_tag: Set(message.tag),
        msg_key: Set(message.key),
        msg_body: Set(message.body),
        msg_status: Set(TO_BE_SENT),
        traceparent: Set(message.traceparent),
        create_ms: Set(deed.now.get()),
        due_ms: Set(Some(deed.now.get())),
        attempts: Set(0),
        remark: Set(None),
        deliver_at_ms: Set(None),
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(Dealt::Done)
}

/// Whether the row of this name is still to be sent.
pub(crate) async fn waits(tx: &Tx, id: &str) -> Result<bool> {
    Ok(status(tx, id).await? == Some(TO_BE_SENT))
}

async fn status(tx: &Tx, id: &str) -> Result<Option<i16>> {
    let row = Entity::find().filter(Column::Id.eq(id)).lock_exclusive().one(tx).await?;
    Ok(row.map(|row| row.msg_status))
}

async fn send(tx: &Tx, id: &str, deed: &Deed<'_>) -> Result<Dealt> {
    let text = "UPDATE trade_mq_producer_temp SET msg_status = 0, due_ms = ?, attempts = 0, remark = NULL, \
                operator = ?, operator_ms = ?, note = 'resent' WHERE id = ? AND msg_status <> 0";
    let now = deed.now.get();
    changed(tx, text, vec![now.into(), cut(deed.who, NAME_CHARS).into(), now.into(), id.into()]).await
}

/// Changes one row, whose state was decided on under lock.
async fn changed(tx: &Tx, text: &str, values: Vec<sea_orm::Value>) -> Result<Dealt> {
    let done = tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), text, values)).await?;
    if done.rows_affected() == 1 { Ok(Dealt::Done) } else { Err(crate::db::Failure::guard("trade_mq_producer_temp")) }
}

impl From<Header> for Letter {
    fn from(row: Header) -> Self {
        let state = match row.msg_status {
            TO_BE_SENT => State::Resent,
            DISCARDED => State::Discarded,
            _ => State::Open,
        };
        Self {
            topic: row.msg_topic,
            tag: row.msg_tag,
            key: row.msg_key,
            place: Place::Outbox(row.id),
            state,
            times: row.attempts,
            last: Millis::new(row.create_ms),
            reason: row.remark.unwrap_or_default(),
            retry: None,
            operator: row.operator,
            operated: row.operator_ms.map(Millis::new),
            note: row.note,
        }
    }
}
