//! Metric families built from plain values at the time of a scrape.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, CounterVec, Gauge, GaugeVec, Opts, TextEncoder};

/// Families of one scrape, in the order they were added.
#[derive(Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// A value that may fall.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) -> Result<(), prometheus::Error> {
        let gauge = Gauge::with_opts(options(name, help, labels))?;
        gauge.set(double(value));
        self.0.extend(gauge.collect());
        Ok(())
    }

    /// A count that only grows.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) -> Result<(), prometheus::Error> {
        self.amount(name, help, labels, double(value))
    }

    /// Counts that only grow, told apart by their labels.
    pub(super) fn counters<const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: &[([(&str, &str); LABELS], u64)],
    ) -> Result<(), prometheus::Error> {
        let Some((labels, _)) = samples.first() else {
            return Ok(());
        };
        let names = labels.map(|(label, _)| label);
        let counters = CounterVec::new(Opts::new(name, help), &names)?;
        for (labels, value) in samples {
            let values = labels.map(|(_, value)| value);
            counters
                .get_metric_with_label_values(&values)?
                .inc_by(double(*value));
        }
        self.0.extend(counters.collect());
        Ok(())
    }

    /// Values that may fall, told apart by one label.
    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: &[(&str, u64)],
    ) -> Result<(), prometheus::Error> {
        let gauges = GaugeVec::new(Opts::new(name, help), &[label])?;
        for (which, value) in samples {
            let gauge = gauges.get_metric_with_label_values(&[which])?;
            gauge.set(double(*value));
        }
        self.0.extend(gauges.collect());
        Ok(())
    }

    /// An amount that only grows and need not be whole.
    pub(super) fn amount(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) -> Result<(), prometheus::Error> {
        let counter = Counter::with_opts(options(name, help, labels))?;
        counter.inc_by(value);
        self.0.extend(counter.collect());
        Ok(())
    }

    /// The Prometheus text format.
    pub(super) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0)
    }
}

fn options(name: &str, help: &str, labels: &[(&str, &str)]) -> Opts {
    labels
        .iter()
        .fold(Opts::new(name, help), |options, (label, value)| {
            options.const_label(*label, *value)
        })
}

#[expect(clippy::cast_precision_loss, reason = "a Prometheus value is a double")]
fn double(value: u64) -> f64 {
    value as f64
}
