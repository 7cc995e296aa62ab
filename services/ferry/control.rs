//! How operators' commands reach a coordinator, or a node.

mod trouble;

use std::{path::PathBuf, time::Duration};

use crate::process::Usage;
use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, value_parser};
use ferry_proto::v1::{cluster_service_client::ClusterServiceClient, node_service_client::NodeServiceClient};
use ferry_runtime::{
    admin::{AdminToken, TABLE_LIMIT},
    config::{BaseUrl, FromSetting as _},
    coordinators::dial,
};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

/// From the question to the answer, connecting included.
const LIMIT: Duration = Duration::from_secs(10);

/// The flags of every such command.
pub(crate) fn args() -> [Arg; 3] {
    let coordinator = Arg::new("coordinator")
        .long("coordinator")
        .value_name("URL")
        .global(true)
        .help("Which coordinator to ask [env: FERRY_COORDINATOR] [default: http://127.0.0.1:7000]");
    let [ca, token] = trust();
    [coordinator, ca, token]
}

/// Of those, the ones that make two sides trust each other.
pub(crate) fn trust() -> [Arg; 2] {
    [
        Arg::new("coordinator-ca")
            .long("coordinator-ca")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .global(true)
            .help("Authorities that the certificates of whoever is asked must come from (PEM)"),
        Arg::new("admin-token-file")
            .long("admin-token-file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .global(true)
            .help("A file with the token that they want"),
    ]
}

/// A coordinator to ask, or a gateway.
pub(crate) struct Control {
    /// What it is expected to be.
    role: &'static str,
    client: ClusterServiceClient<Channel>,
    url: BaseUrl,
    pass: Pass,
}

/// What whoever is asked must show, and is shown.
#[derive(Clone)]
pub(crate) struct Pass {
    ca: Option<PathBuf>,
    token: Option<AdminToken>,
}

impl Control {
    /// The coordinator that is named. Must be called inside a runtime.
    pub(crate) fn from_matches(matches: &ArgMatches) -> anyhow::Result<Self> {
        Self::named("coordinator", "FERRY_COORDINATOR", "http://127.0.0.1:7000", matches)
    }

    /// The gateway that is named. Must be called inside a runtime.
    pub(crate) fn gateway(matches: &ArgMatches) -> anyhow::Result<Self> {
        Self::named("gateway", "FERRY_GATEWAY", "http://127.0.0.1:9080", matches)
    }

    fn named(role: &'static str, variable: &str, usual: &str, matches: &ArgMatches) -> anyhow::Result<Self> {
        let named = matches.get_one::<String>(role).cloned();
        let text = named.or_else(|| std::env::var(variable).ok()).unwrap_or_else(|| usual.to_owned());
        let url = BaseUrl::parse(&text).map_err(|expected| Usage(format!("--{role} {text:?}: {expected}")))?;
        let pass = Pass::from_matches(matches)?;
        let client = ClusterServiceClient::new(dial(&url, pass.ca.as_deref())?).max_decoding_message_size(TABLE_LIMIT);
        Ok(Self { role, client, url, pass })
    }

    /// Asks one question; a refusal becomes one line for people.
    pub(crate) async fn ask<Q, A>(
        &mut self,
        question: Q,
        call: impl AsyncFnOnce(&mut ClusterServiceClient<Channel>, Request<Q>) -> Result<tonic::Response<A>, Status>,
    ) -> anyhow::Result<A> {
        let request = self.pass.request(question)?;
        let Ok(answer) = tokio::time::timeout(LIMIT, call(&mut self.client, request)).await else {
            bail!("the {} at {} did not answer within {LIMIT:?}", self.role, self.url);
        };
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => bail!("{}", trouble::explain(&self.url, &status)),
        }
    }
}

impl Pass {
    pub(crate) fn from_matches(matches: &ArgMatches) -> anyhow::Result<Self> {
        let ca = matches.get_one::<PathBuf>("coordinator-ca").cloned();
        let token = matches.get_one::<PathBuf>("admin-token-file").map(|path| AdminToken::load(path)).transpose()?;
        Ok(Self { ca, token })
    }

    /// A question with the token.
    pub(crate) fn request<Q>(&self, question: Q) -> anyhow::Result<Request<Q>> {
        let mut request = Request::new(question);
        if let Some(token) = &self.token {
            let bearer = MetadataValue::try_from(token.bearer()).context("the admin token cannot be sent")?;
            request.metadata_mut().insert("authorization", bearer);
        }
        Ok(request)
    }

    /// A node, which is dialled when it is first asked. Must be called inside a runtime.
    pub(crate) fn node(&self, url: &BaseUrl) -> anyhow::Result<NodeServiceClient<Channel>> {
        Ok(NodeServiceClient::new(dial(url, self.ca.as_deref())?))
    }
}

/// Runs a command that asks and ends.
pub(crate) fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("could not start the runtime")?.block_on(work)
}
