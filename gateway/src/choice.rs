//! Which nodes a request gets: the question that is put to `core::selection`, the same on both ways to an answer, and what the gateway remembers of it.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use ferry_core::{
    evidence::Avoided,
    known::Version,
    routes::Deliver,
    selection::{Candidate, Client, Explanation, Request as Question, Scheme, Selection, explain, select},
    time::Tick,
    tokens::RedirectId,
};
use ferry_delivery::{Answer, Request};
use http::{Method, StatusCode, header};
use twox_hash::XxHash3_64;

use crate::{
    door::Admitted,
    evidence::{Caller, WEIGH_EVERY, with_avoided},
    handler::Front,
    snapshot::Snapshot,
    whereabouts::{Place, Whereabout},
};

/// Who asks, as the connection and the fields of the request tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The client's own.
    pub(crate) address: IpAddr,
    /// Where that is, if anybody knows.
    pub(crate) place: Option<&'a Place>,
    /// What the client can be sent to.
    pub(crate) scheme: Scheme,
    /// The most that it asks for of the object, in bytes.
    pub(crate) part: u64,
    /// What calls itself there, of a GET; of a HEAD, which nobody needs to follow, nothing is remembered.
    pub(crate) user_agent: Option<&'a [u8]>,
}

/// A request for which nodes are wanted.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) admitted: &'a Admitted<'a>,
    affinity: Cow<'a, str>,
    pub(crate) asker: Asker<'a>,
    client: Client<'a>,
    /// What is expected to be sent, in bytes, and in bytes per second.
    bytes: u64,
    cost: u64,
    /// Over how many nodes the key is spread.
    spread: u32,
    caller: Caller,
    /// Where the client came to nothing a moment ago (P7).
    avoided: Avoided,
    /// Whether no word of what becomes of the redirect can be expected: no coordinator is heard (P2).
    deaf: bool,
    /// The name of the redirect that it may get.
    pub(crate) redirect: RedirectId,
    /// The version of the object that the redirect names, if nodes agree on one.
    pub(crate) version: Option<Arc<Version>>,
    pub(crate) now: Tick,
}

impl Front {
    pub(crate) fn wanted<'a>(
        &self,
        admitted: &'a Admitted<'a>,
        asker: Asker<'a>,
        snapshot: &Snapshot,
        now: Tick,
    ) -> Wanted<'a> {
        let (affinity, client) = (admitted.found.affinity(), asker.client());
        // Where the gateway fetches it itself, any version will do.
        let version = match admitted.found.deliver {
            Deliver::Redirect => self.objects.version(&admitted.found.key, now),
            Deliver::Proxy => None,
        };
        let length = version.as_ref().map_or_else(|| self.sizes.expected(kind(admitted)), |version| version.length);
        let bytes = length.min(asker.part);
        let cost = snapshot.table.cost(bytes, client.region);
        let spread = snapshot.warmth.heat.spread(&affinity, bytes, &snapshot.table, now);
        let user_agent = asker.user_agent.unwrap_or_default();
        let caller = self.evidence.caller(admitted.user, asker.address, user_agent, &admitted.found.key);
        let deaf = self.current.is_deaf(now);
        let avoided = asker.user_agent.map(|_| self.evidence.avoided(caller, deaf, now)).unwrap_or_default();
        let redirect = self.evidence.name();
        Wanted { admitted, affinity, asker, client, bytes, cost, spread, caller, avoided, deaf, redirect, version, now }
    }

    /// The nodes for it. Remembers nothing: what became of the choice, [`Self::chosen`] is told.
    pub(crate) fn choose<'t>(&self, snapshot: &'t Snapshot, wanted: &Wanted<'_>) -> Selection<'t> {
        let verdicts = self.evidence.verdicts();
        let question = Question { doubted: verdicts.on(wanted.caller), ..wanted.question() };
        if !wanted.avoided.is_empty() {
            let tried = with_avoided(&wanted.admitted.tried, &wanted.avoided, &snapshot.table);
            let elsewhere = select(&snapshot.table, &snapshot.corrections, &Question { tried: &tried, ..question });
            // This alone never leaves a client without a node: who came to nothing everywhere begins anew.
            if elsewhere.primary.is_some() {
                return elsewhere;
            }
        }
        let selection = select(&snapshot.table, &snapshot.corrections, &question);
        if selection.primary.is_none() && selection.tried_left_out && !self.fallback.is_there() {
            // Nobody else is left: a node that failed once is better than nothing.
            return select(&snapshot.table, &snapshot.corrections, &Question { tried: &[], ..question });
        }
        selection
    }

    /// Why [`Self::choose`] would choose what it would. Remembers nothing either.
    pub(crate) fn explained(&self, snapshot: &Snapshot, wanted: &Wanted<'_>) -> Explanation {
        let verdicts = self.evidence.verdicts();
        let question = Question { doubted: verdicts.about(wanted.caller), ..wanted.question() };
        let explanation = explain(&snapshot.table, &snapshot.corrections, &question);
        if explanation.choice.is_none() && explanation.tried_left_out && !self.fallback.is_there() {
            return explain(&snapshot.table, &snapshot.corrections, &Question { tried: &[], ..question });
        }
        explanation
    }

    /// Takes note that the client was sent to this node.
    pub(crate) fn chosen(&self, snapshot: &Snapshot, wanted: &Wanted<'_>, primary: &Candidate) {
        self.sent(snapshot, wanted, primary);
        self.figures.redirected.inc();
        if let Some(version) = &wanted.version {
            self.sizes.learn(kind(wanted.admitted), version.length);
        }
        if wanted.asker.user_agent.is_some() {
            let redirect = snapshot.node_ring.is_some().then_some(wanted.redirect);
            self.evidence.sent(wanted.caller, primary, &wanted.avoided, redirect, wanted.deaf, wanted.now);
        }
    }

    /// Draws conclusions from what arrives, and does not end.
    pub(crate) async fn judge(&self) {
        loop {
            self.clock.sleep(WEIGH_EVERY).await;
            let now = self.clock.now();
            self.evidence.weigh(&self.current.load().table, self.current.is_deaf(now), now);
        }
    }

    /// Takes note that this node is asked for it, by whomever.
    pub(crate) fn sent(&self, snapshot: &Snapshot, wanted: &Wanted<'_>, node: &Candidate) {
        snapshot.corrections.sent(node, wanted.cost, wanted.now);
        snapshot.warmth.heat.sent(&wanted.affinity, wanted.bytes, wanted.now);
    }

    /// Learns from a whole answer how long such objects are.
    pub(crate) fn learn(&self, admitted: &Admitted<'_>, answer: &Answer) {
        if answer.status == StatusCode::OK
            && let Some(length) = answer.body.length().filter(|length| *length > 0)
        {
            self.sizes.learn(kind(admitted), length);
        }
    }
}

