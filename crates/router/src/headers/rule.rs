//! What a binding's arguments ask of a message.

use super::value;
use crate::binding::BindError;
use crate::erlang::value_text;
use leveret_wire::{AMQPValue, FieldTable, type_name};

/// How many of a rule's terms a message has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    All,
    Any,
}

/// One term of a rule, before it has a number.
pub(super) struct Criterion<'a> {
    /// The name of the header.
    pub(super) key: &'a [u8],
    /// The canonical form of its value; `None` if its presence is enough.
    pub(super) value: Option<Vec<u8>>,
}

/// The `x-match` of `arguments`: its mode, and whether keys that begin with `x-` count. `all` if
/// there is none.
pub(super) fn matching(arguments: &FieldTable) -> Result<(Mode, bool), BindError> {
    match arguments.inner().get("x-match") {
        None => Ok((Mode::All, false)),
        Some(given @ AMQPValue::LongString(word)) => match word.as_bytes() {
            b"all" => Ok((Mode::All, false)),
            b"all-with-x" => Ok((Mode::All, true)),
            b"any" => Ok((Mode::Any, false)),
            b"any-with-x" => Ok((Mode::Any, true)),
            _ => Err(BindError::BadXMatchValue(value_text(given))),
        },
        Some(given) => Err(BindError::BadXMatchType(
            type_name(given),
            value_text(given),
        )),
    }
}

/// The rule of `arguments` that were checked.
pub(super) fn criteria(arguments: &FieldTable) -> (Mode, Vec<Criterion<'_>>) {
    let (mode, with_x) = matching(arguments).unwrap_or((Mode::All, false));
    let counts = |key: &str| key != "x-match" && (with_x || !key.starts_with("x-"));
    let criteria = arguments
        .into_iter()
        .filter(|(key, _)| counts(key.as_str()))
        .map(|(key, given)| Criterion {
            key: key.as_str().as_bytes(),
            // A value of type void asks only that the header be there.
            value: (*given != AMQPValue::Void).then(|| {
                let mut canonical = Vec::new();
                value::write_argument(given, &mut canonical);
                canonical
            }),
        })
        .collect();
    (mode, criteria)
}
