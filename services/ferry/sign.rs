//! `ferry sign`: a URL that lets one user fetch one path, or all below a directory.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ferry_core::{
    object::ObjectPath,
    ring::Key,
    target::encode_path,
    tokens::{Scope, UserClaim, sign_user},
};
use ferry_proto::v1;
use ferry_runtime::{
    config::{BaseUrl, FromSetting as _},
    key_file,
};

use crate::{
    control::{self, Control},
    output,
    process::Usage,
};

pub(crate) fn command() -> Command {
    Command::new("sign")
        .about("Signs a path for a user, with a key file or by asking a coordinator")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .help("The decoded path, such as /video/42/film.mp4, with ?QUERY where the query is part of the key"),
        )
        .arg(
            Arg::new("scope")
                .long("scope")
                .action(ArgAction::SetTrue)
                .help("PATH ends in / and stands for all that lies below"),
        )
        .arg(Arg::new("uid").long("uid").value_name("USER").default_value("anonymous").help("Who may fetch it"))
        .arg(Arg::new("expires-in").long("expires-in").value_name("TIME").default_value("1h").help("For how long"))
        .arg(
            Arg::new("key-file")
                .long("key-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Sign with the user key of this file (base64 or hex) instead of asking a coordinator"),
        )
        .arg(Arg::new("kid").long("kid").value_name("ID").default_value("u1").help("The name of that key"))
        .arg(Arg::new("url").long("url").value_name("URL").help("Print a whole URL at this gateway"))
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let path = matches.get_one::<String>("path").context("clap wants a path")?;
    // Where a route keeps the query, it is part of what is signed.
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let uid = matches.get_one::<String>("uid").cloned().unwrap_or_default();
    let expires = expires(matches)?;
    let scope = matches.get_flag("scope");
    let signature = match matches.get_one::<PathBuf>("key-file") {
        Some(file) => {
            let kid = matches.get_one::<String>("kid").cloned().unwrap_or_default();
            let key = key_file::load_key(file, kid.parse()?)?;
            sign(&key, &path, query, scope, &uid, expires)?
        }
        None => {
            let question =
                v1::SignPathRequest { path: path.clone(), scope, uid, expires_unix: expires, query: String::new() };
            control::run(async {
                let mut control = Control::from_matches(matches)?;
                Ok(control.ask(question, async |c, q| c.sign_path(q).await).await?.query)
            })?
        }
    };
    let base = match matches.get_one::<String>("url") {
        Some(url) => BaseUrl::parse(url).map_err(|expected| Usage(format!("--url {url:?}: {expected}")))?.to_string(),
        None => String::new(),
    };
    let encoded = encode(&path)?;
    let kept = if query.is_empty() { String::new() } else { format!("{query}&") };
    output::say(&format!("{base}{encoded}?{kept}{signature}"));
    Ok(ExitCode::SUCCESS)
}

/// The path as it stands in a URL; a scope keeps its last slash.
fn encode(path: &str) -> anyhow::Result<String> {
    let inner = ObjectPath::from_decoded(path.trim_matches('/'))?;
    let last = if path.ends_with('/') { "/" } else { "" };
    Ok(format!("{}{last}", encode_path(&inner)))
}

fn sign(key: &Key, path: &str, query: &str, scope: bool, uid: &str, expires: u64) -> anyhow::Result<String> {
    if scope {
        let scope: Scope = path.parse()?;
        return Ok(sign_user(key, UserClaim::Scope(&scope), uid, expires)?);
    }
    let path = ObjectPath::from_decoded(path.trim_start_matches('/'))?;
    Ok(sign_user(key, UserClaim::Path { path: &path, query: (!query.is_empty()).then_some(query) }, uid, expires)?)
}

fn expires(matches: &ArgMatches) -> anyhow::Result<u64> {
    let text = matches.get_one::<String>("expires-in").map(String::as_str).unwrap_or_default();
    let span = Duration::parse(text).map_err(|expected| Usage(format!("--expires-in {text:?}: {expected}")))?;
    if span < Duration::from_secs(1) {
        return Err(Usage(format!("--expires-in {text:?}: expected at least a second")).into());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok((now + span).as_secs())
}
