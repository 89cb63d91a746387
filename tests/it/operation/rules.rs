//! The dashboard for Grafana and the rules for Prometheus: they ask for what is told, and the rules cry when they should.

use std::collections::BTreeSet;

use serde_json::Value;

use super::metrics::{BRISK, promtool, text};
use audience_kit::*;

/// What each rule says to half an hour of two nodes, scraped every 15 seconds, as `promtool test rules` takes it.
fn tests_of(rules: &str) -> String {
    // After five minutes: 1,000 members, and 100 joins a second for five minutes; a node that is gone a few seconds after it
    // fell silent; another node without a key for five minutes; and 950 descriptors of 1,000.
    let series = [
        ("joins_total", "a", "process='0'", "0+15x20 315+750x20 15315+15x80"),
        ("joins_total", "b", "process='0'", "0+15x20 315+750x20 15315+15x80"),
        ("members", "a", "process='0'", "500x120"),
        ("members", "b", "process='0'", "500x120"),
        ("audience_members", "a", "", "1000x120"),
        ("audience_members", "b", "", "1000x120"),
        ("cluster_lost_nodes_total", "a", "process='0'", "0x20 1x100"),
        ("cluster_lost_nodes_total", "b", "process='0'", "0x20"),
        ("cluster_trouble", "a", "process='0',kind='unkeyed'", "0x20 1x20 0x80"),
        ("cluster_trouble", "b", "process='0',kind='clock_skew'", "0x120"),
        ("open_fds", "a", "process='1'", "100x20 950x20 100x80"),
        ("max_fds", "a", "process='1'", "1000x120"),
    ];
    let series = series.map(|(name, host, labels, values)| {
        let labels = format!("job='audience-meter',instance='{host}',{labels}").replace('\'', "\"");
        format!("{{series: 'audience_meter_{name}{{{labels}}}', values: '{values}'}}")
    });
    let alerts = rules.split("- alert: ").skip(1).flat_map(|rule| {
        let (alert, summary) = (rule.lines().next().unwrap(), rule.split_once("summary: ").unwrap().1);
        let more = [("(job, kind)", ", kind: unkeyed"), ("(job, instance)", ", instance: a")];
        let more = more.iter().find(|(by, _)| rule.contains(by)).map_or("", |(_, labels)| labels);
        let summary = summary.lines().next().unwrap();
        let on = format!("[{{exp_labels: {{job: audience-meter{more}}}, exp_annotations: {{summary: '{summary}'}}}}]");
        [(4, "[]"), (9, &on), (25, "[]")]
            .map(|(minutes, expected)| format!("{{eval_time: {minutes}m, alertname: {alert}, exp_alerts: {expected}}}"))
    });
    let (series, alerts) = (series.join(", "), alerts.collect::<Vec<_>>().join(", "));
    let test = format!("{{interval: 15s, input_series: [{series}], alert_rule_test: [{alerts}]}}");
    format!("rule_files: [audience-meter.rules.yml]\ntests: [{test}]\n")
}

/// The names of metrics in an expression.
fn names_in(text: &str) -> BTreeSet<&str> {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let names = text.split(|char| !is_of_name(char));
    names.filter(|name| ["audience_meter_", "process_"].iter().any(|prefix| name.starts_with(prefix))).collect()
}

#[test]
fn the_dashboard_and_the_rules_of_the_manual_ask_for_what_is_told() {
    let daemon = Daemon::start(&BRISK);
    let told = text(&daemon);
    let told = names_in(&told);
    let reply = daemon.stats_page("/grafana.json");
    assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("application/json")));
    let dashboard: Value = serde_json::from_str(&reply.body).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 5);
    for name in names_in(&reply.body) {
        assert!(told.contains(name), "the dashboard asks for {name}");
    }
    let folder = std::env::temp_dir().join(format!("audience-meter-metrics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rules = manual::block("yaml", "# audience-meter.rules.yml");
    for name in names_in(&rules) {
        assert!(told.contains(name), "a rule asks for {name}");
    }
    std::fs::write(folder.join("tests.yml"), tests_of(&rules)).unwrap();
    std::fs::write(folder.join("audience-meter.rules.yml"), rules).unwrap();
    std::fs::write(folder.join("prometheus.yml"), manual::block("yaml", "# prometheus.yml")).unwrap();
    promtool(&["check", "rules", folder.join("audience-meter.rules.yml").to_str().unwrap()], "");
    promtool(&["test", "rules", folder.join("tests.yml").to_str().unwrap()], "");
    promtool(&["check", "config", folder.join("prometheus.yml").to_str().unwrap()], "");
    std::fs::remove_dir_all(&folder).unwrap();
}
