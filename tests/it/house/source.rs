//! One source file as the checks see it.
//!
//! Owns the reading: `syn` parses the file, and a walk collects each path that is written out, with its line, the inline
//! modules around it, and whether it is of the tests. A group is multiplied out: `use a::{b, c::d}` gives `a::b` and
//! `a::c::d`. `syn` does not parse what is inside a macro call, so its tokens are read for paths one by one.
//!
//! It does not know any rule. Invariant: neither a comment nor the contents of a literal is a name.

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemImpl, ItemMod, ItemUse, Macro, Meta, Type, UseTree, Visibility};

/// A word or a punctuation of the code, and the line it stands on, counted from 1.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) text: String,
}

/// A path as it is written out.
#[derive(Clone)]
pub(super) struct Name {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    /// The inline modules it stands in, from the file's top.
    pub(super) within: Vec<String>,
    /// Whether it stands in code that only the tests compile.
    pub(super) in_tests: bool,
    pub(super) role: Role,
}

/// What a path is there for.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// A type, a value or a macro.
    Mention,
    /// An import, under this name.
    Use(String),
    /// An import that is handed on, under this name.
    Reexport(String),
    /// The type that an inherent impl adds to.
    Impl,
}

impl Name {
    pub(super) fn text(&self) -> String {
        self.path.join("::")
    }

    pub(super) fn starts_with(&self, path: &str) -> bool {
        let parts = path.split("::").collect::<Vec<_>>();
        self.path.len() >= parts.len() && parts.iter().zip(&self.path).all(|(part, own)| part == own)
    }

    pub(super) fn ends_with(&self, path: &str) -> bool {
        let parts = path.split("::").collect::<Vec<_>>();
        self.path.len() >= parts.len() && parts.iter().rev().zip(self.path.iter().rev()).all(|(part, own)| part == own)
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.path.iter().any(|part| part == word)
    }
}

/// A module that the file declares.
pub(super) struct Declared {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) in_tests: bool,
    /// Whether its code stands right there, not in another file.
    pub(super) is_inline: bool,
}

/// A source file; `path` is relative to the root of the repository.
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
    pub(super) names: Vec<Name>,
    pub(super) modules: Vec<Declared>,
}

impl<'a> Source<'a> {
    pub(super) fn read(path: &'a str, text: &'a str) -> Self {
        let stream = text.parse::<TokenStream>().unwrap_or_else(|error| panic!("{path}: {error}"));
        let file = syn::parse2::<syn::File>(stream.clone()).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut walk = Walk::default();
        walk.visit_file(&file);
        Source { path, text, tokens: tokens_of(stream), names: walk.names, modules: walk.modules }
    }

    /// The path below `src/`, if it is of the product.
    pub(super) fn product(&self) -> Option<&'a str> {
        self.path.strip_prefix("src/")
    }

    /// The folder of `src/` it stands in, or nothing at the top.
    pub(super) fn floor(&self) -> Option<&'a str> {
        Some(self.product()?.split_once('/')?.0)
    }

    /// An offence in one of its lines.
    pub(super) fn offence(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// All tokens in a row, brackets among them, with `::` and `!=` as one each. Comments are none; literals are empty.
fn tokens_of(stream: TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    collect(stream, &mut tokens);
    tokens
}

fn collect(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut is_joint = false;
    for tree in stream {
        let mut push = |span: Span, text: &str| tokens.push(Token { line: line_of(span), text: text.to_owned() });
        let was_joint = std::mem::take(&mut is_joint);
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets_of(group.delimiter());
                push(group.span_open(), open);
                collect(group.stream(), tokens);
                tokens.push(Token { line: line_of(group.span_close()), text: close.to_owned() });
            }
            TokenTree::Punct(punct) if was_joint => tokens.last_mut().unwrap().text.push(punct.as_char()),
            TokenTree::Punct(punct) => {
                is_joint = punct.spacing() == Spacing::Joint;
                push(punct.span(), &punct.as_char().to_string());
            }
            TokenTree::Ident(ident) => push(ident.span(), &ident.to_string()),
            TokenTree::Literal(literal) => push(literal.span(), ""),
        }
    }
}

fn brackets_of(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[derive(Default)]
struct Walk {
    names: Vec<Name>,
    modules: Vec<Declared>,
    within: Vec<String>,
    in_tests: bool,
}

impl Walk {
    fn push(&mut self, line: usize, path: Vec<String>, role: Role) {
        self.names.push(Name { line, path, within: self.within.clone(), in_tests: self.in_tests, role });
    }

    fn read_use(&mut self, tree: &UseTree, before: &[String], role: fn(String) -> Role) {
        let with = |name: &str| [before, &[name.to_owned()]].concat();
        match tree {
            UseTree::Path(path) => self.read_use(&path.tree, &with(&path.ident.to_string()), role),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.read_use(item, before, role)),
            UseTree::Glob(glob) => self.push(line_of(glob.star_token.spans[0]), with("*"), role("*".to_owned())),
            UseTree::Name(name) => {
                let text = name.ident.to_string();
                let own = if text == "self" { before.last().cloned().unwrap_or_default() } else { text.clone() };
                self.push(line_of(name.ident.span()), with(&text), role(own));
            }
            UseTree::Rename(name) => {
                self.push(line_of(name.ident.span()), with(&name.ident.to_string()), role(name.rename.to_string()));
            }
        }
    }
}

fn line_of(span: Span) -> usize {
    span.start().line
}

fn segments_of(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item(&mut self, item: &'ast Item) {
        let before = self.in_tests;
        self.in_tests |= attributes_of(item).iter().any(is_for_tests);
        visit::visit_item(self, item);
        self.in_tests = before;
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let (line, name, is_inline) = (line_of(item.ident.span()), item.ident.to_string(), item.content.is_some());
        self.modules.push(Declared { line, name: name.clone(), in_tests: self.in_tests, is_inline });
        self.within.push(name);
        visit::visit_item_mod(self, item);
        self.within.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let private = matches!(item.vis, Visibility::Inherited);
        self.read_use(&item.tree, &[], if private { Role::Use } else { Role::Reexport });
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if item.trait_.is_none()
            && let Type::Path(own) = &*item.self_ty
        {
            self.push(line_of(item.impl_token.span), segments_of(&own.path), Role::Impl);
        }
        visit::visit_item_impl(self, item);
    }

    /// `pub(super)` is no mention of the parent.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            self.push(line_of(first.ident.span()), segments_of(path), Role::Mention);
        }
        visit::visit_path(self, path);
    }

    /// `in` stands before the path of a visibility, `pub(in crate::meter)`, which is no mention either.
    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        let tokens = tokens_of(call.tokens.clone());
        let is_word = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let mut at = 0;
        while at < tokens.len() {
            let start = at;
            while at + 2 < tokens.len() && is_word(&tokens[at].text) && tokens[at + 1].text == "::" {
                at += 2;
            }
            let path = tokens[start..=at].iter().map(|token| &token.text).filter(|text| is_word(text));
            let path = path.cloned().collect::<Vec<_>>();
            let is_visibility = start > 1 && tokens[start - 2].text == "(" && tokens[start - 1].text == "in";
            if !path.is_empty() && !is_visibility {
                self.push(tokens[start].line, path, Role::Mention);
            }
            at += 1;
        }
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]` and `#[test]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
    }
}
