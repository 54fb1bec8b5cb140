//! What every provider keeps: trades by the merchant's number, refunds once by theirs and never above what was paid,
//! and which notifications are still to be sent.

use std::{collections::BTreeMap, time::Duration};

use shop_common::{money::Fen, time::Millis};

/// Where a trade stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The merchant has its code; no buyer has opened it. Alipay knows no trade yet.
    Announced,
    /// A buyer has opened it.
    Waiting,
    /// Paid, and perhaps refunded since.
    Paid,
    /// Over without payment.
    Closed,
}

/// A trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The merchant's number.
    pub out_trade_no: String,
    /// The provider's number.
    pub trade_no: String,
    /// How much the buyer is to pay.
    pub amount: Fen,
    /// What the buyer reads above it.
    pub subject: String,
    /// Where the merchant wants its notifications.
    pub notify_url: String,
    /// Where it stands.
    pub state: State,
    /// When it was announced.
    pub created: Millis,
    /// When it was paid.
    pub paid: Option<Millis>,
    /// How much went back.
    pub refunded: Fen,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The merchant's number.
    pub out_refund_no: String,
    /// Of which trade, by the merchant's number.
    pub out_trade_no: String,
    /// How much.
    pub amount: Fen,
    /// How much of the trade has gone back with it.
    pub total: Fen,
    /// When.
    pub at: Millis,
}

/// A trade as a merchant announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The merchant's number.
    pub out_trade_no: String,
    /// How much.
    pub amount: Fen,
    /// What the buyer reads.
    pub subject: String,
    /// Where notifications go.
    pub notify_url: String,
}

/// A definite no of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such trade, or no buyer has opened it yet.
    #[error("no such trade")]
    NotThere,
    /// The trade is closed.
    #[error("the trade is closed")]
    Closed,
    /// The trade is paid.
    #[error("the trade is paid")]
    Paid,
    /// The trade is not paid.
    #[error("the trade is not paid")]
    NotPaid,
    /// The number was used for something else.
    #[error("the number was used for something else")]
    Differs,
    /// More than was paid.
    #[error("more than was paid")]
    TooMuch,
}

/// A notification that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its own number, the same over resends.
    pub id: String,
    /// The trade as it was when this happened.
    pub trade: Trade,
    /// The refund it tells of; none for a payment.
    pub refund: Option<Refund>,
    /// How often it was sent before.
    pub attempts: usize,
}

/// A movement of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// When.
    pub at: Millis,
    /// The trade.
    pub trade: Trade,
    /// The refund; none for a payment.
    pub refund: Option<Refund>,
}

#[derive(Clone, Debug)]
struct Notice {
    told: Due,
    due: Option<Millis>,
}

/// The books.
#[derive(Clone, Debug, Default)]
pub struct Books {
    trades: BTreeMap<String, Trade>,
    refunds: BTreeMap<String, Refund>,
    notices: Vec<Notice>,
}

impl Books {
    /// Announces a trade; a repeat finds it.
    ///
    /// # Errors
    /// [`Refused::Differs`], [`Refused::Paid`], [`Refused::Closed`].
    pub fn announce(&mut self, new: Announcement, now: Millis) -> Result<&Trade, Refused> {
        let Announcement { out_trade_no, amount, subject, notify_url } = new;
        let trade_no = self.next_number(now);
        let trade = self.trades.entry(out_trade_no.clone()).or_insert(Trade {
            out_trade_no,
            trade_no,
            amount,
            subject,
            notify_url,
            state: State::Announced,
            created: now,
            paid: None,
            refunded: Fen::ZERO,
        });
        match trade.state {
            _ if trade.amount != amount => Err(Refused::Differs),
            State::Paid => Err(Refused::Paid),
            State::Closed => Err(Refused::Closed),
            State::Announced | State::Waiting => Ok(trade),
        }
    }

    /// A buyer opens the code.
    ///
    /// # Errors
    /// [`Refused::NotThere`].
    pub fn open(&mut self, out_trade_no: &str) -> Result<&Trade, Refused> {
        let trade = self.trades.get_mut(out_trade_no).ok_or(Refused::NotThere)?;
        if trade.state == State::Announced {
            trade.state = State::Waiting;
        }
        Ok(trade)
    }

    /// The buyer pays; paying again changes nothing.
    ///
    /// # Errors
    /// [`Refused::NotThere`], [`Refused::Closed`].
    pub fn pay(&mut self, out_trade_no: &str, now: Millis) -> Result<Trade, Refused> {
        let (trade, is_new) = self.pay_untold(out_trade_no, now)?;
        if is_new {
            self.tell(&trade, None, now);
        }
        Ok(trade)
    }

    /// The same without a notification, for whoever tells the merchant himself; whether this call paid it.
    ///
    /// # Errors
    /// [`Refused::NotThere`], [`Refused::Closed`].
    pub fn pay_untold(&mut self, out_trade_no: &str, now: Millis) -> Result<(Trade, bool), Refused> {
        let trade = self.trades.get_mut(out_trade_no).ok_or(Refused::NotThere)?;
        match trade.state {
            State::Closed => Err(Refused::Closed),
            State::Paid => Ok((trade.clone(), false)),
            State::Announced | State::Waiting => {
                trade.state = State::Paid;
                trade.paid = Some(now);
                Ok((trade.clone(), true))
            }
        }
    }

