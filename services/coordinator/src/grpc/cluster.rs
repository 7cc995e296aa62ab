//! `ClusterService`: what operators ask and decide.

use ferry_core::{
    id::NodeId,
    membership::Record,
    node::{Duty, NodeState, Weight},
    object::ObjectPath,
    ring::Key,
    time::UnixMillis,
    tokens::{Scope, UserClaim, sign_user},
};
use ferry_proto::v1;
use tonic::{Request, Response, Status};
use tracing::info;

use super::write_status;
use crate::{
    driver::{Handle, Input, Known, Question},
    records::{Records, WriteError},
};

/// Serves operators.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    handle: Handle,
    records: Records,
    id: String,
}

impl Cluster {
    pub(crate) const fn new(handle: Handle, records: Records, id: String) -> Self {
        Self { handle, records, id }
    }

    async fn node(&self, id: NodeId) -> Result<v1::NodeStatus, Status> {
        let known = self.handle.ask(|reply| Question::Node(id.clone(), reply)).await?;
        known.as_ref().map(status).ok_or_else(|| write_status(&WriteError::Unknown(id)))
    }

    async fn decide(&self, id: &str, duty: Duty) -> Result<v1::NodeStatus, Status> {
        let id = node_id(id)?;
        let record = self.records.set_duty(&id, duty).await.map_err(|error| write_status(&error))?;
        info!(node = %id, ?duty, "an operator decided");
        self.decided(id, record).await
    }

    async fn decided(&self, id: NodeId, record: Record) -> Result<v1::NodeStatus, Status> {
        // The watch would bring it too; an operator should not have to wait for it.
        self.handle.put(Input::Written(record)).await?;
        self.node(id).await
    }
}

#[tonic::async_trait]
impl v1::cluster_service_server::ClusterService for Cluster {
    async fn list_nodes(&self, _: Request<v1::ListNodesRequest>) -> Result<Response<v1::ListNodesResponse>, Status> {
        let nodes = self.handle.ask(Question::Nodes).await?;
        let coordinators = self.handle.ask(Question::Coordinators).await?;
        Ok(Response::new(v1::ListNodesResponse {
            nodes: nodes.iter().map(status).collect(),
            coordinator_id: self.id.clone(),
            coordinators: coordinators.iter().map(Into::into).collect(),
            learning: self.handle.ask(Question::Learning).await?,
            ..Default::default()
        }))
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::GetNodeResponse>, Status> {
        let node = self.node(node_id(&request.into_inner().node_id)?).await?;
        let learning = self.handle.ask(Question::Learning).await?;
        Ok(Response::new(v1::GetNodeResponse { node: Some(node), learning, ..Default::default() }))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::DrainNodeResponse>, Status> {
        let node = self.decide(&request.into_inner().node_id, Duty::Drain).await?;
        Ok(Response::new(v1::DrainNodeResponse { node: Some(node) }))
    }

    async fn maintain_node(
        &self,
        request: Request<v1::MaintainNodeRequest>,
    ) -> Result<Response<v1::MaintainNodeResponse>, Status> {
        let node = self.decide(&request.into_inner().node_id, Duty::Maintenance).await?;
        Ok(Response::new(v1::MaintainNodeResponse { node: Some(node) }))
    }

    async fn resume_node(
        &self,
        request: Request<v1::ResumeNodeRequest>,
    ) -> Result<Response<v1::ResumeNodeResponse>, Status> {
        let node = self.decide(&request.into_inner().node_id, Duty::Serve).await?;
        Ok(Response::new(v1::ResumeNodeResponse { node: Some(node) }))
    }

    async fn set_node(&self, request: Request<v1::SetNodeRequest>) -> Result<Response<v1::SetNodeResponse>, Status> {
        let asked = request.into_inner();
        let (id, weight) = (node_id(&asked.node_id)?, decided_weight(&asked)?);
        let record = self.records.set_weight(&id, weight).await.map_err(|error| write_status(&error))?;
        info!(node = %id, weight = weight.map(Weight::get), "an operator decided");
        let node = self.decided(id, record).await?;
        Ok(Response::new(v1::SetNodeResponse { node: Some(node) }))
    }

    async fn remove_node(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Result<Response<v1::RemoveNodeResponse>, Status> {
        let v1::RemoveNodeRequest { node_id: id, force } = request.into_inner();
        let id = node_id(&id)?;
        let known = self.handle.ask(|reply| Question::Node(id.clone(), reply)).await?;
        let is_alive = |known: Known| known.view.state != NodeState::Down && known.attending;
        if !force && known.is_some_and(is_alive) {
            return Err(Status::failed_precondition(format!(
                "node {id} is alive and would register again: stop it first, or use --force"
            )));
        }
        let revision = self.records.remove(&id).await.map_err(|error| write_status(&error))?;
        info!(node = %id, "an operator removed a node");
        self.handle.put(Input::Removed { id, revision }).await?;
        Ok(Response::new(v1::RemoveNodeResponse {}))
    }

    async fn sign_path(&self, request: Request<v1::SignPathRequest>) -> Result<Response<v1::SignPathResponse>, Status> {
        let asked = request.into_inner();
        let ring = self
            .handle
            .ask(Question::UserRing)
            .await?
            .ok_or_else(|| Status::unavailable("there is no user key ring yet"))?;
        let query = sign(&ring.current, &asked)?;
        Ok(Response::new(v1::SignPathResponse { query }))
    }

    async fn explain(&self, _: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        Err(Status::unimplemented(
            "a coordinator redirects nobody: ask a gateway, at its admin listener (ferry explain PATH --gateway URL)",
        ))
    }
}

fn sign(key: &Key, asked: &v1::SignPathRequest) -> Result<String, Status> {
    let refused = |why: &dyn std::fmt::Display| Status::invalid_argument(format!("path: {why}"));
    let query = (!asked.query.is_empty()).then_some(asked.query.as_str());
    let signed = if asked.scope {
        let scope: Scope = asked.path.parse().map_err(|why| refused(&why))?;
        sign_user(key, UserClaim::Scope(&scope), &asked.uid, asked.expires_unix)
    } else {
        let path = asked.path.strip_prefix('/').unwrap_or(&asked.path);
        let path = ObjectPath::from_decoded(path).map_err(|why| refused(&why))?;
        sign_user(key, UserClaim::Path { path: &path, query }, &asked.uid, asked.expires_unix)
    };
    signed.map_err(|why| Status::invalid_argument(why.to_string()))
}

/// The weight that an operator wants; `None` for what the node registers.
fn decided_weight(asked: &v1::SetNodeRequest) -> Result<Option<Weight>, Status> {
    let refused = |why: &str| Status::invalid_argument(format!("weight: {why}"));
    match (asked.weight, asked.default_weight) {
        (None, true) => Ok(None),
        (Some(weight), false) => match Weight::new(weight) {
            Some(weight) => Ok(Some(weight)),
            None => Err(refused(&format!("expected 1 to {}, not {weight}", Weight::MAX))),
        },
        (None, false) => Err(refused("expected it, or default_weight")),
        (Some(_), true) => Err(refused("expected it or default_weight, not both")),
    }
}

fn node_id(text: &str) -> Result<NodeId, Status> {
    text.parse().map_err(|why| Status::invalid_argument(format!("node_id: {why}")))
}

fn status(known: &Known) -> v1::NodeStatus {
    let UnixMillis(first_seen_unix_ms) = known.first_seen;
    v1::NodeStatus {
        view: Some((&known.view).into()),
        first_seen_unix_ms,
        since_unix_ms: known.since.0,
        attending: known.attending,
    }
}
