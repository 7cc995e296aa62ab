//! Evidence of redirects, from nodes to the gateways that made them.

use std::collections::BTreeMap;

use ferry_core::{
    evidence::{Fate, Network, Report, Sighting},
    id::NodeId,
    tokens::RedirectId,
};

use super::{Invalid, name};
use crate::v1;

impl v1::Arrivals {
    /// The redirects of one fate.
    fn of(&mut self, fate: Fate) -> &mut Vec<u64> {
        match fate {
            Fate::UnderWay => &mut self.under_way,
            Fate::Complete => &mut self.complete,
            Fate::BrokenOff => &mut self.broken_off,
            Fate::Failed => &mut self.failed,
        }
    }
}

impl From<&Report> for v1::Evidence {
    fn from(report: &Report) -> Self {
        let mut arrivals = BTreeMap::<Network, v1::Arrivals>::new();
        for Sighting { network, redirect, fate } in &report.sightings {
            arrivals.entry(*network).or_default().of(*fate).push(redirect.0);
        }
        let with_network =
            |(network, arrivals): (Network, _)| v1::Arrivals { network: network.octets().to_vec(), ..arrivals };
        Self { arrivals: arrivals.into_iter().map(with_network).collect(), left_out: report.left_out }
    }
}

impl TryFrom<v1::Evidence> for Report {
    type Error = Invalid;

    fn try_from(wire: v1::Evidence) -> Result<Self, Invalid> {
        check_evidence(&wire)?;
        let mut sightings = Vec::new();
        for mut arrivals in wire.arrivals {
            let network = network(&arrivals)?;
            for fate in Fate::ALL {
                let redirects = std::mem::take(arrivals.of(fate)).into_iter();
                sightings.extend(redirects.map(|redirect| Sighting { network, redirect: RedirectId(redirect), fate }));
            }
        }
        Ok(Self { sightings, left_out: wire.left_out })
    }
}

impl TryFrom<v1::NodeEvidence> for (NodeId, Report) {
    type Error = Invalid;

    fn try_from(wire: v1::NodeEvidence) -> Result<Self, Invalid> {
        let evidence = wire.evidence.ok_or(Invalid::Missing("evidence"))?;
        Ok((name("node_id")(&wire.node_id)?, evidence.try_into()?))
    }
}

/// Whether a node's evidence may be passed on: it names no more than it may, and networks only.
pub fn check_evidence(evidence: &v1::Evidence) -> Result<(), Invalid> {
    let mut length = 0;
    for arrivals in &evidence.arrivals {
        network(arrivals)?;
        length +=
            arrivals.under_way.len() + arrivals.complete.len() + arrivals.broken_off.len() + arrivals.failed.len();
    }
    let (field, limit) = ("arrivals", Report::MOST_SIGHTINGS);
    if length > limit || evidence.arrivals.len() > limit {
        return Err(Invalid::TooLong { field, limit, length: length.max(evidence.arrivals.len()) });
    }
    Ok(())
}

fn network(arrivals: &v1::Arrivals) -> Result<Network, Invalid> {
    Network::from_octets(&arrivals.network).ok_or(Invalid::Number {
        field: "network: octets",
        expected: "3 or 6",
        value: arrivals.network.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(network: &str, redirect: u64, fate: Fate) -> Sighting {
        let network = Network::of(network.parse().expect("an address"));
        Sighting { network, redirect: RedirectId(redirect), fate }
    }

    #[test]
    fn a_report_comes_back_by_networks_and_of_one_redirect_in_order() {
        let said = [
            sighting("2001:db8::1", 1, Fate::UnderWay),
            sighting("192.0.2.1", 2, Fate::UnderWay),
            sighting("192.0.2.1", 2, Fate::BrokenOff),
            sighting("192.0.2.9", 3, Fate::Failed),
            sighting("2001:db8::1", 1, Fate::Complete),
        ];
        let report = Report { sightings: said.to_vec(), left_out: 7 };
        let wire = v1::NodeEvidence { node_id: "n".to_owned(), evidence: Some((&report).into()) };
        assert_eq!(wire.evidence.as_ref().map_or(0, |evidence| evidence.arrivals.len()), 2, "two networks");
        let (node, heard) = <(NodeId, Report)>::try_from(wire).expect("sound");
        assert_eq!((node.as_str(), heard.left_out), ("n", 7));
        assert_eq!(heard.sightings, [said[1], said[2], said[3], said[0], said[4]]);
    }

    #[test]
    fn more_than_a_report_may_say_is_refused_and_so_is_what_is_no_network() {
        let arrivals = |network: &[u8], ids: usize| v1::Arrivals {
            network: network.to_vec(),
            complete: vec![1; ids],
            ..v1::Arrivals::default()
        };
        let evidence = |arrivals| v1::Evidence { arrivals, left_out: 0 };
        let most = Report::MOST_SIGHTINGS;
        assert!(check_evidence(&evidence(vec![arrivals(&[1; 3], most - 1), arrivals(&[1; 6], 1)])).is_ok());
        assert!(check_evidence(&evidence(vec![arrivals(&[1; 3], most), arrivals(&[1; 6], 1)])).is_err());
        assert!(check_evidence(&evidence(vec![arrivals(&[1; 3], 0); most + 1])).is_err(), "of nothing, too");
        assert!(Report::try_from(evidence(vec![arrivals(&[1; 4], 1)])).is_err());
    }
}
