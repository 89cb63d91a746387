//! Signed addresses, judged by the file of keys: what a join costs more with `--join-key-file`.
//!
//! The second key is the one that signs while a key is replaced, so two codes are computed for it, and for one that is forged.

use std::hint::black_box;

use audience_meter::wire::report::Keys;
use audience_meter::wire::signature;
use criterion::Criterion;

/// The names of an event and of a browser, and the query that signs them with `KEYS[1]`.
const NAMES: (&str, &str) = ("event-2026-final", "5f0c1d2e-8a4b-4c6d-9e7f-0a1b2c3d4e5f");
const QUERY: &str = "expires=4000000000&signature=222dce30a2a2b8e68a9312684217bc59b5b0bbd3d4389f2ee3ff237960504d51";

const KEYS: [&str; 2] = ["fedcba9876543210fedcba9876543210", "0123456789abcdef0123456789abcdef"];

pub(crate) fn measure(criterion: &mut Criterion) {
    let keys = |of: &[&str]| Keys::new(of.iter().map(|key| key.as_bytes().to_vec()).collect());
    let (one, two) = (keys(&KEYS[1..]), keys(&KEYS));
    let mut group = criterion.benchmark_group("addresses");
    for (name, keys, namespace, is_good) in
        [("one key", &one, NAMES.0, true), ("two keys", &two, NAMES.0, true), ("forged", &two, "another", false)]
    {
        let check = || signature::check(black_box(Some(QUERY)), namespace, Some(NAMES.1), keys, 0).is_ok();
        assert_eq!(check(), is_good, "{name}");
        group.bench_function(name, |b| b.iter(check));
    }
    group.finish();
}
