//! `ferry purge`: the nodes' caches forget an object, or all below a prefix.

use std::{process::ExitCode, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command};
use ferry_proto::v1::{self, purge_cache_request::What};

use crate::{
    caches::{self, Cache, Outcome, Target, within},
    control::{self, Pass},
    process::Usage,
};

/// How long a node may take to forget: a prefix may stand for very many objects, each of them a file to be removed.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn command() -> Command {
    Command::new("purge")
        .about("Drops objects from the caches of all nodes")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .action(ArgAction::Append)
                .help("Decoded paths, such as /video/42/film.mp4: all their queries and variants go"),
        )
        .arg(
            Arg::new("prefix")
                .long("prefix")
                .value_name("PREFIX")
                .action(ArgAction::Append)
                .help("All objects whose paths begin so; / for everything"),
        )
        .args(caches::args())
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let given = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned();
    let paths = given("path").map(What::Path);
    let wanted: Vec<_> = paths.chain(given("prefix").map(What::Prefix)).collect();
    if wanted.is_empty() {
        return Err(Usage("expected a PATH or --prefix PREFIX".to_owned()).into());
    }
    let named = caches::named(matches)?;
    control::run(async {
        let pass = Pass::from_matches(matches)?;
        let targets: Vec<Target> = match named {
            Some(target) => vec![target],
            None => caches::all(matches).await?.iter().filter_map(facts).map(Target::of).collect(),
        };
        let mut reports = Vec::new();
        for what in wanted {
            let (What::Path(name) | What::Prefix(name)) = &what;
            let name = if matches!(what, What::Prefix(_)) { format!("{name}*") } else { name.clone() };
            let targets = targets.clone();
            reports.extend(caches::each(targets, &pass, &name, |cache| purge(cache, what.clone())).await);
        }
        Ok(caches::conclude(&reports, matches.get_flag("json")))
    })
}

fn facts(node: &v1::NodeStatus) -> Option<&v1::NodeFacts> {
    node.view.as_ref()?.facts.as_ref()
}

async fn purge(cache: Cache, what: What) -> anyhow::Result<Outcome> {
    let Cache { mut client, pass, id } = cache;
    let request = pass.request(v1::PurgeCacheRequest { node_id: id, what: Some(what) })?;
    let purged = within(LIMIT, client.purge_cache(request)).await?.into_inner().purged;
    let said = match purged {
        0 => "was not there".to_owned(),
        1 => "purged".to_owned(),
        more => format!("purged: {more} objects"),
    };
    Ok(Outcome::Done(said, serde_json::json!({ "outcome": "purged", "purged": purged })))
}
