//! The gateway's table, for operators: the questions of `ClusterService` that a gateway can answer, also when no coordinator is there.

use ferry_core::{id::GatewayId, selection::Candidate};
use ferry_proto::v1::{self, cluster_service_server::ClusterService};
use ferry_runtime::Clock;
use tonic::{Request, Response, Status};

use crate::snapshot::Current;

/// Answers from the present picture.
#[derive(Debug, Clone)]
pub(crate) struct TableService {
    pub(crate) id: GatewayId,
    pub(crate) current: Current,
    pub(crate) clock: Clock,
}

impl TableService {
    fn heard_ms_ago(&self) -> Option<u64> {
        let age = self.clock.now().since(self.current.heard()?);
        Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }

    fn saved_ms_ago(&self) -> Option<u64> {
        let age = self.clock.wall().since(self.current.saved()?);
        Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
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
            nodes: self.current.load().table.iter().map(status).collect(),
            gateway_id: self.id.to_string(),
            heard_ms_ago: self.heard_ms_ago(),
            saved_ms_ago: self.saved_ms_ago(),
            ..Default::default()
        }))
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::GetNodeResponse>, Status> {
        let id = request.into_inner().node_id;
        let id = id.parse().map_err(|why| Status::invalid_argument(format!("node_id: {why}")))?;
        let picture = self.current.load();
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
}

fn elsewhere() -> Status {
    Status::unimplemented("a gateway decides nothing: ask a coordinator")
}
