//! Several reports side by side.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{PerfError, Result};
use crate::report::{FORMAT, Measurement, Report, markdown, number, octets_text};

/// Read a report that `--json` wrote.
pub(crate) fn read(path: &Path) -> Result<Report> {
    let unreadable = |reason: String| PerfError::Unreadable {
        path: path.display().to_string(),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let report: Report =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if report.format != FORMAT {
        return Err(unreadable(format!(
            "its format is {}, this program reads {FORMAT}",
            report.format
        )));
    }
    Ok(report)
}

/// Read the files, and give their table.
pub(crate) fn files(paths: &[PathBuf]) -> Result<String> {
    let reports = paths
        .iter()
        .map(|path| read(path))
        .collect::<Result<Vec<_>>>()?;
    Ok(table(&reports))
}

/// A Markdown table: for each kind of work of the first report every report's figure, and how many
/// times better the first one is than each other. More units per broker-CPU-second are better
/// (per second where the processor time is not known), and less memory.
pub(crate) fn table(reports: &[Report]) -> String {
    let Some((first, others)) = reports.split_first() else {
        return String::new();
    };
    let mut head = vec!["work".to_owned()];
    head.extend(reports.iter().map(|report| report.broker.clone()));
    head.extend(others.iter().map(|report| format!("to {}", report.broker)));
    let mut rows = vec![head];
    for ours in &first.results {
        let theirs: Vec<Option<&Measurement>> = others
            .iter()
            .map(|report| {
                report
                    .results
                    .iter()
                    .find(|result| result.name == ours.name)
            })
            .collect();
        // Both sides by the same measure.
        let by_cpu =
            ours.process.is_some() && theirs.iter().flatten().all(|their| their.process.is_some());
        let mut row = vec![ours.name.clone(), shown(ours, by_cpu)];
        row.extend(
            theirs
                .iter()
                .map(|their| their.map_or("-".to_owned(), |their| shown(their, by_cpu))),
        );
        row.extend(theirs.iter().map(|their| {
            their
                .and_then(|their| ratio(ours, their, by_cpu))
                .map_or("-".to_owned(), |ratio| format!("{ratio:.1}x"))
        }));
        rows.push(row);
    }
    markdown(&rows)
}

fn judged(result: &Measurement, by_cpu: bool) -> f64 {
    match result.process {
        Some(process) if by_cpu => process.per_cpu_second,
        _ => result.per_second,
    }
}

fn shown(result: &Measurement, by_cpu: bool) -> String {
    if let Some(octets) = result.octets_each {
        return octets_text(octets);
    }
    match result.latency {
        Some(latency) => format!(
            "{}, p50 {:.0} µs, p99 {:.0} µs",
            number(judged(result, by_cpu)),
            latency.p50,
            latency.p99
        ),
        None => number(judged(result, by_cpu)),
    }
}

/// How many times better `ours` is; `None` where that says nothing.
fn ratio(ours: &Measurement, theirs: &Measurement, by_cpu: bool) -> Option<f64> {
    let ratio = match (ours.octets_each, theirs.octets_each) {
        (Some(ours), Some(theirs)) => theirs / ours,
        _ => judged(ours, by_cpu) / judged(theirs, by_cpu),
    };
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Consumption;

    fn result(name: &str, per_second: f64, per_cpu_second: Option<f64>) -> Measurement {
        Measurement {
            name: name.to_owned(),
            per_second,
            process: per_cpu_second.map(|per_cpu_second| Consumption {
                per_cpu_second,
                ..Consumption::default()
            }),
            ..Measurement::default()
        }
    }

    fn report(broker: &str, results: Vec<Measurement>) -> Report {
        Report {
            format: FORMAT,
            broker: broker.to_owned(),
            address: String::new(),
            results,
        }
    }

    fn cells(table: &str, line: usize) -> Vec<&str> {
        let line = table.lines().nth(line).unwrap();
        line.trim_matches('|').split('|').map(str::trim).collect()
    }

    #[test]
    fn ratios_are_of_the_first_to_each_other() {
        let memory = |octets| Measurement {
            octets_each: Some(octets),
            ..result("idle", 1.0, None)
        };
        let table = table(&[
            report(
                "A",
                vec![
                    result("x", 10.0, Some(600.0)),
                    result("y", 30.0, None),
                    memory(1000.0),
                ],
            ),
            report(
                "B",
                vec![
                    result("x", 90.0, Some(200.0)),
                    result("y", 10.0, Some(1.0)),
                    memory(4000.0),
                ],
            ),
            report("C", vec![result("y", 60.0, None)]),
        ]);
        assert_eq!(cells(&table, 0), ["work", "A", "B", "C", "to B", "to C"]);
        assert_eq!(cells(&table, 2), ["x", "600", "200", "-", "3.0x", "-"]);
        assert_eq!(cells(&table, 3), ["y", "30", "10", "60", "3.0x", "0.5x"]);
        assert_eq!(
            cells(&table, 4),
            ["idle", "1.0 KB", "4.0 KB", "-", "4.0x", "-"]
        );
    }

    #[test]
    fn files_are_read_and_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let mut written = report("A", vec![result("x", 10.0, Some(600.0))]);
        fs::write(&path, written.to_json()).unwrap();
        assert_eq!(read(&path).unwrap(), written);
        written.format = FORMAT + 1;
        fs::write(&path, written.to_json()).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("format"));
        fs::write(&path, "{").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("a.json"));
    }
}
