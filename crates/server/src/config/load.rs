//! The layers of a configuration: defaults, then the file, then variables, then flags. What comes
//! later wins.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::Config;
use super::error::{ConfigError, Conflict, DidYouMean, Invalid, Origin};
use super::file;
use super::nearest::nearest;
use super::rabbitmq::{self, IgnoredKey};
use super::setting::{PASSWORD, PASSWORD_FILE, SETTINGS, Setting, by_key, nearest_key};
use super::value::Given;

/// What all our environment variables begin with.
const PREFIX: &str = "LEVERET_";

/// Names the configuration file where no flag does.
const CONFIG_VARIABLE: &str = "LEVERET_CONFIG";

/// Names a configuration file in RabbitMQ's form where nothing of ours names one.
const RABBITMQ_CONFIG_VARIABLE: &str = "RABBITMQ_CONFIG_FILE";

/// What a file in RabbitMQ's form ends with.
const RABBITMQ_EXTENSION: &str = "conf";

/// Variables of RabbitMQ's images, with the keys of ours. Each has a second form that ends with `_FILE` and names a
/// file with the value.
const RABBITMQ_VARIABLES: [(&str, &str, &str); 3] = [
    (
        "RABBITMQ_DEFAULT_USER",
        "RABBITMQ_DEFAULT_USER_FILE",
        "default_user.name",
    ),
    (
        "RABBITMQ_DEFAULT_PASS",
        "RABBITMQ_DEFAULT_PASS_FILE",
        PASSWORD,
    ),
    (
        "RABBITMQ_DEFAULT_VHOST",
        "RABBITMQ_DEFAULT_VHOST_FILE",
        "default_vhost",
    ),
];

/// Where the values come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file: TOML or, if its name ends with `.conf`, in RabbitMQ's form. Without one,
    /// `LEVERET_CONFIG` may name it, or `RABBITMQ_CONFIG_FILE` one in RabbitMQ's form; else there is none.
    pub file: Option<PathBuf>,
    /// The environment. Variables that don't begin with `LEVERET_`, but for a few of RabbitMQ's, are not looked at; an
    /// empty one counts as not set.
    pub variables: Vec<(OsString, OsString)>,
    /// Settings of the command line.
    pub flags: Vec<Flag>,
}

/// A setting on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The setting's key.
    pub key: &'static str,
    /// The flag with its dashes, for messages.
    pub name: &'static str,
    /// What was given; commas part the items of a list.
    pub value: String,
}

/// A configuration, and what looks like a mistake but may not be one.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, checked.
    pub config: Config,
    /// Variables that look like mistyped ones of ours.
    pub unknown_variables: Vec<UnknownVariable>,
    /// Keys of RabbitMQ's in the file that have no effect here.
    pub ignored_keys: Vec<IgnoredKey>,
}

/// A variable that begins as ours do and is nearly, but not, one of them. This is no error: an
/// orchestrator sets variables by the names of its services (`LEVERET_SERVICE_HOST`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The one that was meant, perhaps.
    pub nearest: &'static str,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown variable {:?}{}",
            self.name,
            DidYouMean(Some(self.nearest))
        )
    }
}

impl Config {
    /// The configuration that `sources` give together: a flag wins over a variable, a variable over
    /// the file, the file over the default. The first mistake, from the file on, ends it.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let variables = Variables(&sources.variables);
        let named = sources.file.clone().or_else(|| variables.config_file());
        let Some(path) = named.or_else(|| variables.rabbitmq_config_file()) else {
            return Self::assemble(None, sources);
        };
        let octets = std::fs::read(&path).map_err(|source| ConfigError::Unreadable {
            file: path.clone(),
            source,
        })?;
        Self::assemble(Some((&path, &octets)), sources)
    }

    /// The configuration that a file with this name and these octets gives alone. The name decides how it is read, as in
    /// [`Sources::file`], and stands in errors; no file of that name is looked at.
    pub fn parse(file: &Path, octets: &[u8]) -> Result<Loaded, ConfigError> {
        Self::assemble(Some((file, octets)), &Sources::default())
    }

    fn assemble(file: Option<(&Path, &[u8])>, sources: &Sources) -> Result<Loaded, ConfigError> {
        let variables = Variables(&sources.variables);
        let mut layers = Layers::default();
        let mut ignored_keys = Vec::new();
        if let Some((path, octets)) = file {
            if path
                .extension()
                .is_some_and(|end| end == RABBITMQ_EXTENSION)
            {
                ignored_keys = rabbitmq::read(&mut layers, path, octets)?;
            } else {
                file::read(&mut layers, path, octets)?;
            }
        }
        layers.read_rabbitmq_variables(&variables)?;
        layers.read_variables(&variables)?;
        for flag in &sources.flags {
            layers.read_flag(flag)?;
        }
        layers.check_password_once()?;
        layers
            .config
            .check_combinations(&|key| layers.origins.get(key).cloned())?;
        Ok(Loaded {
            config: layers.config,
            unknown_variables: variables.near_misses(),
            ignored_keys,
        })
    }
}

/// The configuration as far as it is read, and where each value of it came from.
#[derive(Default)]
pub(super) struct Layers {
    config: Config,
    /// By key; a default has none.
    origins: HashMap<&'static str, Origin>,
}

