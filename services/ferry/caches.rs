//! Commands about the caches of nodes: whom they concern, how each is asked, and what is said of it.
//!
//! Each node is asked at its own admin listener. It is told for which node the question is, and refuses what is meant for another: an address that
//! a node registered may lead elsewhere from here.

use std::{future::Future, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches};
use ferry_core::address::Authority;
use ferry_proto::v1::{self, node_service_client::NodeServiceClient};
use ferry_runtime::config::{BaseUrl, FromSetting as _};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::time::timeout;
use tonic::{Status, transport::Channel};

use crate::{
    control::{Control, Pass},
    output,
    process::Usage,
};

/// How many nodes are asked at one time.
const AT_ONCE: usize = 32;

/// How long a node may take to say whether it has a cache, connecting included.
const LIMIT: Duration = Duration::from_secs(10);

/// A node that a command concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its id; empty where only its address is known.
    pub(crate) id: String,
    /// Where its admin listener is; `None` if it never said.
    pub(crate) url: Option<BaseUrl>,
}

/// A node's cache, and the way to it.
pub(crate) struct Cache {
    pub(crate) client: NodeServiceClient<Channel>,
    pub(crate) pass: Pass,
    /// Who it is, by its own word.
    pub(crate) id: String,
}

/// What became of a command at one node.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) node: String,
    /// What for: a path, or a prefix.
    pub(crate) what: String,
    pub(crate) outcome: Outcome,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done: in words, and in numbers for programs.
    Done(String, Value),
    /// There is no cache.
    NoCache,
    /// It is not done, and why.
    Failed(String),
}

/// The flags of every such command.
pub(crate) fn args() -> [Arg; 2] {
    [
        Arg::new("node")
            .long("node")
            .value_name("URL")
            .help("Ask this node alone, at its admin listener, such as http://127.0.0.1:9001"),
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, for programs"),
    ]
}

/// The node that `--node` names.
pub(crate) fn named(matches: &ArgMatches) -> anyhow::Result<Option<Target>> {
    let Some(text) = matches.get_one::<String>("node") else { return Ok(None) };
    let url = if text.contains("://") { text.clone() } else { format!("http://{text}") };
    let url = BaseUrl::parse(&url).map_err(|expected| Usage(format!("--node {text:?}: {expected}")))?;
    Ok(Some(Target { id: String::new(), url: Some(url) }))
}

/// Every node on record, whatever its state: what is down still has what is on its disk.
pub(crate) async fn all(matches: &ArgMatches) -> anyhow::Result<Vec<v1::NodeStatus>> {
    let mut control = Control::from_matches(matches)?;
    let listed = control.ask(v1::ListNodesRequest {}, async |c, q| c.list_nodes(q).await).await?;
    if listed.nodes.is_empty() {
        bail!("no node has registered yet");
    }
    Ok(listed.nodes)
}

impl Target {
    /// Where a node's admin listener is, by what it registered: TLS where it has that for clients, but on loopback, where it stays plain.
    pub(crate) fn of(facts: &v1::NodeFacts) -> Self {
        let plain = facts.tls_address.is_empty()
            || facts.admin_address.parse::<Authority>().is_ok_and(|address| address.is_loopback());
        let scheme = if plain { "http" } else { "https" };
        let url = BaseUrl::parse(&format!("{scheme}://{}", facts.admin_address)).ok();
        Self { id: facts.node_id.clone(), url }
    }

    /// What people call it.
    fn name(&self) -> String {
        match (&self.url, self.id.as_str()) {
            (Some(url), "") => url.to_string(),
            (_, id) => id.to_owned(),
        }
    }

    /// Asks whether there is a cache, and whether it is that of the node that is meant.
    async fn cache(&self, pass: &Pass) -> anyhow::Result<Option<Cache>> {
        let url = self.url.as_ref().context("it registered no admin address")?;
        let mut client = pass.node(url)?;
        let request = pass.request(v1::GetCacheRequest {})?;
        let answer = within(LIMIT, client.get_cache(request)).await?.into_inner();
        if !self.id.is_empty() && answer.node_id != self.id {
            bail!("{url} is not this node, but {}", answer.node_id);
        }
        Ok(answer.cache.map(|_| Cache { client, pass: pass.clone(), id: answer.node_id }))
    }
}

