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
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
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
            tracing::debug!("detail");
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
