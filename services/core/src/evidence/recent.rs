//! The redirects of the last moments, so that what nodes say of them finds its meaning.
//!
//! A ring of fixed size: a redirect takes the place of the one that is so many before it. What was overwritten before its time is not judged, whichever
//! node it led to.

use std::time::Duration;

use super::{ClientKey, Fate, Network, NodeKey, Who};
use crate::{time::Tick, tokens::RedirectId};

/// After this a redirect that did not arrive is not expected any more: a client follows at once, and the word of it takes a second.
const SETTLED: Duration = Duration::from_secs(4);

/// One redirect.
#[derive(Debug, Clone, Copy)]
pub struct Redirect {
    /// Its name.
    pub id: RedirectId,
    /// Who was sent, and for what.
    pub client: ClientKey,
    /// Who that is.
    pub who: Who,
    /// From where.
    pub network: Network,
    /// Where to.
    pub node: NodeKey,
    /// When.
    pub at: Tick,
    /// Whether its arrival is to be expected: not of a HEAD, which nobody needs to follow, and not at a node that says nothing.
    pub counts: bool,
}

/// A redirect, and what was heard of it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    redirect: Redirect,
    /// Where it arrived: at the node that it led to, or at another.
    arrived: Option<NodeKey>,
    ended: bool,
    /// Whether it was told that the client follows.
    told: bool,
    judged: bool,
}

/// A part of the ring.
#[derive(Debug)]
pub struct Recent {
    /// As far as they were ever used: the memory for the others is only reserved.
    entries: Vec<Option<Entry>>,
    places: usize,
}

/// What a redirect says of the way to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Who was sent.
    pub who: Who,
    /// From where.
    pub network: Network,
    /// Where to.
    pub node: NodeKey,
    /// Where the client came, if anywhere.
    pub arrived: Option<NodeKey>,
}

impl Recent {
    /// With so many places.
    #[must_use]
    pub fn with_places(places: usize) -> Self {
        let places = places.max(1);
        Self { entries: Vec::with_capacity(places), places }
    }

    /// Puts a redirect into a place. Returns the one that was there, if its end was not heard: now nothing will be heard of it any more.
    pub fn put(&mut self, place: usize, redirect: Redirect) -> Option<Redirect> {
        let place = place % self.places;
        if place >= self.entries.len() {
            self.entries.resize(place + 1, None);
        }
        let entry = Entry { redirect, arrived: None, ended: false, told: false, judged: false };
        let forgotten = self.entries[place].replace(entry).filter(|entry| !entry.ended)?;
        Some(forgotten.redirect)
    }

    /// Hears what `node` says of a redirect in this place. Returns that redirect if the word is news to its client: each end once, and nothing after it.
    pub fn hear(&mut self, place: usize, id: RedirectId, node: NodeKey, fate: Fate) -> Option<Redirect> {
        let entry = self.entries.get_mut(place % self.places)?.as_mut().filter(|entry| entry.redirect.id == id)?;
        // A client that was sent on arrives at both; that it came where it was to come is what counts.
        if entry.arrived.is_none() || node == entry.redirect.node {
            entry.arrived = Some(node);
        }
        // Of the same redirect, several coordinators tell, and the nodes of one that was followed to several.
        let news = !entry.ended;
        entry.ended |= matches!(fate, Fate::Complete | Fate::Failed) && node == entry.redirect.node;
        news.then_some(entry.redirect)
    }

    /// Tells who was found to follow a redirect, sent from which network, since that was last asked.
    pub fn followers(&mut self, mut tell: impl FnMut(Network, Who)) {
        for entry in self.entries.iter_mut().flatten() {
            if entry.arrived.is_some() && !std::mem::replace(&mut entry.told, true) {
                tell(entry.redirect.network, entry.redirect.who);
            }
        }
    }

