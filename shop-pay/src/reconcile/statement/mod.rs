//! Statements: what a channel says it did on one day, as the file its merchants download.
//!
//! A channel's day is that of Beijing (UTC+8), whatever the zone of this machine.

mod alipay;
mod sandbox;
mod wechat;

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::civil::Date;
use shop_common::{
    id::{PayId, RefundId},
    money::Fen,
    time::Millis,
};

use crate::{Config, channel::beijing};

pub(crate) use sandbox::write as write_sandbox;

/// What moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Movement {
    /// Money of a buyer came in for this payment.
    Payment(PayId),
    /// Money of this payment went back under this refund number.
    Refund(PayId, RefundId),
}

/// One line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What moved.
    pub movement: Movement,
    /// How much, never negative.
    pub amount: Fen,
    /// The channel's own number of the trade.
    pub channel_trade_no: String,
    /// When, by the channel's clock.
    pub at: Millis,
}

/// A whole statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// What moved.
    pub lines: Vec<Line>,
    /// Whose it says it is; nobody's where it does not say.
    pub merchants: BTreeSet<String>,
}

/// A day of Beijing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

/// The format of a channel's statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own: `at,kind,pay_id,refund_id,trade_no,amount`.
    Sandbox,
    /// Alipay's 业务明细 (CSV in GBK or UTF-8; lines with `#` are comments).
    Alipay,
    /// WeChat Pay's `tradebill` of type ALL (CSV in UTF-8; each value begins with a backtick).
    Wechat,
}

/// A statement that cannot be read; nothing of it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStatement {
    /// A line is wrong.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A column is missing.
    #[error("there is no column {0}")]
    Column(&'static str),
    /// It does not end as every whole one does, or its sums are not those of its lines.
    #[error("{0}: this is not the whole statement")]
    NotWhole(String),
    /// It is another merchant's.
    #[error("the statement is of merchant {theirs}, and {key} says {ours}")]
    Foreign {
        /// Whose it is.
        theirs: String,
        /// Where it stands who we are.
        key: &'static str,
        /// Who we are.
        ours: String,
    },
    /// Its lines are of more than one day, or there is none and no day was given.
    #[error("{0}")]
    Day(String),
    /// There is no such channel, or its statements cannot be read.
    #[error("statements of channel {0} cannot be read; known are sandbox, alipay and wechat")]
    Channel(String),
}

impl Movement {
    /// The payment it is about.
    pub const fn pay_id(self) -> PayId {
        match self {
            Self::Payment(pay_id) | Self::Refund(pay_id, _) => pay_id,
        }
    }

    /// The refund it is.
    pub const fn refund_id(self) -> Option<RefundId> {
        match self {
            Self::Payment(_) => None,
            Self::Refund(_, refund_id) => Some(refund_id),
        }
    }
}

impl fmt::Display for Movement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payment(pay_id) => write!(f, "payment {pay_id}"),
            Self::Refund(pay_id, refund_id) => write!(f, "refund {refund_id} of payment {pay_id}"),
        }
    }
}

impl FromStr for Format {
    type Err = BadStatement;

    fn from_str(channel: &str) -> Result<Self, BadStatement> {
        match channel {
            "sandbox" => Ok(Self::Sandbox),
            "alipay" => Ok(Self::Alipay),
            "wechat" => Ok(Self::Wechat),
            other => Err(BadStatement::Channel(other.to_owned())),
        }
    }
}

impl Format {
    /// Reads a whole statement, or says which line is wrong.
    ///
    /// # Errors
    /// [`BadStatement`].
    pub fn read(self, file: &[u8]) -> Result<Statement, BadStatement> {
        match self {
            Self::Sandbox => sandbox::read(file),
            Self::Alipay => alipay::read(file),
            Self::Wechat => wechat::read(file),
        }
    }

