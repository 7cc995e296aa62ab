//! Every dependency comes under a licence that lets anybody use, change and hand on a binary of ferry.

use cargo_metadata::Package;

use crate::metadata;

/// SPDX names of the licences that ask for nothing but to be named. None of them is copyleft.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression can be met with allowed licences alone: one side of each OR, every side of each AND.
/// "/" is the old way to write OR. `None`: not an expression that this reads.
fn permitted(expression: &str) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = any(&mut words)?;
    words.next().is_none().then_some(verdict)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>) -> Option<bool> {
    let mut verdict = all(words)?;
    while words.next_if_eq(&"OR").is_some() {
        verdict |= all(words)?;
    }
    Some(verdict)
}

fn all(words: &mut Words<'_>) -> Option<bool> {
    let mut verdict = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words)?;
    }
    Some(verdict)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    match words.next()? {
        "(" => {
            let verdict = any(words)?;
            words.next_if_eq(&")").map(|_| verdict)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        name => {
            let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
            let whole = exception.map_or_else(|| name.to_owned(), |exception| format!("{name} WITH {exception}"));
            Some(ALLOWED.contains(&whole.as_str()))
        }
    }
}

fn fault(package: &Package) -> Option<String> {
    let named = || format!("{} {}", package.name, package.version);
    let Some(expression) = &package.license else {
        return Some(format!("{}: names no licence", named()));
    };
    match permitted(expression) {
        Some(true) => None,
        Some(false) => Some(format!("{}: {expression}", named())),
        None => Some(format!("{}: {expression:?} is not an SPDX expression", named())),
    }
}

#[test]
fn licences_of_all_dependencies_are_on_the_list() {
    let metadata = metadata();
    assert!(metadata.packages.len() > 50, "cargo metadata told of hardly any dependency");
    let faults: Vec<String> = metadata.packages.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "not on the list of licences:\n{}", faults.join("\n"));
}

#[test]
fn licences_are_read_as_expressions() {
    for good in
        ["MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "(GPL-2.0 OR ISC) AND MIT", "Apache-2.0 WITH LLVM-exception"]
    {
        assert_eq!(permitted(good), Some(true), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "MPL-2.0", "(MIT OR ISC) AND LGPL-2.1", "MIT WITH Classpath-exception"] {
        assert_eq!(permitted(bad), Some(false), "{bad}");
    }
    for nonsense in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND"] {
        assert_eq!(permitted(nonsense), None, "{nonsense:?}");
    }
}
