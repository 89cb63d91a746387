//! What the names of a crate stand for: which file each path leads to.
//!
//! Owns the resolution: from the module that a path stands in, through `self`, `super`, child modules and imports, to the file
//! that defines the item. A re-export leads on to the definition, so a facade that hands a child's type on is not in the
//! way. Code that only tests compile is left out. It does not know any rule.

use std::collections::BTreeMap;

use super::File;
use super::source::{Name, Role, Source};

/// How many imports a path may lead through, one after the other.
const IMPORTS_MAX: usize = 8;

/// A crate, with its modules and its imports.
pub(super) struct Crate<'a> {
    pub(super) sources: Vec<Source<'a>>,
    /// Each module with its file; the crate's root has no parts.
    modules: BTreeMap<Vec<String>, usize>,
    /// What an import's name, after its module, stands for.
    imports: BTreeMap<Vec<String>, Vec<String>>,
}

/// One file names something of another.
pub(super) struct Arrow<'a> {
    pub(super) from: &'a Source<'a>,
    pub(super) line: usize,
    pub(super) to: &'a Source<'a>,
    pub(super) name: &'a Name,
}

impl<'a> Crate<'a> {
    /// Reads the files of the crate whose root is `<folder>/lib.rs`.
    pub(super) fn read(folder: &str, files: &'a [File]) -> Self {
        let below = |file: &&File| file.path.starts_with(folder) && !file.path.ends_with("/main.rs");
        let sources = files.iter().filter(below).map(|file| Source::read(&file.path, &file.text));
        let mut read = Crate { sources: sources.collect(), modules: BTreeMap::new(), imports: BTreeMap::new() };
        for (index, source) in read.sources.iter().enumerate() {
            let module = module_of(folder, source.path);
            for name in source.names.iter().filter(|name| !name.in_tests) {
                if let Role::Use(own) | Role::Reexport(own) = &name.role {
                    let import = [module.as_slice(), &name.within, std::slice::from_ref(own)].concat();
                    let target = name.path.iter().filter(|part| *part != "self" || name.starts_with("self"));
                    read.imports.insert(import, target.cloned().collect());
                }
            }
            read.modules.insert(module, index);
        }
        read
    }

    /// Every arrow from one file to another. A module that declares a child, or hands something of it on, draws none.
    pub(super) fn arrows(&self) -> Vec<Arrow<'_>> {
        let mut arrows = Vec::new();
        for (module, &index) in &self.modules {
            let from = &self.sources[index];
            let is_test = module.iter().any(|part| part == "tests");
            for name in from.names.iter().filter(|name| !name.in_tests && !is_test) {
                let Some(to) = self.file_of(module, name) else { continue };
                let hands_on = matches!(name.role, Role::Reexport(_)) && self.is_below(to, module);
                if to != index && !hands_on {
                    arrows.push(Arrow { from, line: name.line, to: &self.sources[to], name });
                }
            }
        }
        arrows
    }

    fn is_below(&self, file: usize, module: &[String]) -> bool {
        self.modules.iter().any(|(own, index)| *index == file && own.starts_with(module))
    }

    fn file_of(&self, module: &[String], name: &Name) -> Option<usize> {
        let within = [module, &name.within].concat();
        // A single word in lower case is a variable more often than not, and the import of a function counts by itself.
        let is_word = name.path.len() == 1 && !name.path[0].starts_with(char::is_uppercase);
        if is_word && name.role == Role::Mention { None } else { self.resolve(&within, &name.path, IMPORTS_MAX) }
    }

    fn resolve(&self, within: &[String], path: &[String], imports: usize) -> Option<usize> {
        let path = self.absolute(within, path)?;
        for at in 1..=path.len() {
            let (head, rest) = path.split_at(at);
            if let Some(target) = self.imports.get(head).filter(|_| imports > 0 && !self.modules.contains_key(head)) {
                return self.resolve(&head[..at - 1], &[target, rest].concat(), imports - 1);
            }
        }
        (0..=path.len()).rev().find_map(|at| self.modules.get(&path[..at])).copied()
    }

    /// The path from the crate's root; nothing if it leads out of the crate, or to what the file itself defines.
    fn absolute(&self, within: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" | "audience_meter" => Some(rest.to_vec()),
            "self" => Some([within, rest].concat()),
            "super" => {
                let (_, parent) = within.split_last()?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(parent, rest),
                    _ => Some([parent, rest].concat()),
                }
            }
            _ => {
                let whole = [within, path].concat();
                let is_child = self.modules.contains_key(&whole[..=within.len()]);
                let is_import = self.imports.contains_key(&whole[..=within.len()]);
                (is_child || is_import).then_some(whole)
            }
        }
    }
}

/// The module that a file of the crate holds.
fn module_of(folder: &str, path: &str) -> Vec<String> {
    let parts = path.trim_start_matches(folder).trim_start_matches('/').trim_end_matches(".rs").split('/');
    parts.filter(|part| !["mod", "lib"].contains(part)).map(str::to_owned).collect()
}