    /// Refuses a statement of another merchant than the configuration says we are, where it says so.
    ///
    /// # Errors
    /// [`BadStatement::Foreign`].
    pub fn check_merchant(self, statement: &Statement, config: &Config) -> Result<(), BadStatement> {
        let (key, ours) = match self {
            // There is no other: it is our own.
            Self::Sandbox => return Ok(()),
            Self::Alipay => ("pay.alipay.seller_id", &config.alipay.seller_id),
            Self::Wechat => ("pay.wechat.mchid", &config.wechat.mchid),
        };
        let is_ours = |theirs: &str| theirs == ours || (self == Self::Alipay && alipay::is_of(theirs, ours));
        match statement.merchants.iter().find(|theirs| !is_ours(theirs)) {
            Some(theirs) if !ours.is_empty() => {
                Err(BadStatement::Foreign { theirs: theirs.clone(), key, ours: ours.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl Day {
    /// The day of all `lines`; `given` where there are none, and to be checked where there are.
    ///
    /// # Errors
    /// [`BadStatement::Day`].
    pub fn of(lines: &[Line], given: Option<Self>) -> Result<Self, BadStatement> {
        let first = given.or_else(|| lines.first().and_then(|line| Self::at(line.at)));
        let day = first.ok_or_else(|| BadStatement::Day("the statement is empty: say of which day it is".into()))?;
        match lines.iter().find(|line| !day.contains(line.at)) {
            Some(line) => {
                let (what, at) = (line.movement, beijing::written(line.at));
                Err(BadStatement::Day(format!("{what} was at {at}, which is not {day}")))
            }
            None => Ok(day),
        }
    }

    /// The day of a moment.
    fn at(moment: Millis) -> Option<Self> {
        beijing::date(moment).map(Self)
    }

    /// Whether `moment` is of this day.
    pub fn contains(self, moment: Millis) -> bool {
        Self::at(moment) == Some(self)
    }

    /// Its first moment, and the first one after it.
    pub fn bounds(self) -> (Millis, Millis) {
        let start = |date: Date| beijing::millis(date.at(0, 0, 0, 0)).unwrap_or(Millis::new(i64::MAX));
        (start(self.0), self.0.tomorrow().map_or(Millis::new(i64::MAX), start))
    }
}

impl FromStr for Day {
    type Err = BadStatement;

    fn from_str(text: &str) -> Result<Self, BadStatement> {
        text.parse().map(Self).map_err(|_| BadStatement::Day(format!("{text} is not a day like 2026-11-24")))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A table with a header: its columns by name, its rows with the line they stand in.
struct Table {
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    fn read(text: &str, builder: &csv::ReaderBuilder) -> Result<Self, BadStatement> {
        let mut reader = builder.from_reader(text.as_bytes());
        let bad = |error: csv::Error| {
            let line = error.position().map_or(0, csv::Position::line);
            BadStatement::Line { line, why: error.to_string() }
        };
        let header = reader.headers().map_err(bad)?.clone();
        let rows = reader.records().collect::<Result<_, _>>().map_err(bad)?;
        Ok(Self { header, rows })
    }

    fn column(&self, name: &'static str) -> Result<usize, BadStatement> {
        self.header.iter().position(|column| column.trim() == name).ok_or(BadStatement::Column(name))
    }
}

/// A row, read by column; what is wrong names its line.
struct Row<'a>(&'a csv::StringRecord);

impl Row<'_> {
    fn text(&self, column: usize) -> &str {
        self.0.get(column).unwrap_or_default().trim().trim_start_matches('`')
    }

    fn bad(&self, why: impl Into<String>) -> BadStatement {
        BadStatement::Line { line: self.0.position().map_or(0, csv::Position::line), why: why.into() }
    }

    fn id(&self, column: usize) -> Result<i64, BadStatement> {
        let text = self.text(column);
        text.parse().ok().filter(|id| *id > 0).ok_or_else(|| self.bad(format!("`{text}` is not a number of ours")))
    }

    /// An amount of yuan; refunds may stand with a minus.
    fn amount(&self, column: usize) -> Result<Fen, BadStatement> {
        let text = self.text(column);
        let digits = text.strip_prefix('-').unwrap_or(text);
        Fen::parse_lenient(digits).map_err(|_| self.bad(format!("`{text}` is not an amount of yuan")))
    }

    fn moment(&self, column: usize) -> Result<Millis, BadStatement> {
        let text = self.text(column);
        beijing::read(text).ok_or_else(|| self.bad(format!("`{text}` is not a time like 2026-11-24 08:30:00")))
    }
}

#[cfg(test)]
mod tests;
