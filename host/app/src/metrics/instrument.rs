//! What the hot path writes to: atomics only, no allocation after the making.
//!
//! The crate's own histogram and its families of counters take a lock for each observation, so these two are ours;
//! its plain counters and gauges are atomics already.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

/// The label value of what found no slot.
const OTHER: &str = "other";

/// Counters of one name, one for each set of label values.
///
/// Label values are text of the program, never of a caller. A set takes the next free slot when it is counted first,
/// so the codes of all adapters need no list here; sets beyond the last slot are counted as `other`.
#[derive(Debug, Clone)]
pub(super) struct Counts<const LABELS: usize>(Arc<Table<LABELS>>);

#[derive(Debug)]
struct Table<const LABELS: usize> {
    labels: [&'static str; LABELS],
    slots: Box<[Slot<LABELS>]>,
    other: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot<const LABELS: usize> {
    values: OnceLock<[&'static str; LABELS]>,
    count: AtomicU64,
}

impl<const LABELS: usize> Counts<LABELS> {
    /// Counters with these labels and room for so many sets of values.
    pub(super) fn new(labels: [&'static str; LABELS], slots: usize) -> Self {
        let slots = (0..slots).map(|_| Slot::default()).collect();
        Self(Arc::new(Table { labels, slots, other: AtomicU64::new(0) }))
    }

    /// Shows these sets from the start: a rate can't be taken of a counter that appears with its first event.
    pub(super) fn shown(self, sets: impl IntoIterator<Item = [&'static str; LABELS]>) -> Self {
        for values in sets {
            self.counter(values);
        }
        self
    }

    /// Counts one.
    pub(super) fn count(&self, values: [&'static str; LABELS]) {
        self.counter(values).fetch_add(1, Ordering::Relaxed);
    }

    /// Counts so many.
    pub(super) fn add(&self, values: [&'static str; LABELS], count: u64) {
        self.counter(values).fetch_add(count, Ordering::Relaxed);
    }

    fn counter(&self, values: [&'static str; LABELS]) -> &AtomicU64 {
        let slot = self.0.slots.iter().find(|slot| are_equal(slot.values.get_or_init(|| values), &values));
        slot.map_or(&self.0.other, |slot| &slot.count)
    }
}

/// Equal texts of the program are mostly one text in memory, so addresses are compared first. Comparing two empty texts
/// byte by byte costs some processors a hundred nanoseconds.
fn are_equal<const LABELS: usize>(one: &[&'static str; LABELS], other: &[&'static str; LABELS]) -> bool {
    one.iter().zip(other).all(|(one, other)| std::ptr::eq(*one, *other) || one == other)
}

impl<const LABELS: usize> EncodeMetric for Counts<LABELS> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Table { labels, slots, other } = &*self.0;
        let taken = slots.iter().filter_map(|slot| Some((*slot.values.get()?, &slot.count)));
        for (values, count) in taken.chain([([OTHER; LABELS], other)]) {
            let count = count.load(Ordering::Relaxed);
            if values == [OTHER; LABELS] && count == 0 {
                continue;
            }
            // An empty label is no label.
            let pairs = labels.iter().copied().zip(values).filter(|(_, value)| !value.is_empty());
            let pairs: Vec<(&str, &str)> = pairs.collect();
            let none: Option<&Exemplar<NoLabelSet, f64>> = None;
            encoder.encode_family(&pairs)?.encode_counter(&count, none)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// How long things took.
#[derive(Debug, Clone)]
pub(super) struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Seconds, ascending; each includes itself.
    bounds: &'static [f64],
    /// One for each bound, and one for what is longer than all of them.
    counts: Box<[AtomicU64]>,
    /// Bits of seconds as `f64`.
    sum: AtomicU64,
}

impl Histogram {
    /// A histogram with these upper bounds in seconds, ascending.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        debug_assert!(bounds.is_sorted());
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0f64.to_bits()) }))
    }

    /// Counts one that took so long.
    pub(super) fn observe(&self, duration: Duration) {
        let Buckets { bounds, counts, sum } = &*self.0;
        let seconds = duration.as_secs_f64();
        let bucket = bounds.partition_point(|bound| *bound < seconds);
        counts[bucket].fetch_add(1, Ordering::Relaxed);
        let mut bits = sum.load(Ordering::Relaxed);
        loop {
            let more = (f64::from_bits(bits) + seconds).to_bits();
            match sum.compare_exchange_weak(bits, more, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => bits = other,
            }
        }
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Buckets { bounds, counts, sum } = &*self.0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            bounds.zip(counts.iter().map(|count| count.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let none: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
        encoder.encode_histogram(f64::from_bits(sum.load(Ordering::Relaxed)), count, &buckets, none)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    /// The samples of one instrument, without what describes it.
    fn samples(metric: impl EncodeMetric + fmt::Debug + Send + Sync + 'static) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register("it", "Help", metric);
        let mut encoded = String::new();
        text::encode(&mut encoded, &registry).unwrap();
        encoded.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn sets_of_values_take_slots_until_none_is_left() {
        let counts = Counts::new(["kind", "code"], 3).shown([["retry", ""]]);
        counts.count(["first", "reset"]);
        counts.count(["first", "reset"]);
        counts.count(["first", ""]);
        let three = [
            r#"it_total{kind="retry"} 0"#,
            r#"it_total{kind="first",code="reset"} 2"#,
            r#"it_total{kind="first"} 1"#,
        ];
        assert_eq!(samples(counts.clone()), three);
        counts.count(["first", "timeout"]);
        counts.count(["retry", "timeout"]);
        counts.count(["retry", ""]);
        let lines = samples(counts);
        assert_eq!(
            (&*lines[0], &*lines[3]),
            (r#"it_total{kind="retry"} 1"#, r#"it_total{kind="other",code="other"} 2"#)
        );
    }

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::new(&[0.25, 1.0]);
        for millis in [0, 250, 251, 1000, 90_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let expect = [
            "it_sum 91.501",
            "it_count 5",
            r#"it_bucket{le="0.25"} 2"#,
            r#"it_bucket{le="1.0"} 4"#,
            r#"it_bucket{le="+Inf"} 5"#,
        ];
        assert_eq!(samples(histogram), expect);
    }

    #[test]
    fn threads_lose_no_count() {
        const EACH: usize = 10_000;
        let (counts, histogram) = (Counts::new(["code"], 2), Histogram::new(&[1.0]));
        thread::scope(|scope| {
            for code in ["a", "b", "a", "b"] {
                let (counts, histogram) = (&counts, &histogram);
                scope.spawn(move || {
                    for _ in 0..EACH {
                        counts.count([code]);
                        histogram.observe(Duration::from_millis(500));
                    }
                });
            }
        });
        let mut lines = samples(counts);
        lines.sort();
        assert_eq!(lines, [r#"it_total{code="a"} 20000"#, r#"it_total{code="b"} 20000"#]);
        assert_eq!(samples(histogram)[..2], ["it_sum 20000.0", "it_count 40000"]);
    }
}
