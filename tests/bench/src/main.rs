//! Measures ferry beside nginx and prints the table of what ferry must reach.
//!
//! It decides nothing about ferry: both servers run as their users would run them, over the same files, in turns within one
//! run, and all figures are ratios. `tests/bench/run` builds and starts it; README.md says what each row means.

mod cached;
mod control;
mod cores;
mod docs;
mod get;
mod ground;
mod load;
mod machine;
mod measure;
mod namespaces;
mod origin;
mod plot;
mod procfs;
mod rows;
mod server;
mod site;
mod statistics;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{
    ground::Ground,
    rows::{Bench, LONG, ROWS, Row},
    site::Site,
};

/// What was asked for.
#[derive(Debug, Default)]
struct Wish {
    rows: Vec<Row>,
    /// Whether a row that falls short is a failure.
    strict: bool,
    /// Another ferry than the one that `cargo build --release` makes.
    program: Option<PathBuf>,
    /// Whether the table and the plots go into the docs.
    docs: bool,
    help: bool,
}

impl Wish {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut wish = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--strict" => wish.strict = true,
                "--docs" => wish.docs = true,
                "--program" => wish.program = Some(arguments.next().context("--program wants a FILE")?.into()),
                "--help" | "-h" => wish.help = true,
                name => match ROWS.iter().chain(&LONG).find(|row| row.name == name) {
                    Some(row) => wish.rows.push(*row),
                    None => bail!("no row has the name {name}; --help names them"),
                },
            }
        }
        if wish.rows.is_empty() {
            wish.rows.extend(ROWS);
        }
        Ok(wish)
    }
}

const OPTIONS: &str = "  --strict        exit 1 if a row falls short
  --docs          write the table and the plots into docs/
  --program FILE  measure this ferry instead of building one
";

fn help() -> String {
    let rows: String = ROWS.iter().chain(&LONG).map(|row| format!("  {:<15} {}\n", row.name, row.about)).collect();
    format!("tests/bench/run [OPTION…] [ROW…]\n\nRows:\n{rows}\nOptions:\n{OPTIONS}")
}

/// Measures, prints, and says whether every row was reached.
#[allow(clippy::print_stdout, reason = "what this program is for")]
fn run(wish: &Wish) -> Result<bool> {
    let begun = Instant::now();
    // tests/bench/run starts this program in the workspace.
    let workspace = std::env::current_dir()?;
    let place = workspace.join("target/bench");
    fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
    let site = Site::prepare(place.join("site"))?;
    let scratch = tempfile::tempdir_in(&place)?;
    let built = workspace.join("target/release/ferry");
    let program = wish.program.as_deref().unwrap_or(&built);
    let bench = Bench::new(Ground { site: &site, workspace: &workspace, program, scratch: scratch.path() })?;
    for row in &wish.rows {
        (row.measure)(&bench).with_context(|| format!("measuring {}", row.name))?;
    }
    let (lines, plots) = bench.results();
    let table = table::markdown(&lines);
    println!("\n{table}");
    let short: Vec<&str> = lines.iter().filter(|line| !line.reached()).map(|line| line.work.as_str()).collect();
    let judged =
        if short.is_empty() { "no row falls short".to_owned() } else { format!("short: {}", short.join("; ")) };
    println!("{judged} ({:.0} s)", begun.elapsed().as_secs_f64());
    write(&place.join("table.md"), &table)?;
    let drawings = if wish.docs { workspace.join("docs") } else { place };
    for (file, drawing) in plots {
        write(&drawings.join(file), &drawing)?;
        println!("drawn: {}", drawings.join(file).display());
    }
    if wish.docs && !lines.is_empty() {
        docs::put_table(&workspace.join("docs/performance.md"), &table)?;
    }
    Ok(short.is_empty())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "what this program is for")]
fn main() -> ExitCode {
    let wish = match Wish::read(std::env::args().skip(1)) {
        Ok(wish) if wish.help => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("ferry-bench: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&wish) {
        Ok(all) if all || !wish.strict => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("ferry-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ROWS, Wish};

    fn read(arguments: &str) -> anyhow::Result<Wish> {
        Wish::read(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_a_row_all_are_meant_and_a_mistyped_one_is_refused() {
        let names = |wish: &Wish| wish.rows.iter().map(|row| row.name).collect::<Vec<_>>();
        let all = read("--strict").expect("a good option");
        assert!(all.strict && all.rows.len() == ROWS.len());
        let two = read("tls --program ./ferry plain").expect("two good rows");
        assert_eq!(names(&two), ["tls", "plain"]);
        assert_eq!(two.program.as_deref().and_then(|path| path.to_str()), Some("./ferry"));
        assert!(read("plian").is_err() && read("--program").is_err());
    }
}
