//! Checks that the files of a crate do not depend on each other in a circle.
//!
//! An arrow goes from one file to another if the first names a path into the second: `crate::`, `super::`, `self::`
//! or a child module's name, in `use` and in code, re-exports included. Test modules do not count. A path through a
//! module that re-exports an item is an arrow to that module, so the files of one room must name each other directly.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::workspace::packages;

#[test]
fn no_crate_has_a_circle_of_files() {
    let mut found = Vec::new();
    for package in packages() {
        for root in &package.roots {
            let circles = Crate::read(root).circles();
            found
                .extend(circles.into_iter().map(|circle| format!("{}: {}", package.name, circle.join(", "))));
        }
    }
    assert!(found.is_empty(), "circles of files:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found() {
    let files = [
        ("", "mod a;\nmod b;\npub use a::A;"),
        ("a", "use crate::b::B;\npub struct A(B);"),
        ("b", "pub struct B;\nfn f() { super::a::g(); }"),
        ("c", "use crate::b::B; // crate::d::D is only mentioned"),
        ("d", "use crate::{b::B, c};\n#[cfg(test)]\nmod tests { use crate::a::A; }"),
    ];
    let files = files.iter().map(|(name, text)| (path(name), (*text).to_owned())).collect();
    assert_eq!(Crate { files }.circles(), [["a", "b"]]);
}

/// The path of a module below the crate root; empty for the root.
type Module = Vec<String>;

/// The files of one crate, by module.
struct Crate {
    files: BTreeMap<Module, String>,
}

impl Crate {
    /// Reads the crate with this root file (`lib.rs` or `main.rs`), without its test modules.
    fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(root, root.parent().expect("a folder"), Vec::new(), &mut files);
        Self { files }
    }

    /// Every set of files that lead to each other, each set sorted.
    fn circles(&self) -> Vec<Vec<String>> {
        let arrows: BTreeMap<&Module, BTreeSet<Module>> =
            self.files.iter().map(|(module, text)| (module, self.arrows(module, text))).collect();
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            arrows.keys().map(|module| (*module, reachable(&arrows, module))).collect();
        let mut circles = BTreeSet::new();
        for (module, ahead) in &reached {
            if ahead.contains(*module) {
                let together = ahead.iter().filter(|other| reached[other].contains(*module));
                circles.insert(together.map(|module| module.join("/")).collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }

    fn arrows(&self, module: &Module, text: &str) -> BTreeSet<Module> {
        let text = product(text);
        paths(&text)
            .into_iter()
            .filter_map(|path| self.resolve(module, &path))
            .filter(|target| target != module)
            .collect()
    }

    /// The file that `path`, named in `module`, leads to; `None` for other crates and local names.
    fn resolve(&self, module: &Module, path: &[String]) -> Option<Module> {
        let first = path.first()?.as_str();
        let mut target = match first {
            "crate" => path[1..].to_vec(),
            "self" => [module, &path[1..]].concat(),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                [module.get(..module.len().checked_sub(up)?)?, &path[up..]].concat()
            }
            child
                if path.len() > 1
                    && self.files.contains_key(&[module.as_slice(), &[child.to_owned()]].concat()) =>
            {
                [module, path].concat()
            }
            _ => return None,
        };
        while !self.files.contains_key(&target) {
            target.pop()?;
        }
        Some(target)
    }
}

fn collect(file: &Path, folder: &Path, module: Module, files: &mut BTreeMap<Module, String>) {
    let text = fs::read_to_string(file).expect("a readable source");
    for child in children(&text) {
        let beside = [folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs")];
        let file = beside.into_iter().find(|file| file.exists()).expect("the module has a file");
        collect(&file, &folder.join(&child), [module.as_slice(), &[child]].concat(), files);
    }
    files.insert(module, text);
}

/// The modules that the text declares in their own files, without test modules.
fn children(text: &str) -> Vec<String> {
    let mut children = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        match line.strip_suffix(';').and_then(|line| line.split_once("mod ")) {
            Some((before, name)) if before.is_empty() || before.starts_with("pub") => {
                if !is_test {
                    children.push(name.to_owned());
                }
                is_test = false;
            }
            _ if line.starts_with("#[cfg(test") || line.starts_with("#[cfg(any(test") => is_test = true,
            _ if line.starts_with("#[") || line.starts_with("//") => {}
            _ => is_test = false,
        }
    }
    children
}

/// The text without comments and without the test module at its end.
fn product(text: &str) -> String {
    let mut product = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let rest: Vec<&str> = lines.clone().collect();
        let opens = rest.iter().find(|line| !line.starts_with("#["));
        if line.starts_with("#[cfg(test)]")
            && opens.is_some_and(|line| line.starts_with("mod ") && line.ends_with(|c| c != ';'))
        {
            break;
        }
        product.push(line.split("//").next().unwrap_or_default());
    }
    product.join("\n")
}

/// Every path in the text; a tree of `use` is expanded into its paths.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let start = rest[..at].rfind(|c: char| !is_word(c)).map_or(0, |before| before + 1);
        let end = start + tree_end(&rest[start..]);
        spell_out(&[], &rest[start..end], &mut found);
        rest = &rest[end.max(at + 2)..];
    }
    found
}

/// The offset at which the path at the start of the text ends, braces included.
fn tree_end(text: &str) -> usize {
    let mut depth = 0usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == ':' || depth > 0 => depth += 1,
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ if depth > 0 || is_word(c) || c == ':' => {}
            _ => return at,
        }
        before = c;
    }
    text.len()
}

fn spell_out(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let (head, branches) = match tree.split_once('{') {
        Some((head, rest)) => (head, rest.rsplit_once('}').map_or(rest, |(inside, _)| inside)),
        None => (tree, ""),
    };
    let words = head.split("::").map(|part| part.split(" as ").next().unwrap_or_default().trim());
    let path: Vec<String> =
        before.iter().cloned().chain(words.filter(|word| !word.is_empty()).map(str::to_owned)).collect();
    if branches.is_empty() {
        found.push(path);
        return;
    }
    let mut depth = 0;
    let parts = branches.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty()).for_each(|part| spell_out(&path, part, found));
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn reachable(arrows: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut ahead: Vec<&Module> = arrows[from].iter().collect();
    while let Some(module) = ahead.pop() {
        if seen.insert(module.clone()) {
            ahead.extend(&arrows[module]);
        }
    }
    seen
}

fn path(text: &str) -> Module {
    text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