impl<'a> Asker<'a> {
    /// Whoever was found to ask.
    pub(crate) fn of(found: Whereabout<'a>, scheme: Scheme) -> Self {
        let place = found.place.map(|(place, _)| place);
        Self { address: found.address, place, scheme, part: u64::MAX, user_agent: None }
    }

    /// It asks for the thing itself, and calls itself that.
    pub(crate) fn who_gets(self, user_agent: &'a [u8]) -> Self {
        Self { user_agent: Some(user_agent), ..self }
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
            cost: self.cost,
            bytes: self.bytes,
            spread: self.spread,
            doubted: &[],
            now: self.now,
        }
    }
}

/// What is alike in size: the objects of one route.
fn kind<'a>(admitted: &'a Admitted<'_>) -> &'a str {
    admitted.found.route.pattern()
}

/// The most that a request asks for, in bytes: nothing by HEAD, and by a single range its length. Whoever seeks in a video, or looks whether a file is
/// there, makes no key hot.
pub(crate) fn part(request: &Request) -> u64 {
    if request.method == Method::HEAD {
        return 0;
    }
    let range = || {
        let mut values = request.headers.get_all(header::RANGE).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        match first {
            "" => last.parse().ok(),
            _ => last.parse::<u64>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1),
        }
    };
    range().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_part_is_as_long_as_its_range_says() {
        let asked = |method: Method, range: Option<&'static str>| {
            let mut request = Request::internal(method, "/a").expect("a good request");
            if let Some(range) = range {
                request.headers.insert(header::RANGE, HeaderValue::from_static(range));
            }
            part(&request)
        };
        for (range, bytes) in [
            ("bytes=0-99", 100),
            ("bytes=500-599", 100),
            ("bytes=-7", 7),
            ("bytes=0-18446744073709551615", u64::MAX),
            ("bytes=5-", u64::MAX),
            ("bytes=9-5", u64::MAX),
            ("bytes=0-1,5-6", u64::MAX),
            ("pages=1-2", u64::MAX),
        ] {
            assert_eq!(asked(Method::GET, Some(range)), bytes, "{range}");
        }
        assert_eq!((asked(Method::GET, None), asked(Method::HEAD, None)), (u64::MAX, 0));
    }
}
