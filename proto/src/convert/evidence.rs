//! Evidence of redirects, from nodes to the gateways that made them.

use std::collections::BTreeMap;

use ferry_core::{
    evidence::{Fate, Network, Report, Sighting, Told},
    id::NodeId,
    known::Version,
    object::{ObjectKey, ObjectPath},
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
        Self {
            arrivals: arrivals.into_iter().map(with_network).collect(),
            left_out: report.left_out,
            objects: report.objects.iter().map(v1::ObjectTold::from).collect(),
        }
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
        let objects = wire.objects.into_iter().map(Told::try_from).collect::<Result<_, _>>()?;
        Ok(Self { sightings, left_out: wire.left_out, objects })
    }
}

impl From<&Told> for v1::ObjectTold {
    fn from(told: &Told) -> Self {
        Self {
            redirect: told.redirect.0,
            path: told.key.path.as_str().to_owned(),
            query: told.key.query.as_deref().map(str::to_owned),
            validator: told.version.validator.as_str().to_owned(),
            length_bytes: told.version.length,
            sha256: told.version.sha256.map(|digest| digest.to_vec()).unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::ObjectTold> for Told {
    type Error = Invalid;

    fn try_from(wire: v1::ObjectTold) -> Result<Self, Invalid> {
        let (limit, length) = (Self::LONGEST_KEY, wire.path.len() + wire.query.as_ref().map_or(0, String::len));
        if length > limit {
            return Err(Invalid::TooLong { field: "path", limit, length });
        }
        let path = ObjectPath::from_decoded(&wire.path)?;
        let validator = wire.validator.parse()?;
        let sha256 = match wire.sha256.len() {
            0 => None,
            length => {
                let digest = wire.sha256.try_into().map_err(|_| wrong("sha256: octets", "0 or 32", length))?;
                Some(digest)
            }
        };
        Ok(Self {
            redirect: RedirectId(wire.redirect),
            key: ObjectKey { path, query: wire.query.map(Into::into) },
            version: Version { validator, length: wire.length_bytes, sha256 },
        })
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
    let (field, limit, length) = ("objects", Report::MOST_OBJECTS, evidence.objects.len());
    if length > limit {
        return Err(Invalid::TooLong { field, limit, length });
    }
    Ok(())
}

const fn wrong(field: &'static str, expected: &'static str, length: usize) -> Invalid {
    Invalid::Number { field, expected, value: length as u64 }
}

fn network(arrivals: &v1::Arrivals) -> Result<Network, Invalid> {
    let found = Network::from_octets(&arrivals.network);
    found.ok_or_else(|| wrong("network: octets", "3 or 6", arrivals.network.len()))
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
        let report = Report { sightings: said.to_vec(), left_out: 7, objects: Vec::new() };
        let wire = v1::NodeEvidence { node_id: "n".to_owned(), evidence: Some((&report).into()) };
        assert_eq!(wire.evidence.as_ref().map_or(0, |evidence| evidence.arrivals.len()), 2, "two networks");
        let (node, heard) = <(NodeId, Report)>::try_from(wire).expect("sound");
        assert_eq!((node.as_str(), heard.left_out), ("n", 7));
        assert_eq!(heard.sightings, [said[1], said[2], said[3], said[0], said[4]]);
    }

    #[test]
    fn a_word_on_an_object_comes_back_as_it_was_said_and_no_other_is_taken() {
        let told = |query: Option<&str>, sha256| Told {
            redirect: RedirectId(9),
            key: ObjectKey {
                path: ObjectPath::from_decoded("a b/ü").expect("a good path"),
                query: query.map(Into::into),
            },
            version: Version { validator: "\"v-1\"".parse().expect("a tag"), length: 7, sha256 },
        };
        for said in [told(None, None), told(Some("x=1"), Some([3; 32]))] {
            assert_eq!(Told::try_from(v1::ObjectTold::from(&said)).expect("sound"), said);
        }
        let sound = v1::ObjectTold::from(&told(None, None));
        let weak = v1::ObjectTold { validator: "W/\"v\"".into(), ..sound.clone() };
        let outside = v1::ObjectTold { path: "../a".into(), ..sound.clone() };
        let short = v1::ObjectTold { sha256: vec![1; 31], ..sound.clone() };
        let long = v1::ObjectTold { query: Some("x".repeat(Told::LONGEST_KEY)), ..sound.clone() };
        for bad in [weak, outside, short, long] {
            assert!(Told::try_from(bad.clone()).is_err(), "{bad:?}");
        }
        let many = |count| v1::Evidence { objects: vec![sound.clone(); count], ..v1::Evidence::default() };
        assert!(check_evidence(&many(Report::MOST_OBJECTS)).is_ok());
        assert!(check_evidence(&many(Report::MOST_OBJECTS + 1)).is_err());
    }

    #[test]
    fn more_than_a_report_may_say_is_refused_and_so_is_what_is_no_network() {
        let arrivals = |network: &[u8], ids: usize| v1::Arrivals {
            network: network.to_vec(),
            complete: vec![1; ids],
            ..v1::Arrivals::default()
        };
        let evidence = |arrivals| v1::Evidence { arrivals, ..v1::Evidence::default() };
        let most = Report::MOST_SIGHTINGS;
        assert!(check_evidence(&evidence(vec![arrivals(&[1; 3], most - 1), arrivals(&[1; 6], 1)])).is_ok());
        assert!(check_evidence(&evidence(vec![arrivals(&[1; 3], most), arrivals(&[1; 6], 1)])).is_err());
        assert!(check_evidence(&evidence(vec![arrivals(&[1; 3], 0); most + 1])).is_err(), "of nothing, too");
        assert!(Report::try_from(evidence(vec![arrivals(&[1; 4], 1)])).is_err());
    }
}
