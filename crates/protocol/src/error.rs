//! Errors as the wire knows them: a reply code, a reply text and the method at fault.
//!
//! The type says the blast radius: a [`ChannelError`] closes one channel, a [`ConnectionError`] the
//! whole connection. AMQP 0-9-1 section 1.2 calls them soft and hard.

use std::fmt;

use leveret_wire::{ShortString, method::AMQPClass};

use crate::limit::Limit;

/// Longest reply text in octets that a short string can carry (AMQP 0-9-1 section 4.2.5.3).
const REPLY_TEXT_MAX: usize = 255;

/// What is kept of a longer text; three dots follow. RabbitMQ cuts at the same place.
const REPLY_TEXT_KEPT: usize = 252;

/// The reply codes of AMQP 0-9-1 (section 1.2 of the specification, "constants").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum ReplyCode {
    /// 311: the client tried to transfer content larger than the server can take now.
    ContentTooLarge = 311,
    /// 312: no queue is bound for the message (only ever in `basic.return`).
    NoRoute = 312,
    /// 313: no consumer is ready for an immediate message (only ever in `basic.return`).
    NoConsumers = 313,
    /// 320: an operator closed the connection.
    ConnectionForced = 320,
    /// 402: the client named a virtual host path that cannot be.
    InvalidPath = 402,
    /// 403: the client may not do this.
    AccessRefused = 403,
    /// 404: the named entity does not exist.
    NotFound = 404,
    /// 405: another client holds the entity exclusively.
    ResourceLocked = 405,
    /// 406: a precondition of the method does not hold.
    PreconditionFailed = 406,
    /// 501: a frame could not be decoded.
    FrameError = 501,
    /// 502: a frame held an illegal value.
    SyntaxError = 502,
    /// 503: the method is not valid here.
    CommandInvalid = 503,
    /// 504: the channel is in the wrong state for the method.
    ChannelError = 504,
    /// 505: the frame was not expected, usually within content.
    UnexpectedFrame = 505,
    /// 506: the server lacks the resources.
    ResourceError = 506,
    /// 530: the client tried something that the server's rules forbid.
    NotAllowed = 530,
    /// 540: the server does not do this.
    NotImplemented = 540,
    /// 541: the server failed.
    InternalError = 541,
}

impl ReplyCode {
    /// The number on the wire.
    pub const fn as_u16(self) -> u16 {
        self as u16
    }

    /// The name that opens a reply text, such as `NOT_FOUND`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContentTooLarge => "CONTENT_TOO_LARGE",
            Self::NoRoute => "NO_ROUTE",
            Self::NoConsumers => "NO_CONSUMERS",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::InvalidPath => "INVALID_PATH",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether an error with this code ends only its channel.
    pub const fn is_soft(self) -> bool {
        matches!(
            self,
            Self::ContentTooLarge
                | Self::NoRoute
                | Self::NoConsumers
                | Self::AccessRefused
                | Self::NotFound
                | Self::ResourceLocked
                | Self::PreconditionFailed
        )
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.as_u16(), self.name())
    }
}

/// A soft error: `channel.close` is sent and the channel ends, the connection lives on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct ChannelError {
    /// Always a soft code.
    pub code: ReplyCode,
    /// The whole reply text, `<NAME> - <explanation>`, at most 255 octets.
    pub text: String,
    /// Class id of the method at fault; 0 if there is none.
    pub class: u16,
    /// Method id of the method at fault; 0 if there is none.
    pub method: u16,
    /// The limit that was met, if one was.
    pub limit: Option<Limit>,
}

/// A hard error: `connection.close` is sent and the connection ends with all its channels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct ConnectionError {
    /// Any code: a soft one raised on channel 0 closes the connection too.
    pub code: ReplyCode,
    /// The whole reply text, `<NAME> - <explanation>`, at most 255 octets.
    pub text: String,
    /// Class id of the method at fault; 0 if there is none.
    pub class: u16,
    /// Method id of the method at fault; 0 if there is none.
    pub method: u16,
    /// The limit that was met, if one was.
    pub limit: Option<Limit>,
}

/// One constructor for each code: the explanation goes in, the name is put before it.
macro_rules! constructors {
    ($($name:ident => $code:ident, $number:literal;)*) => {
        $(
            #[doc = concat!("Error ", $number, "; `explanation` comes without the name in front.")]
            pub fn $name(explanation: impl fmt::Display) -> Self {
                Self::with_code(ReplyCode::$code, &explanation)
            }
        )*
    };
}

/// What both kinds of error can do.
macro_rules! common {
    () => {
        fn with_code(code: ReplyCode, explanation: &dyn fmt::Display) -> Self {
            Self {
                code,
                text: reply_text(code, explanation),
                class: 0,
                method: 0,
                limit: None,
            }
        }

        /// Names the method at fault by its ids (`class-id` and `method-id` of the close method).
        #[must_use]
        pub fn at(mut self, class: u16, method: u16) -> Self {
            self.class = class;
            self.method = method;
            self
        }

        /// Says which limit was met.
        #[must_use]
        pub fn over(mut self, limit: Limit) -> Self {
            self.limit = Some(limit);
            self
        }

        /// Names the method at fault.
        #[must_use]
        pub fn at_method(self, method: &AMQPClass) -> Self {
            let class = method.get_amqp_class_id();
            let id = method.get_amqp_method_id();
            self.at(class, id)
        }

        /// The reply text as the close method carries it.
        pub(crate) fn short_text(&self) -> ShortString {
            short_string(&self.text)
        }
    };
}