/// Asks all of them, some at one time, and returns what became of it in their order.
pub(crate) async fn each<F>(targets: Vec<Target>, pass: &Pass, what: &str, act: impl Fn(Cache) -> F) -> Vec<Report>
where
    F: Future<Output = anyhow::Result<Outcome>>,
{
    let one = |target: Target| {
        let act = &act;
        async move {
            let outcome = match target.cache(pass).await {
                Ok(Some(cache)) => act(cache).await.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}"))),
                Ok(None) => Outcome::NoCache,
                Err(error) => Outcome::Failed(format!("{error:#}")),
            };
            Report { node: target.name(), what: what.to_owned(), outcome }
        }
    };
    stream::iter(targets).map(one).buffered(AT_ONCE).collect().await
}

/// Says what became of it, node by node. Whatever failed makes the command fail; so does a cluster without a cache.
pub(crate) fn conclude(reports: &[Report], json: bool) -> ExitCode {
    if json {
        output::say(&Value::Array(reports.iter().map(Report::json).collect()).to_string());
    } else {
        let width = reports.iter().map(|report| report.node.len()).max().unwrap_or_default();
        for report in reports {
            output::say(&report.line(width));
        }
    }
    let failed = reports.iter().any(|report| matches!(report.outcome, Outcome::Failed(_)));
    let done = reports.iter().any(|report| matches!(report.outcome, Outcome::Done(..)));
    if failed || !done { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The answer of a node within a time, or one line for people.
pub(crate) async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, Status>>) -> anyhow::Result<T> {
    match timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => bail!("{}", status.message()),
        Err(_) => bail!("it did not answer within {limit:?}"),
    }
}

impl Report {
    fn line(&self, width: usize) -> String {
        let Self { node, what, outcome } = self;
        let said = match outcome {
            Outcome::Done(said, _) => said.clone(),
            Outcome::NoCache => "it has no cache".to_owned(),
            Outcome::Failed(why) => format!("FAILED: {why}"),
        };
        format!("{node:<width$}  {what}  {said}")
    }

    fn json(&self) -> Value {
        let mut page = match &self.outcome {
            Outcome::Done(_, numbers) => numbers.clone(),
            Outcome::NoCache => serde_json::json!({ "outcome": "no cache" }),
            Outcome::Failed(why) => serde_json::json!({ "outcome": "failed", "error": why }),
        };
        page["node"] = self.node.clone().into();
        page["what"] = self.what.clone().into();
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        Report { node: "n".to_owned(), what: "/a".to_owned(), outcome }
    }

    #[test]
    fn an_admin_listener_speaks_tls_where_it_is_not_on_loopback() {
        let url = |admin: &str, tls: &str| {
            let facts = v1::NodeFacts {
                node_id: "n1".to_owned(),
                admin_address: admin.to_owned(),
                tls_address: tls.to_owned(),
                ..v1::NodeFacts::default()
            };
            Target::of(&facts).url.map(|url| url.to_string())
        };
        for (admin, tls, expected) in [
            ("10.0.0.1:9001", "", Some("http://10.0.0.1:9001")),
            ("10.0.0.1:9001", "10.0.0.1:8443", Some("https://10.0.0.1:9001")),
            ("127.0.0.1:9001", "10.0.0.1:8443", Some("http://127.0.0.1:9001")),
            ("localhost:9001", "10.0.0.1:8443", Some("http://localhost:9001")),
            ("", "", None),
        ] {
            assert_eq!(url(admin, tls).as_deref(), expected, "{admin} {tls}");
        }
    }

    #[test]
    fn one_failure_is_a_failure_and_so_is_a_cluster_without_a_cache() {
        let done = || report(Outcome::Done("done".to_owned(), serde_json::json!({ "outcome": "done" })));
        let failed = || report(Outcome::Failed("why".to_owned()));
        let without = || report(Outcome::NoCache);
        for (reports, good) in [
            (vec![done()], true),
            (vec![done(), without()], true),
            (vec![done(), failed()], false),
            (vec![without()], false),
            (vec![], false),
        ] {
            let expected = if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            assert_eq!(format!("{:?}", conclude(&reports, true)), format!("{expected:?}"), "{reports:?}");
        }
    }

    #[test]
    fn a_line_says_who_and_what() {
        assert_eq!(report(Outcome::Failed("it is down".to_owned())).line(3), "n    /a  FAILED: it is down");
        let page = report(Outcome::NoCache).json();
        assert_eq!(page, serde_json::json!({ "node": "n", "what": "/a", "outcome": "no cache" }));
    }
}
