//! The lines of RabbitMQ's configuration file: `key = value`, and comments from `#` to the line's end. A value in
//! single quotes may hold a `#`.

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// Words parted by points; a point within a word stands behind a backslash.
    pub(super) key: String,
    /// Without spaces around it, quotes or comment; perhaps empty.
    pub(super) value: String,
}

/// What cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// From 1.
    pub(super) line: usize,
    pub(super) reason: String,
}

/// All settings of a file.
pub(super) fn read(octets: &[u8]) -> Result<Vec<Line>, Mistake> {
    let mut lines = Vec::new();
    for (index, octets) in octets.split(|octet| *octet == b'\n').enumerate() {
        let number = index + 1;
        let mistake = |reason: &str| Mistake {
            line: number,
            reason: reason.to_owned(),
        };
        let text = std::str::from_utf8(octets).map_err(|_| mistake("not valid UTF-8"))?;
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| mistake("expected key = value"))?;
        let key = key.trim_end();
        if !is_key(key) {
            return Err(mistake("expected key = value"));
        }
        let value = value_of(value.trim_start()).ok_or_else(|| mistake("expected a closing '"))?;
        lines.push(Line {
            number,
            key: key.to_owned(),
            value,
        });
    }
    Ok(lines)
}

fn is_key(key: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    words(key)
        .all(|word| !word.is_empty() && word.chars().all(|letter| allowed(letter) || letter == '.'))
}

/// The words of a key.
pub(super) fn words(key: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut letters = key.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '.' => {
                words.push(String::new());
                continue;
            }
            '\\' => letters.next().unwrap_or('\\'),
            letter => letter,
        };
        if let Some(word) = words.last_mut() {
            word.push(letter);
        }
    }
    words.into_iter()
}

fn value_of(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let value = text.split_once('#').map_or(text, |(value, _)| value);
        return Some(value.trim_end().to_owned());
    };
    let (value, rest) = quoted.split_once('\'')?;
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then(|| value.to_owned())
}