    /// Closes what nobody has paid; closing again changes nothing.
    ///
    /// # Errors
    /// [`Refused::NotThere`], [`Refused::Paid`].
    pub fn close(&mut self, out_trade_no: &str) -> Result<&Trade, Refused> {
        let trade = self.trades.get_mut(out_trade_no).ok_or(Refused::NotThere)?;
        if trade.state == State::Paid {
            return Err(Refused::Paid);
        }
        trade.state = State::Closed;
        Ok(trade)
    }

    /// Pays back, once by its number; whether this call did it.
    ///
    /// # Errors
    /// [`Refused::NotThere`], [`Refused::NotPaid`], [`Refused::Differs`], [`Refused::TooMuch`].
    pub fn refund(
        &mut self,
        out_refund_no: &str,
        out_trade_no: &str,
        amount: Fen,
        now: Millis,
    ) -> Result<(Refund, bool), Refused> {
        if let Some(known) = self.refunds.get(out_refund_no) {
            let same = known.out_trade_no == out_trade_no && known.amount == amount;
            return if same { Ok((known.clone(), false)) } else { Err(Refused::Differs) };
        }
        let trade = self.trades.get_mut(out_trade_no).ok_or(Refused::NotThere)?;
        if trade.state != State::Paid {
            return Err(Refused::NotPaid);
        }
        let total = trade.refunded.checked_add(amount).filter(|total| *total <= trade.amount);
        let total = total.filter(|_| amount > Fen::ZERO).ok_or(Refused::TooMuch)?;
        trade.refunded = total;
        let trade = trade.clone();
        let (out_refund_no, out_trade_no) = (out_refund_no.to_owned(), out_trade_no.to_owned());
        let refund = Refund { out_refund_no: out_refund_no.clone(), out_trade_no, amount, total, at: now };
        self.refunds.insert(out_refund_no, refund.clone());
        self.tell(&trade, Some(refund.clone()), now);
        Ok((refund, true))
    }

    /// The trade of this number.
    pub fn trade(&self, out_trade_no: &str) -> Option<&Trade> {
        self.trades.get(out_trade_no)
    }

    /// The refund of this number.
    pub fn refund_of(&self, out_refund_no: &str) -> Option<&Refund> {
        self.refunds.get(out_refund_no)
    }

    /// How many refunds there are.
    pub fn refunds(&self) -> usize {
        self.refunds.len()
    }

    /// How many notifications are still to be sent, now or later.
    pub fn to_send(&self) -> usize {
        self.notices.iter().filter(|notice| notice.due.is_some()).count()
    }

    /// What moved from `from` until before `until`, in the order of time.
    pub fn booked(&self, from: Millis, until: Millis) -> Vec<Booked> {
        let trade_of = |out_trade_no: &str| self.trades.get(out_trade_no).cloned();
        let paid = self
            .trades
            .values()
            .filter_map(|trade| Some(Booked { at: trade.paid?, trade: trade.clone(), refund: None }));
        let back = self.refunds.values().filter_map(|refund| {
            Some(Booked { at: refund.at, trade: trade_of(&refund.out_trade_no)?, refund: Some(refund.clone()) })
        });
        let mut booked: Vec<Booked> = paid.chain(back).filter(|line| line.at >= from && line.at < until).collect();
        booked.sort_by(|a, b| (a.at, &a.trade.out_trade_no).cmp(&(b.at, &b.trade.out_trade_no)));
        booked
    }

    /// Takes what is due: each comes again after the gap that follows its number of attempts, or never.
    pub(crate) fn claim_due(&mut self, gaps: &[Duration], now: Millis) -> Vec<Due> {
        let mut claimed = Vec::new();
        for notice in self.notices.iter_mut().filter(|notice| notice.due.is_some_and(|due| due <= now)) {
            claimed.push(notice.told.clone());
            notice.due = gaps.get(notice.told.attempts).map(|gap| now.after(*gap));
            notice.told.attempts = notice.told.attempts.saturating_add(1);
        }
        claimed
    }

    /// Puts a notification off without counting an attempt.
    pub(crate) fn put_off(&mut self, id: &str, until: Millis) {
        if let Some(notice) = self.notices.iter_mut().find(|notice| notice.told.id == id) {
            notice.due = Some(until);
            notice.told.attempts = notice.told.attempts.saturating_sub(1);
        }
    }

    /// Sends it no more.
    pub(crate) fn acknowledge(&mut self, id: &str) {
        if let Some(notice) = self.notices.iter_mut().find(|notice| notice.told.id == id) {
            notice.due = None;
        }
    }

    /// What would be sent at `now`.
    pub fn due(&self, now: Millis) -> Vec<Due> {
        let due = self.notices.iter().filter(|notice| notice.due.is_some_and(|due| due <= now));
        due.map(|notice| notice.told.clone()).collect()
    }

    fn tell(&mut self, trade: &Trade, refund: Option<Refund>, now: Millis) {
        let id = format!("{}{:08}", now.get(), self.notices.len());
        let told = Due { id, trade: trade.clone(), refund, attempts: 0 };
        self.notices.push(Notice { told, due: Some(now) });
    }

    fn next_number(&self, now: Millis) -> String {
        format!("2088{}{:08}", now.get(), self.trades.len())
    }
}

#[cfg(test)]
mod tests;
