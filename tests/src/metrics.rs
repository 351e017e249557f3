//! What a Prometheus server sees.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::PATIENCE;

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status line.
    pub status: String,
    /// Header lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
}

/// GET a path.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("metrics are served");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    let text = String::from_utf8(octets).expect("metrics are text");
    let (head, body) = text.split_once("\r\n\r\n").expect("headers end");
    let mut lines = head.lines().map(str::to_owned);
    Answer {
        status: lines.next().unwrap_or_default(),
        headers: lines.collect(),
        body: body.to_owned(),
    }
}

/// One scrape of `/metrics`.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// The text.
    pub text: String,
}

impl Scrape {
    /// Scrape now.
    #[track_caller]
    pub fn of(address: SocketAddr) -> Self {
        let answer = get(address, "/metrics");
        assert_eq!(answer.status, "HTTP/1.1 200 OK");
        Self { text: answer.body }
    }

    /// Lines that are samples: name, labels as written (braces included, or nothing), value.
    #[track_caller]
    pub fn samples(&self) -> Vec<(&str, &str, f64)> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        lines.map(sample).collect()
    }

    /// The only sample of a name.
    #[track_caller]
    pub fn value(&self, name: &str) -> f64 {
        let samples = self.samples();
        let mut values = samples.iter().filter(|(found, _, _)| *found == name);
        let (_, _, value) = values
            .next()
            .unwrap_or_else(|| panic!("no sample of {name}"));
        assert!(values.next().is_none(), "several samples of {name}");
        *value
    }

    /// How often clients came up against the limit of this name.
    #[track_caller]
    pub fn limit_met(&self, limit: &str) -> f64 {
        let labels = format!("{{limit=\"{limit}\"}}");
        let samples = self.samples();
        let found = samples.iter().find(|(name, found, _)| {
            *name == "leveret_limits_met_total" && *found == labels.as_str()
        });
        let (_, _, value) = found.unwrap_or_else(|| panic!("no limit {limit}"));
        *value
    }

    /// The labels of the only sample of a name, as written.
    #[track_caller]
    pub fn labels(&self, name: &str) -> &str {
        let samples = self.samples();
        let found = samples.iter().find(|(found, _, _)| *found == name);
        let (_, labels, _) = found.unwrap_or_else(|| panic!("no sample of {name}"));
        labels
    }

    /// The type that a `# TYPE` line gives a name.
    pub fn kind(&self, name: &str) -> Option<&str> {
        let start = format!("# TYPE {name} ");
        self.text.lines().find_map(|line| line.strip_prefix(&start))
    }
}

#[track_caller]
fn sample(line: &str) -> (&str, &str, f64) {
    let (head, value) = line.rsplit_once(' ').expect("a sample has a value");
    let (name, labels) = head.find('{').map_or((head, ""), |at| head.split_at(at));
    let value = value
        .parse()
        .unwrap_or_else(|_| panic!("no number in {line}"));
    (name, labels, value)
}
