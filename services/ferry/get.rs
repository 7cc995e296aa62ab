//! `ferry get`: one download, to its end.
//!
//! It resumes after a break and after a restart, changes to another node by the redirect's alternates and then by asking the gateway again, and
//! checks length and digest. Bytes of two versions never meet in one file.

mod client;
mod digest;
mod failed;
mod file;
mod journey;
mod links;
mod name;
mod pace;
mod progress;
mod way;

use std::{num::NonZeroU64, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ferry_runtime::config::{ByteSize, FromSetting as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use self::{client::Client, file::Output, journey::Journey, pace::Pace, progress::Progress};
use crate::{output, process::Usage};

pub(crate) fn command() -> Command {
    Command::new("get")
        .about("Downloads a file: resumes, changes node on failure, verifies length and digest")
        .arg(Arg::new("url").value_name("URL").required(true).help("Where the file is: a URL at a gateway, or at any HTTP server"))
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Where to put it; replaces what is there. - for standard output. Without it, under the name that the server gives, or the URL's last part"),
        )
        .arg(
            Arg::new("header")
                .short('H')
                .long("header")
                .value_name("NAME: VALUE")
                .action(ArgAction::Append)
                .help("One more field of the request. Cookie and Authorization stay with the URL's own origin"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("TIME")
                .default_value("10s")
                .help("How long a server may be silent before another one is asked"),
        )
        .arg(
            Arg::new("give-up-after")
                .long("give-up-after")
                .value_name("TIME")
                .default_value("2m")
                .help("How long to go on without a single byte"),
        )
        .arg(
            Arg::new("cacert")
                .long("cacert")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Authorities that certificates must come from (PEM), instead of the system's"),
        )
        .arg(
            Arg::new("limit-rate")
                .long("limit-rate")
                .value_name("BYTES")
                .help("No more bytes than this in a second, such as 2MiB"),
        )
        .arg(Arg::new("quiet").short('q').long("quiet").action(ArgAction::SetTrue).help("No progress"))
        .after_help(
            "While it is under way, the bytes are in FILE.part, and FILE.part.json says what they are of: the same command goes on where it stopped.\n\n\
             Exit codes: 0 the file is there, whole; 3 it could not be written; 4 no server gave it in time; 8 a server refused it; \
             9 what came is not what was announced; 64 a wrong command line",
        )
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let url = source(matches.get_one::<String>("url").context("clap wants a URL")?)?;
    let client = Client::new(&client::Settings {
        ca: matches.get_one::<PathBuf>("cacert").cloned(),
        silence: time(matches, "timeout")?,
        headers: fields(matches)?,
    })?;
    let patience = time(matches, "give-up-after")?;
    let pace = rate(matches)?.map(Pace::new);
    let target = Output::of(matches.get_one::<PathBuf>("output").map(PathBuf::as_path), &url);
    let progress = Progress::new(matches.get_flag("quiet"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async { Journey::new(&client, url, patience, progress).at(pace).run(target).await });
    // A look-up of a name that hangs must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failed) => {
            output::complain(&format!("ferry get: {}", ferry_core::chain::Chain(&failed)));
            Ok(ExitCode::from(failed.exit_code()))
        }
    }
}

fn source(text: &str) -> Result<Url, Usage> {
    let refused = |why: &str| Usage(format!("URL {text:?}: {why}"));
    let mut url = Url::parse(text).map_err(|why| refused(&why.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("expected http:// or https://"));
    }
    url.set_fragment(None);
    Ok(url)
}

fn time(matches: &ArgMatches, name: &str) -> Result<Duration, Usage> {
    let text = matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let span = Duration::parse(text).map_err(|expected| Usage(format!("--{name} {text:?}: {expected}")))?;
    if span.is_zero() {
        return Err(Usage(format!("--{name} {text:?}: expected more than nothing")));
    }
    Ok(span)
}

fn rate(matches: &ArgMatches) -> Result<Option<NonZeroU64>, Usage> {
    let Some(text) = matches.get_one::<String>("limit-rate") else { return Ok(None) };
    let refused = |expected: &str| Usage(format!("--limit-rate {text:?}: {expected}"));
    let ByteSize(bytes) = ByteSize::parse(text).map_err(|expected| refused(&expected))?;
    NonZeroU64::new(bytes).map(Some).ok_or_else(|| refused("expected more than nothing"))
}

fn fields(matches: &ArgMatches) -> Result<HeaderMap, Usage> {
    let mut fields = HeaderMap::new();
    for line in matches.get_many::<String>("header").into_iter().flatten() {
        let field = line.split_once(':').and_then(|(name, value)| {
            Some((HeaderName::try_from(name.trim()).ok()?, HeaderValue::try_from(value.trim()).ok()?))
        });
        let (name, value) = field.ok_or_else(|| Usage(format!("--header {line:?}: expected NAME: VALUE")))?;
        fields.append(name, value);
    }
    Ok(fields)
}
