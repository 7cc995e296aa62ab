//! The gateway's table, for operators: the questions of `ClusterService` that a gateway can answer, also when no coordinator is there.

use std::sync::Arc;

use ferry_core::{id::GatewayId, selection::Candidate};
use ferry_proto::v1::{self, cluster_service_server::ClusterService};
use tonic::{Request, Response, Status};

use crate::{
    explain::{Imagined, Unexplained},
    handler::Front,
};

/// Answers from the present picture.
#[derive(Debug, Clone)]
pub(crate) struct TableService {
    pub(crate) id: GatewayId,
    pub(crate) front: Arc<Front>,
}

impl TableService {
    fn heard_ms_ago(&self) -> Option<u64> {
        let age = self.front.clock.now().since(self.front.current.heard()?);
        Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }

    fn saved_ms_ago(&self) -> Option<u64> {
        let age = self.front.clock.wall().since(self.front.current.saved()?);
        Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }

    /// What a client would get, and why, by this gateway's table.
    pub(crate) fn explained(&self, imagined: &Imagined) -> Result<v1::ExplainResponse, Unexplained> {
        Ok(v1::ExplainResponse {
            gateway_id: self.id.to_string(),
            heard_ms_ago: self.heard_ms_ago(),
            saved_ms_ago: self.saved_ms_ago(),
            ..self.front.explain(imagined)?
        })
    }
}

/// What the gateway makes of a node.
fn status(candidate: &Candidate) -> v1::NodeStatus {
    let view = v1::NodeView {
        facts: Some((&**candidate.facts()).into()),
        state: v1::NodeState::from(candidate.state()).into(),
        load: Some(candidate.reported().into()),
        intent: candidate.decided_weight().map(|weight| v1::Intent { weight: weight.get(), ..Default::default() }),
        ..Default::default()
    };
    v1::NodeStatus { view: Some(view), ..Default::default() }
}

#[tonic::async_trait]
impl ClusterService for TableService {
    async fn list_nodes(&self, _: Request<v1::ListNodesRequest>) -> Result<Response<v1::ListNodesResponse>, Status> {
        Ok(Response::new(v1::ListNodesResponse {
            nodes: self.front.current.load().table.iter().map(status).collect(),
            gateway_id: self.id.to_string(),
            heard_ms_ago: self.heard_ms_ago(),
            saved_ms_ago: self.saved_ms_ago(),
            ..Default::default()
        }))
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::GetNodeResponse>, Status> {
        let id = request.into_inner().node_id;
        let id = id.parse().map_err(|why| Status::invalid_argument(format!("node_id: {why}")))?;
        let picture = self.front.current.load();
        let unknown = || Status::not_found(format!("this gateway knows no node {id}"));
        let node = picture.table.find(&id).map(status).ok_or_else(unknown)?;
        Ok(Response::new(v1::GetNodeResponse {
            node: Some(node),
            gateway_id: self.id.to_string(),
            heard_ms_ago: self.heard_ms_ago(),
            saved_ms_ago: self.saved_ms_ago(),
            ..Default::default()
        }))
    }

    async fn drain_node(&self, _: Request<v1::DrainNodeRequest>) -> Result<Response<v1::DrainNodeResponse>, Status> {
        Err(elsewhere())
    }

    async fn maintain_node(
        &self,
        _: Request<v1::MaintainNodeRequest>,
    ) -> Result<Response<v1::MaintainNodeResponse>, Status> {
        Err(elsewhere())
    }

    async fn resume_node(&self, _: Request<v1::ResumeNodeRequest>) -> Result<Response<v1::ResumeNodeResponse>, Status> {
        Err(elsewhere())
    }

    async fn set_node(&self, _: Request<v1::SetNodeRequest>) -> Result<Response<v1::SetNodeResponse>, Status> {
        Err(elsewhere())
    }

    async fn remove_node(&self, _: Request<v1::RemoveNodeRequest>) -> Result<Response<v1::RemoveNodeResponse>, Status> {
        Err(elsewhere())
    }

    async fn sign_path(&self, _: Request<v1::SignPathRequest>) -> Result<Response<v1::SignPathResponse>, Status> {
        Err(elsewhere())
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        let imagined = imagined(&request)?;
        self.explained(&imagined).map(Response::new).map_err(|why| match why {
            Unexplained::Malformed => Status::invalid_argument(format!("target: {why}")),
            Unexplained::Unknown => Status::not_found(why.to_string()),
        })
    }
}

/// The request that an operator imagines. Without an address, it is the operator's own.
fn imagined(request: &Request<v1::ExplainRequest>) -> Result<Imagined, Status> {
    let v1::ExplainRequest { target, client_address, tls } = request.get_ref().clone();
    if !target.starts_with('/') {
        return Err(Status::invalid_argument("target: expected a path that begins with /"));
    }
    let address = match (&*client_address, request.remote_addr()) {
        ("", Some(peer)) => peer.ip(),
        (text, _) => text
            .parse()
            .map_err(|_| Status::invalid_argument(format!("client_address: expected an IP address, not {text:?}")))?,
    };
    Ok(Imagined { target, address, tls })
}

fn elsewhere() -> Status {
    Status::unimplemented("a gateway decides nothing: ask a coordinator")
}
