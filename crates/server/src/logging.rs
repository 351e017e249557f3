//! The program's log: `tracing` events to standard error, as text or as JSON.

use std::io::{self, IsTerminal};

use leveret::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

/// Sends every event from now on to standard error. Fails when the process has a log already.
pub(crate) fn start(log: &Log) -> Result<(), TryInitError> {
    let colours = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    subscriber(log, colours, io::stderr).try_init()
}

fn subscriber<W>(
    log: &Log,
    colours: bool,
    writer: W,
) -> impl SubscriberInitExt + tracing::Subscriber
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    // The filter was read once already when the configuration was: it cannot be wrong here.
    let filter = EnvFilter::new(log.level.as_str());
    let lines = fmt::layer().with_writer(OneLine(writer)).with_ansi(colours);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => lines.boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter))
}

/// Writes each event on one line: names from clients may hold anything, and must not look like events of their own.
/// Colours are left alone; the layer takes those of others out.
struct OneLine<W>(W);

impl<'w, W: fmt::MakeWriter<'w>> fmt::MakeWriter<'w> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for OneLine<W> {
    /// Takes whole events, as the layer writes them.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if !line.iter().copied().any(breaks_the_line) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut escaped = Vec::with_capacity(event.len() + 16);
        for octet in line.iter().copied() {
            if breaks_the_line(octet) {
                escaped.extend(octet.escape_ascii());
            } else {
                escaped.push(octet);
            }
        }
        escaped.extend_from_slice(event.get(line.len()..).unwrap_or_default());
        self.0.write_all(&escaped)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Control characters but those that colour.
fn breaks_the_line(octet: u8) -> bool {
    const ESCAPE: u8 = 0x1b;
    octet.is_ascii_control() && octet != ESCAPE
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use leveret::config::LogFilter;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of two events under this level and format.
    fn logged(level: &str, format: LogFormat) -> Vec<String> {
        let page = Page::default();
        let log = Log {
            level: level.parse::<LogFilter>().unwrap(),
            format,
        };
        let writer = page.clone();
        tracing::subscriber::with_default(subscriber(&log, false, move || writer.clone()), || {
            tracing::info!(port = 5672, name = ?"a\nb", "ready");
            tracing::debug!(name = %"a\r\nb", "no {}", "\u{7}\n\u{1b}[31m");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn text_is_one_line_an_event() {
        let lines = logged("info", LogFormat::Text);
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].ends_with(r#"ready port=5672 name="a\nb""#),
            "{lines:?}"
        );
        assert!(lines[0].contains(" INFO "), "{lines:?}");
    }

    #[test]
    fn no_name_makes_a_line_of_its_own() {
        let lines = logged("debug", LogFormat::Text);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains(r"no \x07\n"), "{lines:?}");
        assert!(lines[1].ends_with(r"name=a\r\nb"), "{lines:?}");
        assert!(!lines[1].contains('\u{1b}'), "{lines:?}");
    }

    #[test]
    fn json_is_one_object_an_event() {
        let lines = logged("debug", LogFormat::Json);
        assert_eq!(lines.len(), 2);
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(first["message"], "ready");
        assert_eq!(first["level"], "INFO");
        assert_eq!(first["port"], 5672);
        assert!(first["timestamp"].is_string());
    }

    #[test]
    fn the_filter_decides() {
        assert!(logged("off", LogFormat::Text).is_empty());
        assert!(logged("warn", LogFormat::Text).is_empty());
        assert_eq!(logged("warn,leveret=debug", LogFormat::Text).len(), 2);
    }
}
