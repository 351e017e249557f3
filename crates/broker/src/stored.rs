//! What stands in a store, for people to read: the program's `store dump`.

use leveret_wire::Message;

use crate::definitions::split_key;
use crate::stored_form;
use crate::time::Time;

/// A definition as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDefinition {
    /// What it defines: `user`, `vhost`, `exchange`, `queue`, `binding`, ...
    pub kind: String,
    /// The names that identify it, the vhost first unless it is a user; octets that are no text are replaced.
    pub names: Vec<String>,
    /// The rest of it. Password hashes are left out.
    pub value: serde_json::Value,
}

impl StoredDefinition {
    /// Read a definition; `None` if it is none that this version knows.
    pub fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (kind, names) = split_key(key)?;
        let mut value: serde_json::Value = serde_json::from_slice(value).ok()?;
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !name.contains("password"));
        }
        let names = names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        Some(Self {
            kind: kind.to_owned(),
            names: names.collect(),
            value,
        })
    }
}

/// The message that was stored, and the moment at which it expires: [`Time::NEVER`] for most.
pub fn stored_message(stored: Message) -> (Message, Time) {
    stored_form::read(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions;
    use crate::users::UserRecord;
    use leveret_store::Change;

    #[test]
    fn a_user_is_shown_without_the_password() {
        let record = UserRecord::new("secret", vec!["management".to_owned()]);
        let Change::Put { key, value } = definitions::put_user("ann", &record.unwrap()) else {
            panic!("a user is put");
        };
        let read = StoredDefinition::read(&key, &value).unwrap();
        assert_eq!(
            (read.kind.as_str(), read.names),
            ("user", vec!["ann".to_owned()])
        );
        assert_eq!(read.value["tags"], serde_json::json!(["management"]));
        assert_eq!(read.value.get("password_hash"), None);
        assert_eq!(StoredDefinition::read(b"no key", b"{}"), None);
    }
}
