//! A bound on what an input may make the code under test allocate.

/// Octets that anything may allocate: names, error texts, buffers of a fixed size.
const BASE: u64 = 16 << 10;

/// What `work` gives, if on its way it never held more than `factor` octets for each of the input's, and [`BASE`].
pub(crate) fn bounded<T>(input: usize, factor: u64, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let allocated = allocation_counter::measure(|| result = Some(work()));
    let allowed = BASE + factor * u64::try_from(input).unwrap();
    assert!(
        allocated.bytes_max <= allowed,
        "{} octets were held for an input of {input}, {allowed} allowed",
        allocated.bytes_max
    );
    result.unwrap()
}
