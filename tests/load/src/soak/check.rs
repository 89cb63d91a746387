//! What has to be true when it is quiet.
//!
//! Owns the questions, and the words for what is wrong: who says what, and what is there. It changes nothing, and does not
//! wait: a number that is not right may be on its way.

use std::collections::HashMap;

use serde_json::Value;

use super::churn::Churn;
use super::nodes::Nodes;
use crate::Result;
use crate::daemon::Daemon;

/// What a daemon or a member says that is not true, if one does.
pub(super) fn find_wrong(churn: &Churn, nodes: &Nodes) -> Result<Option<String>> {
    let truth = churn.truth();
    for (number, daemon) in nodes.up() {
        let stats = stats_of(number, daemon)?;
        let known = daemon.figures("/cluster")?.get("nodes").and_then(Value::as_u64);
        let wrong = wrong_in(&stats, &truth).or_else(|| {
            let all = nodes.count() as u64;
            (known != Some(all)).then(|| format!("knows {} nodes of {all}", known.unwrap_or(0)))
        });
        if let Some(wrong) = wrong {
            return Ok(Some(format!("daemon {number} {wrong}")));
        }
    }
    Ok(churn.find_wrong(&truth))
}

/// An event that a daemon has not forgotten, if there is one.
pub(super) fn find_remembered(nodes: &Nodes) -> Result<Option<String>> {
    for (number, daemon) in nodes.up() {
        if let Some((name, _)) = stats_of(number, daemon)?.into_iter().next() {
            return Ok(Some(format!("daemon {number} has not forgotten {name}")));
        }
    }
    Ok(None)
}

/// Who has descriptors open that are for nobody, if one has. It asks nobody: a question is a connection.
pub(super) fn find_open(nodes: &Nodes, wanted: u64) -> Result<Option<String>> {
    for (number, process) in nodes.processes() {
        let open = process.descriptors()?;
        if open != wanted {
            return Ok(Some(format!(
                "daemon {number} has {open} descriptors open with nobody there, and had {wanted}"
            )));
        }
    }
    Ok(None)
}

/// What the memory may grow by from one time that nobody is there to another: a twentieth and 256 KiB, for what the heap
/// keeps of its own; and 64 bytes for each member there may have been, for tables keep their capacity, and the crowd of one
/// daemon is now smaller, now larger.
pub(super) fn has_grown(before: u64, after: u64, members: usize) -> bool {
    let members = u64::try_from(members).unwrap_or(u64::MAX);
    after > before + before / 20 + 256 * 1024 + 64 * members
}

/// How many members a daemon tells of, by event.
fn stats_of(number: usize, daemon: &Daemon) -> Result<HashMap<String, u64>> {
    let text = daemon.stats_text().map_err(|error| format!("daemon {number} does not tell its stats: {error}"))?;
    Ok(members(&serde_json::from_str(&text)?))
}

/// How many members stats tell of, by event.
fn members(stats: &Value) -> HashMap<String, u64> {
    let of = |figures: &Value| figures.get("members").and_then(Value::as_u64).unwrap_or(u64::MAX);
    stats.as_object().into_iter().flatten().map(|(name, figures)| (name.clone(), of(figures))).collect()
}

/// What stats say that is not true, if they do. Where nobody is they say so, or nothing.
fn wrong_in(stats: &HashMap<String, u64>, truth: &HashMap<String, u64>) -> Option<String> {
    stats.keys().chain(truth.keys()).find_map(|name| {
        let [said, there] = [stats, truth].map(|numbers| numbers.get(name).copied().unwrap_or(0));
        (said != there).then(|| format!("says {said} members of {name}, and {there} are there"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_have_to_say_what_is_true_and_no_more() {
        let stats = |text: &str| members(&serde_json::from_str(text).unwrap());
        let truth = HashMap::from([("a".to_owned(), 2)]);
        assert_eq!(wrong_in(&stats(r#"{"a":{"members":2},"b":{"members":0}}"#), &truth), None);
        for (text, wrong) in [
            (r#"{"a":{"members":3}}"#, "says 3 members of a, and 2 are there"),
            (r#"{"b":{"members":0}}"#, "says 0 members of a, and 2 are there"),
            (r#"{"a":{"members":2},"b":{"members":1}}"#, "says 1 members of b, and 0 are there"),
        ] {
            assert_eq!(wrong_in(&stats(text), &truth).as_deref(), Some(wrong));
        }
    }

    #[test]
    fn memory_may_grow_by_a_little() {
        assert!(!has_grown(1 << 20, (1 << 20) + (256 << 10), 0));
        assert!(!has_grown(1 << 20, (1 << 20) + (256 << 10), 1000));
        assert!(has_grown(1 << 20, (1 << 20) + (320 << 10), 0));
    }
}
