//! The stream from a coordinator to a gateway, and the copy of the table on disk.

use std::time::Duration;

use ferry_core::{
    id::Incarnation,
    load::Load,
    merge::{Body, Epoch, GatewayFacts, Merge, Report, Tombstone},
    node::{Freshness, NodeView},
    time::UnixMillis,
};

use super::{Invalid, check_version, name};
use crate::{VERSION, v1};

/// Why an update cannot be taken; the stream that brought it is not worth keeping.
#[derive(Debug, thiserror::Error)]
#[error("the coordinator's update is malformed")]
pub struct InvalidUpdate(#[from] Invalid);

impl TryFrom<v1::Epoch> for Epoch {
    type Error = Invalid;

    fn try_from(wire: v1::Epoch) -> Result<Self, Invalid> {
        Ok(Self {
            coordinator: name("coordinator_id")(&wire.coordinator_id)?,
            incarnation: Incarnation(wire.incarnation),
            sequence: wire.sequence,
        })
    }
}

impl From<&Epoch> for v1::Epoch {
    fn from(epoch: &Epoch) -> Self {
        Self {
            coordinator_id: epoch.coordinator.as_str().to_owned(),
            incarnation: epoch.incarnation.0,
            sequence: epoch.sequence,
        }
    }
}

impl TryFrom<v1::RoutingUpdate> for (Epoch, Body) {
    type Error = InvalidUpdate;

    fn try_from(wire: v1::RoutingUpdate) -> Result<Self, InvalidUpdate> {
        let epoch = wire.epoch.ok_or(Invalid::Missing("epoch"))?.try_into()?;
        let body = match wire.body.ok_or(Invalid::Missing("body"))? {
            v1::routing_update::Body::Snapshot(snapshot) => {
                check_version(snapshot.version)?;
                Body::Snapshot {
                    nodes: views(snapshot.nodes)?,
                    removed: tombstones(snapshot.removed)?,
                    facts: snapshot.facts.ok_or(Invalid::Missing("facts"))?.try_into()?,
                }
            }
            v1::routing_update::Body::Delta(delta) => Body::Delta {
                nodes: views(delta.nodes)?,
                loads: delta.loads.into_iter().map(Report::try_from).collect::<Result<_, _>>()?,
                removed: tombstones(delta.removed)?,
                facts: delta.facts.map(GatewayFacts::try_from).transpose()?,
            },
            v1::routing_update::Body::Mark(_) => Body::Mark,
            v1::routing_update::Body::Evidence(_) => return Err(Invalid::Missing("a word on the table").into()),
        };
        Ok((epoch, body))
    }
}

impl From<(&Epoch, &Body, UnixMillis)> for v1::RoutingUpdate {
    fn from((epoch, body, now): (&Epoch, &Body, UnixMillis)) -> Self {
        let body = match body {
            Body::Snapshot { nodes, removed, facts } => v1::routing_update::Body::Snapshot(v1::Snapshot {
                version: VERSION,
                nodes: nodes.iter().map(v1::NodeView::from).collect(),
                facts: Some((facts, now).into()),
                removed: removed.iter().map(v1::Tombstone::from).collect(),
            }),
            Body::Delta { nodes, loads, removed, facts } => v1::routing_update::Body::Delta(v1::Delta {
                nodes: nodes.iter().map(v1::NodeView::from).collect(),
                loads: loads.iter().map(v1::NodeLoad::from).collect(),
                removed: removed.iter().map(v1::Tombstone::from).collect(),
                facts: facts.as_ref().map(|facts| (facts, now).into()),
                unix_ms: now.0,
            }),
            Body::Mark => v1::routing_update::Body::Mark(v1::Mark { unix_ms: now.0 }),
        };
        Self { epoch: Some(epoch.into()), body: Some(body) }
    }
}

impl TryFrom<v1::NodeLoad> for Report {
    type Error = Invalid;

    fn try_from(wire: v1::NodeLoad) -> Result<Self, Invalid> {
        Ok(Self {
            id: name("node_id")(&wire.node_id)?,
            freshness: Freshness { incarnation: Incarnation(wire.incarnation), beat: wire.beat },
            load: wire.load.map(Load::from).unwrap_or_default(),
            heard_ago: Duration::from_millis(wire.heard_ms_ago),
        })
    }
}

impl From<&Report> for v1::NodeLoad {
    fn from(report: &Report) -> Self {
        Self {
            node_id: report.id.as_str().to_owned(),
            incarnation: report.freshness.incarnation.0,
            beat: report.freshness.beat,
            load: Some(report.load.into()),
            heard_ms_ago: u64::try_from(report.heard_ago.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<v1::Tombstone> for Tombstone {
    type Error = Invalid;

    fn try_from(wire: v1::Tombstone) -> Result<Self, Invalid> {
        Ok(Self { id: name("node_id")(&wire.node_id)?, revision: wire.revision })
    }
}

impl From<&Tombstone> for v1::Tombstone {
    fn from(tombstone: &Tombstone) -> Self {
        Self { node_id: tombstone.id.as_str().to_owned(), revision: tombstone.revision }
    }
}

impl TryFrom<v1::GatewayFacts> for GatewayFacts {
    type Error = Invalid;

    fn try_from(wire: v1::GatewayFacts) -> Result<Self, Invalid> {
        Ok(Self {
            user_ring: wire.user_ring.map(TryInto::try_into).transpose()?,
            node_ring: wire.node_ring.map(TryInto::try_into).transpose()?,
            coordinators: wire.coordinators.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<(&GatewayFacts, UnixMillis)> for v1::GatewayFacts {
    fn from((facts, now): (&GatewayFacts, UnixMillis)) -> Self {
        Self {
            user_ring: facts.user_ring.as_ref().map(Into::into),
            node_ring: facts.node_ring.as_ref().map(Into::into),
            coordinators: facts.coordinators.iter().map(Into::into).collect(),
            unix_ms: now.0,
        }
    }
}

impl From<(&Merge, UnixMillis)> for v1::SavedTable {
    fn from((merge, now): (&Merge, UnixMillis)) -> Self {
        Self {
            version: VERSION,
            saved_unix_ms: now.0,
            nodes: merge.views().map(v1::NodeView::from).collect(),
            removed: merge.tombstones().map(|tombstone| (&tombstone).into()).collect(),
            facts: Some((merge.facts(), now).into()),
            clock_offset_ms: None,
        }
    }
}

impl TryFrom<v1::SavedTable> for Merge {
    type Error = Invalid;

    fn try_from(wire: v1::SavedTable) -> Result<Self, Invalid> {
        check_version(wire.version)?;
        let facts = wire.facts.ok_or(Invalid::Missing("facts"))?.try_into()?;
        Ok(Self::from_saved(views(wire.nodes)?, tombstones(wire.removed)?, facts))
    }
}

fn views(wire: Vec<v1::NodeView>) -> Result<Vec<NodeView>, Invalid> {
    wire.into_iter().map(NodeView::try_from).collect()
}

fn tombstones(wire: Vec<v1::Tombstone>) -> Result<Vec<Tombstone>, Invalid> {
    wire.into_iter().map(Tombstone::try_from).collect()
}
