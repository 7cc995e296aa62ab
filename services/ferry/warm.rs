//! `ferry warm`: the nodes that will serve an object fetch it before anybody asks.

mod choice;

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use clap::{Arg, ArgAction, ArgMatches, Command};
use ferry_core::object::ObjectPath;
use ferry_proto::v1;
use ferry_runtime::config::ByteSize;
use tokio::time::Instant;

use self::choice::Choice;
use crate::{
    caches::{self, Cache, Outcome, within},
    control::{self, Pass},
    output,
    process::Usage,
};

/// A node says how far it is every five seconds at least.
const SILENCE: Duration = Duration::from_secs(30);

/// How often people are told how far each node is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// An object to fetch.
#[derive(Debug, Clone)]
struct Wanted {
    /// As it was typed.
    text: String,
    path: ObjectPath,
    query: String,
}

pub(crate) fn command() -> Command {
    Command::new("warm")
        .about("Fetches objects into the caches of the nodes that will serve them")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .action(ArgAction::Append)
                .help("Decoded paths, such as /video/42/film.mp4, with ?QUERY where the query is part of the key"),
        )
        .arg(
            Arg::new("range")
                .long("range")
                .value_name("FIRST-LAST")
                .action(ArgAction::Append)
                .help("Only these bytes, both ends included; FIRST- for all that follows"),
        )
        .arg(
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .help("All nodes that serve such paths, and not only those that clients are sent to first"),
        )
        .args(caches::args())
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let paths = matches.get_many::<String>("path").into_iter().flatten();
    let wanted = paths.map(|text| Wanted::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let ranges = matches.get_many::<String>("range").into_iter().flatten();
    let ranges = ranges.map(|text| range(text)).collect::<Result<Vec<_>, _>>()?;
    let (named, json) = (caches::named(matches)?, matches.get_flag("json"));
    control::run(async {
        let pass = Pass::from_matches(matches)?;
        let choice = match &named {
            Some(_) => None,
            None => Some(Choice::among(&caches::all(matches).await?)?),
        };
        let mut reports = Vec::new();
        for wanted in wanted {
            let targets = match (&named, &choice) {
                (Some(target), _) => vec![target.clone()],
                (None, Some(choice)) if matches.get_flag("all") => choice.all(&wanted.path),
                (None, Some(choice)) => choice.first(&wanted.path, &wanted.query),
                (None, None) => Vec::new(),
            };
            if targets.is_empty() {
                bail!("no node gets clients for {} now", wanted.text);
            }
            let act = |cache| warm(cache, &wanted, &ranges, !json);
            reports.extend(caches::each(targets, &pass, &wanted.text, act).await);
        }
        Ok(caches::conclude(&reports, json))
    })
}

async fn warm(cache: Cache, wanted: &Wanted, ranges: &[v1::ByteRange], tell: bool) -> anyhow::Result<Outcome> {
    let Cache { mut client, pass, id } = cache;
    let question = v1::WarmCacheRequest {
        node_id: id.clone(),
        path: wanted.path.as_str().to_owned(),
        query: wanted.query.clone(),
        ranges: ranges.to_vec(),
    };
    let mut words = within(SILENCE, client.warm_cache(pass.request(question)?)).await?.into_inner();
    let mut told = Instant::now();
    while let Some(word) = within(SILENCE, words.message()).await? {
        if word.complete {
            let (size, bytes) = (ByteSize(word.bytes), word.bytes);
            return Ok(Outcome::Done(
                format!("warm: {size}"),
                serde_json::json!({ "outcome": "warm", "bytes": bytes }),
            ));
        }
        if tell && told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            output::complain(&format!("{id}  {}  {}", wanted.text, far(&word)));
        }
    }
    bail!("the node stopped without a word")
}

/// How far it is, in words.
fn far(word: &v1::WarmCacheResponse) -> String {
    let bytes = word.bytes;
    match word.length_bytes {
        Some(length) if length > 0 => {
            format!("{bytes} of {length} bytes, {} %", u128::from(bytes) * 100 / u128::from(length))
        }
        _ => format!("{bytes} bytes"),
    }
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, Usage> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let path = ObjectPath::from_decoded(path.strip_prefix('/').unwrap_or(path));
        let path = path.map_err(|why| Usage(format!("{text:?}: {why}")))?;
        Ok(Self { text: text.to_owned(), path, query: query.to_owned() })
    }
}

/// One range, as the field of that name has it (RFC 9110 section 14.1.1), but for the last bytes of an object, whose number nobody knows here.
fn range(text: &str) -> Result<v1::ByteRange, Usage> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let parsed = text.split_once('-').and_then(|(first, last)| {
        let first = number(first)?;
        match last {
            "" => Some(v1::ByteRange { first, last: None }),
            last => number(last).filter(|last| *last >= first).map(|last| v1::ByteRange { first, last: Some(last) }),
        }
    });
    parsed.ok_or_else(|| Usage(format!("--range {text:?}: expected FIRST-LAST or FIRST-, such as 0-1048575")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_in_http() {
        for (text, expected) in [
            ("0-0", Some((0, Some(0)))),
            ("5-", Some((5, None))),
            ("5-4", None),
            ("-5", None),
            ("", None),
            ("+1-2", None),
            ("1-2-3", None),
        ] {
            assert_eq!(range(text).ok().map(|range| (range.first, range.last)), expected, "{text}");
        }
    }

    #[test]
    fn a_path_may_have_a_query() {
        let wanted = Wanted::parse("/a b/c?x=1").expect("a path");
        assert_eq!((wanted.path.as_str(), &*wanted.query), ("a b/c", "x=1"));
        assert_eq!(Wanted::parse("a").expect("a path").query, "");
        for bad in ["", "/", "/a/../b", "?x"] {
            assert!(Wanted::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn progress_is_a_share_where_the_whole_is_known() {
        let far = |bytes, length_bytes| far(&v1::WarmCacheResponse { bytes, length_bytes, complete: false });
        assert_eq!(far(1, Some(4)), "1 of 4 bytes, 25 %");
        assert_eq!([far(1, None), far(0, Some(0))], ["1 bytes", "0 bytes"]);
    }
}