    /// Judges those whose time has come, each once.
    pub fn judge(&mut self, now: Tick, mut judge: impl FnMut(Outcome)) {
        for entry in self.entries.iter_mut().flatten() {
            let Entry { redirect, arrived, judged, .. } = entry;
            if !*judged && now.since(redirect.at) >= SETTLED {
                *judged = true;
                let Redirect { who, network, node, .. } = *redirect;
                if redirect.counts {
                    judge(Outcome { who, network, node, arrived: *arrived });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network = Network::V4([192, 0, 2]);
    const A: NodeKey = NodeKey(1);
    const B: NodeKey = NodeKey(2);

    fn at(millis: u64) -> Tick {
        Tick::from_origin(Duration::from_millis(millis))
    }

    fn redirect(id: u64) -> Redirect {
        let (id, client) = (RedirectId(id), ClientKey(9));
        Redirect { id, client, who: Who(3), network: NETWORK, node: A, at: at(0), counts: true }
    }

    fn judged(recent: &mut Recent, millis: u64) -> Vec<Option<NodeKey>> {
        let mut outcomes = Vec::new();
        recent.judge(at(millis), |outcome| outcomes.push(outcome.arrived));
        outcomes
    }

    #[test]
    fn a_redirect_is_judged_once_when_its_time_has_come() {
        let mut recent = Recent::with_places(4);
        for id in 0..3 {
            recent.put(usize::try_from(id).expect("small"), redirect(id));
        }
        assert!(recent.hear(1, RedirectId(1), A, Fate::UnderWay).is_some());
        assert!(recent.hear(2, RedirectId(2), B, Fate::UnderWay).is_some());
        assert_eq!(judged(&mut recent, 3_999), []);
        assert_eq!(judged(&mut recent, 4_000), [None, Some(A), Some(B)]);
        assert_eq!(judged(&mut recent, 5_000), []);
    }

    #[test]
    fn a_head_is_not_judged_and_an_id_that_was_not_given_finds_nothing() {
        let mut recent = Recent::with_places(4);
        recent.put(0, Redirect { counts: false, ..redirect(7) });
        assert!(recent.hear(0, RedirectId(8), A, Fate::Complete).is_none(), "guessed, or overwritten");
        assert_eq!(judged(&mut recent, 60_000), []);
    }

    #[test]
    fn who_follows_is_told_once() {
        let mut recent = Recent::with_places(4);
        recent.put(0, redirect(0));
        recent.put(1, redirect(1));
        let mut told = Vec::new();
        recent.followers(|network, who| told.push((network, who)));
        recent.hear(1, RedirectId(1), B, Fate::UnderWay);
        recent.followers(|network, who| told.push((network, who)));
        recent.followers(|network, who| told.push((network, who)));
        assert_eq!(told, [(NETWORK, Who(3))]);
    }

    #[test]
    fn what_is_overwritten_before_its_end_was_heard_is_told() {
        let mut recent = Recent::with_places(1);
        let mut put = |id| recent.put(0, redirect(id)).map(|forgotten| forgotten.id.0);
        assert_eq!((put(7), put(8)), (None, Some(7)));
        recent.hear(0, RedirectId(8), A, Fate::UnderWay);
        let mut put = |id| recent.put(0, redirect(id)).map(|forgotten| forgotten.id.0);
        assert_eq!(put(9), Some(8), "it is under way");
        recent.hear(0, RedirectId(9), A, Fate::Complete);
        assert!(recent.put(0, redirect(10)).is_none(), "it ended");
    }

    #[test]
    fn a_place_takes_little_room() {
        assert!(size_of::<Option<Entry>>() <= 64, "a gateway keeps 262,144");
    }

    #[test]
    fn an_end_is_news_once_however_many_tell_of_it() {
        let mut recent = Recent::with_places(4);
        recent.put(0, redirect(7));
        let mut hear = |fate| recent.hear(0, RedirectId(7), A, fate).is_some();
        assert!(hear(Fate::UnderWay) && hear(Fate::UnderWay) && hear(Fate::Complete));
        assert!(!hear(Fate::Complete), "by another coordinator");
        assert!(!hear(Fate::UnderWay), "what was under way before");
    }

    #[test]
    fn a_client_that_was_sent_on_came_where_it_was_to_come() {
        let mut recent = Recent::with_places(4);
        recent.put(0, redirect(7));
        for node in [B, A, B] {
            recent.hear(0, RedirectId(7), node, Fate::UnderWay);
        }
        assert_eq!(judged(&mut recent, 4_000), [Some(A)]);
    }
}
