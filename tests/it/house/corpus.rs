//! The committed fuzz corpus, replayed without a fuzzer: what was once found stays found.

use std::fs;

use audience_kit::source;

/// Runs `target` on each file of its corpus.
fn replay(name: &str, target: impl Fn(&[u8])) {
    let folder = source().join("fuzz/corpus").join(name);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&bytes)));
        assert!(outcome.is_ok(), "{} fails", path.display());
        replayed += 1;
    }
    assert!(replayed >= 20, "{} has only {replayed} files", folder.display());
}

#[test]
fn the_corpus_of_request_holds() {
    replay("request", audience_kit::fuzzing::request);
}

#[test]
fn the_corpus_of_report_holds() {
    replay("report", audience_kit::fuzzing::report);
}

#[test]
fn the_corpus_of_session_holds() {
    replay("session", audience_kit::fuzzing::session);
}

#[test]
fn the_corpus_of_meter_holds() {
    replay("meter", audience_kit::fuzzing::meter);
}

#[test]
fn the_corpus_of_proxy_holds() {
    replay("proxy", audience_kit::fuzzing::proxy);
}

#[test]
fn the_corpus_of_nats_holds() {
    replay("nats", audience_kit::fuzzing::nats);
}

#[test]
fn the_corpus_of_redis_holds() {
    replay("redis", audience_kit::fuzzing::redis);
}

#[test]
fn the_corpus_of_table_holds() {
    replay("table", audience_kit::fuzzing::table);
}

#[test]
fn a_table_that_is_cut_or_changed_anywhere_makes_no_process_fail() {
    for name in ["nodes-07", "watchers-04"] {
        let bytes = fs::read(source().join("fuzz/corpus/table").join(name)).unwrap();
        for place in 0..bytes.len() {
            audience_kit::fuzzing::table(&bytes[..place]);
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= change;
                let outcome = std::panic::catch_unwind(|| audience_kit::fuzzing::table(&changed));
                assert!(outcome.is_ok(), "{name} with byte {place} changed by {change:#x}");
            }
        }
    }
}

#[test]
fn a_table_of_each_released_version_is_taken_over() {
    let is_taken_over = |name: &str| {
        let bytes = fs::read(source().join("fuzz/corpus/table").join(name)).unwrap();
        audience_kit::fuzzing::is_taken_over(&bytes)
    };
    assert!(is_taken_over("version-1"));
    for refused in ["version-2", "other-kind", "cut-frame", "flipped-frame", "foreign", "empty"] {
        assert!(!is_taken_over(refused), "{refused}");
    }
}