impl ChannelError {
    constructors! {
        content_too_large => ContentTooLarge, "311 CONTENT_TOO_LARGE";
        access_refused => AccessRefused, "403 ACCESS_REFUSED";
        not_found => NotFound, "404 NOT_FOUND";
        resource_locked => ResourceLocked, "405 RESOURCE_LOCKED";
        precondition_failed => PreconditionFailed, "406 PRECONDITION_FAILED";
    }

    common!();
}

impl ConnectionError {
    constructors! {
        connection_forced => ConnectionForced, "320 CONNECTION_FORCED";
        invalid_path => InvalidPath, "402 INVALID_PATH";
        access_refused => AccessRefused, "403 ACCESS_REFUSED";
        frame_error => FrameError, "501 FRAME_ERROR";
        syntax_error => SyntaxError, "502 SYNTAX_ERROR";
        command_invalid => CommandInvalid, "503 COMMAND_INVALID";
        channel_error => ChannelError, "504 CHANNEL_ERROR";
        unexpected_frame => UnexpectedFrame, "505 UNEXPECTED_FRAME";
        resource_error => ResourceError, "506 RESOURCE_ERROR";
        not_allowed => NotAllowed, "530 NOT_ALLOWED";
        not_implemented => NotImplemented, "540 NOT_IMPLEMENTED";
        internal_error => InternalError, "541 INTERNAL_ERROR";
    }

    common!();
}

impl From<ChannelError> for ConnectionError {
    /// A soft error where there is no channel to close, so the connection goes.
    fn from(error: ChannelError) -> Self {
        let ChannelError {
            code,
            text,
            class,
            method,
            limit,
        } = error;
        Self {
            code,
            text,
            class,
            method,
            limit,
        }
    }
}

/// `<NAME> - <explanation>`, cut so that it fits a short string. The cut falls between characters,
/// so it may keep up to three octets less than RabbitMQ, which cuts through them.
fn reply_text(code: ReplyCode, explanation: &dyn fmt::Display) -> String {
    cut(format!("{} - {explanation}", code.name()))
}

fn cut(mut text: String) -> String {
    if text.len() > REPLY_TEXT_MAX {
        // Index 0 is always a boundary.
        let boundary = (0..=REPLY_TEXT_KEPT).rfind(|index| text.is_char_boundary(*index));
        text.truncate(boundary.unwrap_or_default());
        text.push_str("...");
    }
    text
}

/// `text` as a short string, cut like a reply text when it is too long for one.
pub(crate) fn short_string(text: &str) -> ShortString {
    ShortString::try_new(cut(text.to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_put_before_the_explanation_once() {
        let error = ChannelError::not_found("no queue 'q' in vhost '/'").at(50, 10);
        assert_eq!(error.text, "NOT_FOUND - no queue 'q' in vhost '/'");
        assert_eq!(
            (error.code.as_u16(), error.class, error.method),
            (404, 50, 10)
        );
    }

    #[test]
    fn a_long_text_keeps_252_octets_and_three_dots() {
        let fits = ChannelError::not_found("x".repeat(255 - "NOT_FOUND - ".len()));
        assert_eq!(fits.text.len(), 255);
        assert!(!fits.text.ends_with("..."));

        let long = ChannelError::not_found("x".repeat(256 - "NOT_FOUND - ".len()));
        assert_eq!(long.text.len(), 255);
        assert!(long.text.ends_with("x..."));
    }

    #[test]
    fn the_cut_never_splits_a_character() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "\u{1f407}".repeat(100));
            let error = ConnectionError::frame_error(text);
            assert!(error.text.len() <= 255, "{} octets", error.text.len());
            assert!(error.text.ends_with("\u{1f407}..."));
            assert_eq!(error.short_text().as_str(), error.text);
        }
    }

    #[test]
    fn soft_and_hard_codes_are_those_of_the_specification() {
        use ReplyCode as C;
        let soft = [
            C::ContentTooLarge,
            C::NoRoute,
            C::NoConsumers,
            C::AccessRefused,
            C::NotFound,
            C::ResourceLocked,
            C::PreconditionFailed,
        ];
        let hard = [
            C::ConnectionForced,
            C::InvalidPath,
            C::FrameError,
            C::SyntaxError,
            C::CommandInvalid,
            C::ChannelError,
            C::UnexpectedFrame,
            C::ResourceError,
            C::NotAllowed,
            C::NotImplemented,
            C::InternalError,
        ];
        assert!(soft.iter().all(|code| code.is_soft()));
        assert!(hard.iter().all(|code| !code.is_soft()));
        let numbers: Vec<u16> = soft.iter().chain(&hard).map(|code| code.as_u16()).collect();
        let expected = [
            311, 312, 313, 403, 404, 405, 406, 320, 402, 501, 502, 503, 504, 505, 506, 530, 540,
            541,
        ];
        assert_eq!(numbers, expected);
    }

    #[test]
    fn a_soft_error_without_a_channel_keeps_its_code_and_text() {
        let soft = ChannelError::access_refused("no").at(10, 40);
        let hard = ConnectionError::from(soft.clone());
        assert_eq!(
            (hard.code, hard.text, hard.class, hard.method),
            (soft.code, soft.text, 10, 40)
        );
    }
}
