//! Which nodes a request gets: the question that is put to `core::selection`, the same on both ways to an answer, and what the gateway remembers of it.

use std::{borrow::Cow, net::IpAddr};

use ferry_core::{
    selection::{Candidate, Client, Explanation, Request as Question, Scheme, Selection, explain, select},
    time::Tick,
};
use twox_hash::XxHash3_64;

use crate::{
    door::Admitted,
    handler::Front,
    snapshot::Snapshot,
    whereabouts::{Place, Whereabout},
};

/// What one more transfer is expected to take, in bytes per second, until sizes and rates are known.
const TRANSFER_COST: u64 = 1 << 20;

/// Who asks, as the connection and the fields of the request tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The client's own.
    pub(crate) address: IpAddr,
    /// Where that is, if anybody knows.
    pub(crate) place: Option<&'a Place>,
    /// What the client can be sent to.
    pub(crate) scheme: Scheme,
}

/// A request for which nodes are wanted.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) admitted: &'a Admitted<'a>,
    affinity: Cow<'a, str>,
    pub(crate) asker: Asker<'a>,
    client: Client<'a>,
    pub(crate) now: Tick,
}

impl Front {
    pub(crate) fn wanted<'a>(&self, admitted: &'a Admitted<'a>, asker: Asker<'a>, now: Tick) -> Wanted<'a> {
        Wanted { admitted, affinity: admitted.found.affinity(), asker, client: asker.client(), now }
    }

    /// The nodes for it. Remembers nothing: what became of the choice, [`Self::chosen`] is told.
    pub(crate) fn choose<'t>(&self, snapshot: &'t Snapshot, wanted: &Wanted<'_>) -> Selection<'t> {
        let question = wanted.question();
        let selection = select(&snapshot.table, &snapshot.corrections, &question);
        if selection.primary.is_none() && selection.tried_left_out && !self.fallback.is_there() {
            // Nobody else is left: a node that failed once is better than nothing.
            return select(&snapshot.table, &snapshot.corrections, &Question { tried: &[], ..question });
        }
        selection
    }

    /// Why [`Self::choose`] would choose what it would. Remembers nothing either.
    pub(crate) fn explained(&self, snapshot: &Snapshot, wanted: &Wanted<'_>) -> Explanation {
        let question = wanted.question();
        let explanation = explain(&snapshot.table, &snapshot.corrections, &question);
        if explanation.choice.is_none() && explanation.tried_left_out && !self.fallback.is_there() {
            return explain(&snapshot.table, &snapshot.corrections, &Question { tried: &[], ..question });
        }
        explanation
    }

    /// Takes note that the client was sent to this node.
    pub(crate) fn chosen(&self, snapshot: &Snapshot, wanted: &Wanted<'_>, primary: &Candidate) {
        snapshot.corrections.sent(primary, TRANSFER_COST, wanted.now);
        self.figures.redirected.inc();
    }
}

impl<'a> Asker<'a> {
    /// Whoever was found to ask.
    pub(crate) fn of(found: Whereabout<'a>, scheme: Scheme) -> Self {
        Self { address: found.address, place: found.place.map(|(place, _)| place), scheme }
    }

    /// Requests of one client spill alike.
    fn client(&self) -> Client<'a> {
        let hash = match self.address.to_canonical() {
            IpAddr::V4(address) => XxHash3_64::oneshot(&address.octets()),
            IpAddr::V6(address) => XxHash3_64::oneshot(&address.octets()),
        };
        let region = self.place.map(|place| &place.region);
        Client { region, zone: self.place.and_then(|place| place.zone.as_ref()), hash }
    }
}

impl Wanted<'_> {
    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            affinity: &self.affinity,
            key: &self.admitted.found.key.path,
            client: self.client,
            scheme: self.asker.scheme,
            tried: &self.admitted.tried,
            cost: TRANSFER_COST,
            spread: 1,
            doubted: &[],
            now: self.now,
        }
    }
}
