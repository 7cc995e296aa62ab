//! `ferry explain`: why a client would get the node that it would get.

mod table;

use std::{net::IpAddr, process::ExitCode};

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use ferry_core::object::ObjectPath;
use ferry_gateway::explanation_json;
use ferry_proto::v1;

use crate::{
    control::{self, Control},
    output,
    process::Usage,
};

pub(crate) fn command() -> Command {
    Command::new("explain")
        .about("Says why a client would get the node that it would get: every candidate, its score, and its reason")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .help("As in a URL, such as /video/42/film.mp4, with ?QUERY where there is one"),
        )
        .arg(
            Arg::new("client")
                .long("client")
                .value_name("ADDRESS")
                .help("The client's IP address [default: the one that asks, as the gateway sees it]"),
        )
        .arg(
            Arg::new("tls")
                .long("tls")
                .action(ArgAction::SetTrue)
                .help("The client comes over TLS, and is sent to TLS only"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, for programs"))
        .arg(
            Arg::new("gateway").long("gateway").value_name("URL").help(
                "The admin listener of which gateway to ask [env: FERRY_GATEWAY] [default: http://127.0.0.1:9080]",
            ),
        )
        .args(control::trust())
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let target = target(matches.get_one::<String>("path").context("clap wants a path")?)?;
    let client = matches.get_one::<String>("client").map(|text| address(text)).transpose()?;
    let question = v1::ExplainRequest {
        target,
        client_address: client.map(|address| address.to_string()).unwrap_or_default(),
        tls: matches.get_flag("tls"),
    };
    control::run(async {
        let mut gateway = Control::gateway(matches)?;
        let explained = gateway.ask(question, async |c, q| c.explain(q).await).await?;
        output::say(&if matches.get_flag("json") {
            explanation_json(&explained).to_string()
        } else {
            table::explained(&explained)
        });
        Ok(ExitCode::SUCCESS)
    })
}

/// Where a path is no path, no gateway need be asked.
fn target(text: &str) -> Result<String, Usage> {
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    if !text.starts_with('/') {
        return Err(Usage(format!("{text:?}: expected a path that begins with /")));
    }
    match ObjectPath::from_target(path) {
        Err(why) if why.is_malformed() => Err(Usage(format!("{text:?}: {why}"))),
        // What names nothing as it stands may be a directory with an index file: the gateway knows.
        Ok(_) | Err(_) => Ok(text.to_owned()),
    }
}

fn address(text: &str) -> Result<IpAddr, Usage> {
    text.parse().map_err(|_| Usage(format!("--client {text:?}: expected an IP address, such as 192.0.2.7")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_gateway_could_answer_is_refused_here() {
        for good in ["/a", "/a%20b?x=1&y", "/", "/video/", "/a b"] {
            assert_eq!(target(good).expect(good), good);
        }
        for (bad, why) in [
            ("a", "\"a\": expected a path that begins with /"),
            ("http://x/a", "\"http://x/a\": expected a path that begins with /"),
            ("/%zz", "\"/%zz\": the path has a percent sign that encodes nothing"),
            ("/%ff?x", "\"/%ff?x\": the path is not UTF-8"),
        ] {
            assert_eq!(target(bad).expect_err(bad).to_string(), why);
        }
        assert!(address("::1").is_ok() && address("192.0.2.7:80").is_err() && address("").is_err());
    }
}
