//! Results: as JSON, and as a table.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::verify::Verdict;

/// All results of one invocation: what `--json` prints and `compare` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Version of this format.
    pub(crate) format: u32,
    /// Product and version as the broker names itself.
    pub(crate) broker: String,
    /// The broker's host:port.
    pub(crate) address: String,
    /// One for each kind of work.
    pub(crate) results: Vec<Measurement>,
}

/// The version of the format that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// One kind of work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// What was done.
    pub(crate) name: String,
    /// What [`count`](Self::count) counts, in the plural.
    pub(crate) unit: String,
    /// Units within the measured window.
    pub(crate) count: u64,
    /// Length of the measured window.
    pub(crate) seconds: f64,
    /// Units per second of wall clock.
    pub(crate) per_second: f64,
    /// Messages published in the window.
    pub(crate) published: u64,
    /// Messages confirmed in the window.
    pub(crate) confirmed: u64,
    /// Messages refused with basic.nack in the window.
    pub(crate) nacked: u64,
    /// Messages delivered in the window.
    pub(crate) delivered: u64,
    /// From the intended time of sending to the delivery; of a round trip, to the answer.
    pub(crate) latency: Option<Latency>,
    /// From the intended time of sending to the confirm.
    pub(crate) confirm_latency: Option<Latency>,
    /// With `--pid`.
    pub(crate) process: Option<Consumption>,
    /// Octets of resident memory for each idle thing.
    pub(crate) octets_each: Option<f64>,
    /// With `--verify`.
    pub(crate) verdict: Option<Verdict>,
    /// It was interrupted: the window is shorter than asked for.
    pub(crate) interrupted: bool,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// How many were measured.
    pub(crate) count: u64,
    /// The shortest.
    pub(crate) min: f64,
    /// Half are shorter.
    pub(crate) p50: f64,
    /// 95 in 100 are shorter.
    pub(crate) p95: f64,
    /// 99 in 100 are shorter.
    pub(crate) p99: f64,
    /// 999 in 1000 are shorter.
    pub(crate) p999: f64,
    /// The longest.
    pub(crate) max: f64,
}

impl Latency {
    /// Of nanoseconds; `None` when there are none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the histogram holds three digits"
    )]
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let quantile = |quantile| micros(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            min: micros(histogram.min()),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: micros(histogram.max()),
        })
    }
}

/// What the broker's process used in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Consumption {
    /// User and system time in seconds.
    pub(crate) cpu_seconds: f64,
    /// User time in seconds, in steps of 10 ms.
    pub(crate) user_seconds: f64,
    /// System time in seconds, in steps of 10 ms.
    pub(crate) system_seconds: f64,
    /// Units per second of processor time: the steady figure on a machine that others use too.
    pub(crate) per_cpu_second: f64,
    /// Resident memory at the window's end, in octets.
    pub(crate) resident: u64,
    /// The most resident memory since the broker's start, in octets.
    pub(crate) resident_peak: u64,
    /// Octets sent to the disk, where the process shows it.
    pub(crate) written: Option<u64>,
}

