//! The one error that leaves a service, and its way over gRPC and back.
//!
//! What a client may read is in [`ShopError`]; what only operators may read (SQL, addresses, causes) is logged where
//! it happens and never put here.

use std::{borrow::Cow, collections::HashMap, fmt, time::Duration};

use shop_proto::common::v1::{DoOutcome, Refusal, do_outcome};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    code::{ShopCode, Verdict},
    db::Failure,
};

/// `google.rpc.ErrorInfo.domain` of every error of the shop.
pub const DOMAIN: &str = "shop";

/// When to come back, where nothing was done and asking again may help: `google.rpc.RetryInfo`, `Retry-After` at REST.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error with a code of the table, the field at fault and one sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopError {
    /// Which of the table.
    pub code: ShopCode,
    /// The request field at fault.
    pub field: Option<Cow<'static, str>>,
    /// One sentence for a person; holds nothing internal.
    pub message: Cow<'static, str>,
}

/// Result of whatever can end in a [`ShopError`].
pub type Result<T, E = ShopError> = std::result::Result<T, E>;

impl ShopError {
    /// `code` at `field`, with the table's own text.
    pub const fn at(code: ShopCode, field: &'static str) -> Self {
        Self { code, field: Some(Cow::Borrowed(field)), message: Cow::Borrowed(code.row().message) }
    }

    /// A field that is missing, malformed or out of range, and why.
    pub fn invalid(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: ShopCode::ParameterInvalid, field: Some(Cow::Borrowed(field)), message: message.into() }
    }

    /// The same with another text.
    #[must_use]
    pub fn because(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// What a caller may conclude.
    pub const fn verdict(&self) -> Verdict {
        self.code.row().verdict
    }

    /// Reads the error out of a status, of this shop or of the transport.
    ///
    /// Without our details only the gRPC code is left. Anything but a definite answer of ours is *unknown*: the call
    /// may have run (a lost reply looks like `Unavailable`, a deadline like `Cancelled`, a stream that a proxy had enough
    /// of like `ResourceExhausted`).
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        if let Some(info) = details.error_info()
            && info.domain == DOMAIN
            && let Some(code) = ShopCode::from_name(&info.reason)
        {
            let field = info.metadata.get("field").cloned().map(Cow::Owned);
            return Self { code, field, message: Cow::Owned(status.message().to_owned()) };
        }
        match status.code() {
            Code::Internal | Code::Unimplemented | Code::InvalidArgument | Code::OutOfRange => {
                ShopCode::Internal.into()
            }
            _ => ShopCode::Unknown.into(),
        }
    }
}

impl From<ShopCode> for ShopError {
    fn from(code: ShopCode) -> Self {
        Self { code, field: None, message: Cow::Borrowed(code.row().message) }
    }
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.row().name, self.message)?;
        self.field.as_ref().map_or(Ok(()), |field| write!(f, " ({field})"))
    }
}

impl std::error::Error for ShopError {}

impl From<ShopError> for Status {
    fn from(error: ShopError) -> Self {
        let row = error.code.row();
        let mut metadata = HashMap::from([("number".to_owned(), row.number.to_string())]);
        if let Some(field) = error.field {
            metadata.insert("field".to_owned(), field.into_owned());
        }
        let mut details = ErrorDetails::with_error_info(row.name, DOMAIN, metadata);
        if row.verdict == Verdict::Retry {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Self::with_error_details(row.grpc, error.message.into_owned(), details)
    }
}

impl From<ShopError> for Refusal {
    fn from(error: ShopError) -> Self {
        Self {
            reason: error.code.row().name.to_owned(),
            field: error.field.unwrap_or_default().into_owned(),
            message: error.message.into_owned(),
        }
    }
}

impl From<Refusal> for ShopError {
    /// A reason of a newer version than ours stays a refusal, under the general code.
    fn from(refusal: Refusal) -> Self {
        let code = ShopCode::from_name(&refusal.reason).unwrap_or(ShopCode::ParameterInvalid);
        let field = (!refusal.field.is_empty()).then_some(Cow::Owned(refusal.field));
        Self { code, field, message: Cow::Owned(refusal.message) }
    }
}

impl From<ShopError> for DoOutcome {
    /// How an internal command answers a refusal of the rules.
    fn from(refusal: ShopError) -> Self {
        Self { kind: do_outcome::Kind::Refused.into(), refusal: Some(refusal.into()), detail: String::new() }
    }
}

impl From<Failure> for ShopError {
    /// A read that failed; the cause is logged here and told to nobody else.
    fn from(failure: Failure) -> Self {
        tracing::error!(%failure, "database failed");
        match failure {
            Failure::Rollback(_) => ShopCode::Internal.into(),
            Failure::Down(_) | Failure::NotRun(_) => ShopCode::Unavailable.into(),
        }
    }
}

impl From<Status> for Failure {
    /// A call that failed. Only where the other side says that nothing was done is that known.
    fn from(status: Status) -> Self {
        let why = status.to_string().into();
        if ShopError::from_status(&status).verdict() == Verdict::Retry { Self::NotRun(why) } else { Self::Down(why) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::TABLE;

    #[test]
    fn an_error_survives_the_wire() {
        let error = ShopError::at(ShopCode::GoodsNotEnough, "items[0].quantity");
        let status = Status::from(error.clone());
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(ShopError::from_status(&status), error);
    }

    #[test]
    fn a_foreign_status_is_never_a_refusal() {
        for code in [
            Code::Cancelled,
            Code::Unknown,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Unavailable,
            Code::Aborted,
            Code::DataLoss,
        ] {
            assert_eq!(ShopError::from_status(&Status::new(code, "x")).verdict(), Verdict::Unknown, "{code:?}");
        }
        assert_eq!(ShopError::from_status(&Status::new(Code::NotFound, "x")).verdict(), Verdict::Unknown);
    }

    #[test]
    fn only_a_retry_says_when_to_come_back() {
        for row in TABLE {
            let status = Status::from(ShopError::from(row.code));
            let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            assert_eq!(delay, (row.verdict == Verdict::Retry).then_some(RETRY_AFTER), "{}", row.name);
            let failure = Failure::from(status);
            assert_eq!(matches!(failure, Failure::NotRun(_)), row.verdict == Verdict::Retry, "{failure}");
        }
    }
}
