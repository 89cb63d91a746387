//! The events of the log: the table in the manual has each of them with its keys, and no other.
//!
//! Owns the reading of the calls: an event is a text that a function of the log is given, and its keys stand in the array
//! beside it, or anywhere in the function around the call.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, ExprMethodCall, ExprTuple, ImplItemFn, ItemFn, ItemMod, Lit, Meta, Token};

use crate::house::tree;

type Events = BTreeMap<String, BTreeSet<String>>;

/// What the functions of the log are called.
const CALLS: [&str; 4] = ["info", "warn", "debug", "event"];

/// The events of a source, gathered as they are found.
#[derive(Default)]
struct Found {
    events: Events,
    /// The keys in the function that is being read, and its events whose keys stand elsewhere in it.
    keys: BTreeSet<String>,
    open: Vec<String>,
}

impl Found {
    fn call(&mut self, name: Option<String>, args: &Punctuated<Expr, Token![,]>) {
        if !name.is_some_and(|name| CALLS.contains(&name.as_str())) {
            return;
        }
        let args = args.iter().collect::<Vec<_>>();
        let [.., event, fields] = args[..] else { return };
        let (Some(event), Expr::Reference(fields)) = (literal(event), fields) else { return };
        if let Expr::Array(array) = &*fields.expr {
            let keys = array.elems.iter().filter_map(key_of);
            self.events.entry(event).or_default().extend(keys);
        } else {
            self.open.push(event);
        }
    }

    fn function(&mut self, read: impl FnOnce(&mut Self)) {
        let around = (mem::take(&mut self.keys), mem::take(&mut self.open));
        read(self);
        let (keys, open) = (mem::replace(&mut self.keys, around.0), mem::replace(&mut self.open, around.1));
        for event in open {
            self.events.entry(event).or_default().extend(keys.iter().cloned());
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let is_test = |meta: &Meta| matches!(meta, Meta::List(list) if list.tokens.to_string() == "test");
        if !item.attrs.iter().any(|attribute| is_test(&attribute.meta)) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(|found| visit::visit_item_fn(found, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(|found| visit::visit_impl_item_fn(found, item));
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let name = if let Expr::Path(path) = &*call.func { path.path.segments.last() } else { None };
        self.call(name.map(|name| name.ident.to_string()), &call.args);
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.call(Some(call.method.to_string()), &call.args);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_tuple(&mut self, tuple: &'ast ExprTuple) {
        self.keys.extend(tuple.elems.first().and_then(literal));
        visit::visit_expr_tuple(self, tuple);
    }
}

fn literal(expr: &Expr) -> Option<String> {
    let Expr::Lit(literal) = expr else { return None };
    if let Lit::Str(text) = &literal.lit { Some(text.value()) } else { None }
}

fn key_of(field: &Expr) -> Option<String> {
    if let Expr::Tuple(tuple) = field { tuple.elems.first().and_then(literal) } else { None }
}

fn events_of(code: &str) -> Events {
    let mut found = Found::default();
    found.visit_file(&syn::parse_file(code).unwrap());
    found.events
}

/// The rows of the table whose first column is `event`.
fn rows_of(page: &str) -> Events {
    let table = page.lines().skip_while(|line| !line.starts_with("| event |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut events = Events::new();
    for row in rows {
        let cells = row.split('|').collect::<Vec<_>>();
        for event in names(cells[1]) {
            let is_new = events.insert(event, names(cells[2]).into_iter().collect()).is_none();
            assert!(is_new, "twice: {row}");
        }
    }
    events
}

#[test]
fn the_manual_has_each_event_of_the_log_with_its_keys() {
    let mut events = Events::new();
    for file in tree(&["src"], &["rs"]) {
        for (event, keys) in events_of(&file.text) {
            events.entry(event).or_default().extend(keys);
        }
    }
    let page = tree(&["src/manual"], &["md"]).into_iter().find(|file| file.path.ends_with("operating.md")).unwrap();
    let rows = rows_of(&page.text);
    assert!(events.len() > 30, "{events:#?}");
    let wrong = |one: &Events, other: &Events| {
        let differ = one.iter().filter(|(event, keys)| other.get(*event) != Some(keys));
        differ.map(|(event, keys)| format!("{event} {keys:?}")).collect::<Vec<_>>()
    };
    let (missing, strange) = (wrong(&events, &rows), wrong(&rows, &events));
    assert!(missing.is_empty() && strange.is_empty(), "in the source: {missing:#?}\nin the manual: {strange:#?}");
}

#[test]
fn events_are_found_with_their_keys_and_those_of_tests_are_not() {
    let code = "fn f() { log::info(\"a\", &[(\"k\", 1.into()), (\"l\", x)]); log::warn(\"b\", &[]); }
        impl A { fn g(&self) { let fields = [(\"m\", x)]; self.style.event(Level::Warn, 7, \"c\", &fields); } }
        fn h() { log::info(name, &[]); other(\"d\", &[]); }
        #[cfg(test)] mod tests { fn f() { log::info(\"e\", &[]); } }";
    let expected = [("a", &["k", "l"][..]), ("b", &[]), ("c", &["m"])];
    let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(events_of(code), expected.map(|(event, keys)| (event.to_owned(), set(keys))).into());
    let page =
        "text\n| event | keys | |\n|---|---|---|\n| `a`, `d` | `k`, `l` | says `x` |\n| `b` | | |\n\n| `c` | |\n";
    let expected = [("a", &["k", "l"][..]), ("b", &[]), ("d", &["k", "l"])];
    assert_eq!(rows_of(page), expected.map(|(event, keys)| (event.to_owned(), set(keys))).into());
}