impl Report {
    /// As it is printed for programs.
    pub(crate) fn to_json(&self) -> String {
        // Numbers, texts and lists always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// A Markdown table, one line for each kind of work, and what was verified.
    pub(crate) fn table(&self) -> String {
        let mut rows = vec![vec![
            "work".to_owned(),
            "per broker-CPU-second".to_owned(),
            "per second".to_owned(),
            "p50".to_owned(),
            "p99".to_owned(),
            "broker CPU".to_owned(),
            "resident".to_owned(),
            "disk writes".to_owned(),
        ]];
        rows.extend(self.results.iter().map(row));
        let mut text = markdown(&rows);
        for result in &self.results {
            if let Some(verdict) = &result.verdict {
                let _ = writeln!(text, "{}: {}", result.name, verdict.words());
            }
            if let Some(latency) = result.confirm_latency {
                let (p50, p99) = (micros(latency.p50), micros(latency.p99));
                let _ = writeln!(
                    text,
                    "{}: confirmed after p50 {p50}, p99 {p99}",
                    result.name
                );
            }
            if result.nacked > 0 {
                let _ = writeln!(text, "{}: {} refused", result.name, result.nacked);
            }
            if result.interrupted {
                let _ = writeln!(text, "{}: interrupted", result.name);
            }
        }
        text
    }
}

fn row(result: &Measurement) -> Vec<String> {
    let process = result.process.as_ref();
    let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let judged = match result.octets_each {
        Some(octets) => Some(format!("{} each", octets_text(octets))),
        None => process.map(|process| number(process.per_cpu_second)),
    };
    vec![
        result.name.clone(),
        shown(judged),
        number(result.per_second),
        shown(result.latency.map(|latency| micros(latency.p50))),
        shown(result.latency.map(|latency| micros(latency.p99))),
        shown(process.map(|process| format!("{:.2} s", process.cpu_seconds))),
        shown(process.map(|process| octets_text(float(process.resident)))),
        shown(
            process
                .and_then(|process| process.written)
                .map(|octets| octets_text(float(octets))),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn float(count: u64) -> f64 {
    count as f64
}

/// A count with three digits: 1,234 k.
pub(crate) fn number(count: f64) -> String {
    if count >= 1e6 {
        let thousands = format!("{:.0}", count / 1e3);
        let (millions, rest) = thousands.split_at(thousands.len().saturating_sub(3));
        format!("{millions},{rest} k")
    } else if count >= 1e5 {
        format!("{:.0} k", count / 1e3)
    } else if count >= 1e3 {
        format!("{:.1} k", count / 1e3)
    } else if count >= 10.0 {
        format!("{count:.0}")
    } else {
        format!("{count:.1}")
    }
}

/// Octets with a unit.
pub(crate) fn octets_text(octets: f64) -> String {
    if octets.abs() >= 1e6 {
        format!("{:.1} MB", octets / 1e6)
    } else if octets.abs() >= 1e3 {
        format!("{:.1} KB", octets / 1e3)
    } else {
        format!("{octets:.0} B")
    }
}

fn micros(micros: f64) -> String {
    if micros >= 10_000.0 {
        format!("{:.1} ms", micros / 1e3)
    } else {
        format!("{micros:.0} µs")
    }
}

/// A Markdown table; the first row is its head, and all columns but the first are numbers.
pub(crate) fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
            .max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "| {cell:<width$} |"),
                _ => write!(text, " {cell:>width$} |"),
            };
        }
        text.push('\n');
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = match column {
                    0 => write!(text, "|{:-<1$}|", "", width + 2),
                    _ => write!(text, "{:->1$}:|", "", width + 1),
                };
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let latency = Latency {
            count: 3,
            min: 1.0,
            p50: 2.5,
            p95: 3.0,
            p99: 3.0,
            p999: 3.0,
            max: 12_000.0,
        };
        Report {
            format: FORMAT,
            broker: "Leveret 0.1.0".to_owned(),
            address: "localhost:5672".to_owned(),
            results: vec![
                Measurement {
                    name: "one".to_owned(),
                    unit: "messages".to_owned(),
                    count: 1_500_000,
                    seconds: 1.5,
                    per_second: 1_000_000.0,
                    latency: Some(latency),
                    process: Some(Consumption {
                        cpu_seconds: 1.25,
                        per_cpu_second: 1_200_000.0,
                        resident: 20_000_000,
                        written: Some(2048),
                        ..Consumption::default()
                    }),
                    verdict: Some(Verdict {
                        expected: 9,
                        lost: 1,
                        ..Verdict::default()
                    }),
                    ..Measurement::default()
                },
                Measurement {
                    name: "idle".to_owned(),
                    octets_each: Some(1234.0),
                    ..Measurement::default()
                },
            ],
        }
    }

    #[test]
    fn json_is_read_back() {
        let report = report();
        let read: Report = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(read, report);
    }

    #[test]
    fn the_table_shows_what_there_is() {
        let table = report().table();
        let lines: Vec<&str> = table.lines().collect();
        let cells: Vec<&str> = lines[2].split('|').map(str::trim).collect();
        let expected = [
            "", "one", "1,200 k", "1,000 k", "2 µs", "3 µs", "1.25 s", "20.0 MB", "2.0 KB", "",
        ];
        assert_eq!(cells, expected);
        assert!(lines[3].contains("1.2 KB each"), "{table}");
        assert!(
            table.contains("one: verification failed: of 9 expected, 1 lost"),
            "{table}"
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (count, text) in [
            (0.5, "0.5"),
            (188.0, "188"),
            (1_300.0, "1.3 k"),
            (140_000.0, "140 k"),
            (1_500_000.0, "1,500 k"),
            (12_345_678.0, "12,346 k"),
        ] {
            assert_eq!(number(count), text);
        }
    }
}