impl Layers {
    /// Sets one value. `origin` says where it stands, or an item of it.
    pub(super) fn set(
        &mut self,
        setting: &'static Setting,
        given: &Given<'_>,
        origin: impl Fn(Option<usize>) -> Origin,
    ) -> Result<(), ConfigError> {
        let invalid = |item, reason| ConfigError::Invalid {
            origin: Some(origin(item)),
            key: setting.key.into(),
            reason,
        };
        let field = (setting.field)(&mut self.config);
        let read = if setting.key == PASSWORD_FILE {
            let text = value_in(given).map_err(|reason| invalid(None, reason))?;
            field.read(&Given::Untyped(&text), &setting.allowed)
        } else {
            field.read(given, &setting.allowed)
        };
        read.map_err(|misread| invalid(misread.item, misread.reason))?;
        field
            .check(&setting.allowed)
            .map_err(|reason| invalid(None, reason))?;
        self.origins.insert(setting.key, origin(None));
        Ok(())
    }

    fn read_rabbitmq_variables(&mut self, variables: &Variables<'_>) -> Result<(), ConfigError> {
        for (name, file_name, key) in RABBITMQ_VARIABLES {
            let (value, file) = (variables.value(name), variables.value(file_name));
            let (variable, value) = match (value, file) {
                (Some(_), Some(_)) => {
                    return Err(ConfigError::Conflict {
                        origin: Some(Origin::Variable(file_name)),
                        conflict: Conflict::ValueTwice {
                            value: name,
                            file: file_name,
                        },
                    });
                }
                (Some(value), None) => (name, value),
                (None, Some(path)) => (file_name, path),
                (None, None) => continue,
            };
            let origin = || Origin::Variable(variable);
            let invalid = |reason| ConfigError::Invalid {
                origin: Some(origin()),
                key: key.into(),
                reason,
            };
            let text = value.to_str().ok_or_else(|| invalid(Invalid::Utf8))?;
            let text = if variable == file_name {
                value_in(&Given::Untyped(text)).map_err(invalid)?
            } else {
                text.to_owned()
            };
            if let Some(setting) = by_key(key) {
                self.set(setting, &Given::Untyped(&text), |_| origin())?;
            }
        }
        Ok(())
    }

    fn read_variables(&mut self, variables: &Variables<'_>) -> Result<(), ConfigError> {
        for setting in SETTINGS {
            let Some(value) = variables.value(setting.variable) else {
                continue;
            };
            let origin = || Origin::Variable(setting.variable);
            let text = value.to_str().ok_or_else(|| ConfigError::Invalid {
                origin: Some(origin()),
                key: setting.key.into(),
                reason: Invalid::Utf8,
            })?;
            self.set(setting, &Given::Untyped(text), |_| origin())?;
        }
        Ok(())
    }

    fn read_flag(&mut self, flag: &Flag) -> Result<(), ConfigError> {
        let origin = || Origin::Flag(flag.name);
        let setting = by_key(flag.key).ok_or_else(|| ConfigError::UnknownKey {
            origin: origin(),
            key: flag.key.to_owned(),
            nearest: nearest_key(flag.key),
        })?;
        self.set(setting, &Given::Untyped(&flag.value), |_| origin())
    }

    /// A password and a file with one from the same layer leave open which was meant.
    fn check_password_once(&self) -> Result<(), ConfigError> {
        let origin = self.origins.get(PASSWORD_FILE);
        let (password, file) = match (self.origins.get(PASSWORD), origin) {
            (Some(Origin::File { .. }), Some(Origin::File { .. })) => (PASSWORD, PASSWORD_FILE),
            (Some(Origin::Variable(password)), Some(Origin::Variable(file)))
                if password.starts_with(PREFIX) =>
            {
                (*password, *file)
            }
            _ => return Ok(()),
        };
        Err(ConfigError::Conflict {
            origin: origin.cloned(),
            conflict: Conflict::ValueTwice {
                value: password,
                file,
            },
        })
    }
}

/// The value in the file that `given` names. A line's end after it is not part of it: editors
/// and `echo` leave one.
fn value_in(given: &Given<'_>) -> Result<String, Invalid> {
    let path = Path::new(given.text().ok_or_else(|| given.instead_of("a path"))?);
    let octets = std::fs::read(path).map_err(|error| Invalid::Unreadable {
        file: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mut text = String::from_utf8(octets).map_err(|_| Invalid::Utf8)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// The environment as far as it is ours.
struct Variables<'s>(&'s [(OsString, OsString)]);

impl Variables<'_> {
    /// The value of a variable that is set and not empty.
    fn value(&self, name: &str) -> Option<&OsStr> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    fn config_file(&self) -> Option<PathBuf> {
        self.value(CONFIG_VARIABLE).map(PathBuf::from)
    }

    /// RabbitMQ adds the extension where it is missing.
    fn rabbitmq_config_file(&self) -> Option<PathBuf> {
        let path = PathBuf::from(self.value(RABBITMQ_CONFIG_VARIABLE)?);
        if path
            .extension()
            .is_some_and(|end| end == RABBITMQ_EXTENSION)
        {
            return Some(path);
        }
        let mut name = path.into_os_string();
        name.push(".");
        name.push(RABBITMQ_EXTENSION);
        Some(name.into())
    }

    fn near_misses(&self) -> Vec<UnknownVariable> {
        let known = || {
            SETTINGS
                .iter()
                .map(|setting| setting.variable)
                .chain([CONFIG_VARIABLE])
        };
        let ours = self
            .0
            .iter()
            .filter_map(|(name, _)| name.to_str())
            .filter(|name| name.starts_with(PREFIX));
        let unknown = ours.filter(|name| known().all(|variable| variable != *name));
        unknown
            .filter_map(|name| {
                // Without the part that all share, which would make up for many slips.
                let rest = nearest(
                    name.strip_prefix(PREFIX)?,
                    known().filter_map(|known| known.strip_prefix(PREFIX)),
                )?;
                let nearest = known().find(|known| known.strip_prefix(PREFIX) == Some(rest))?;
                Some(UnknownVariable {
                    name: name.to_owned(),
                    nearest,
                })
            })
            .collect()
    }
}
