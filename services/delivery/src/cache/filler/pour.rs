//! A body on its way into an object's file.

use std::{future, sync::Arc};

use http::StatusCode;
use tokio::{
    sync::oneshot,
    time::{self, Instant},
};

use super::{
    Filler, State, Trouble,
    claims::Claims,
    inflow::{Inflow, STEP},
    shared_rest::SharedRest,
};
use crate::{
    cache::{
        found::Entry,
        store::{Fill, Object, Span},
    },
    origin::{Body, Response},
    semantics::caching::partial,
};

/// Ends at that moment, if there is one.
async fn over(until: Option<Instant>) {
    match until {
        Some(until) => time::sleep_until(until).await,
        None => future::pending().await,
    }
}

/// How much is missing to the end of a step.
const fn step(at: u64) -> usize {
    (STEP - at % STEP) as usize
}

/// The first fetch of a new object, which began before anybody could ask for more.
pub(in super::super) struct First {
    number: usize,
    body: Body,
    span: Span,
    fill: Option<Fill>,
}

/// What a fetch is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// Go on.
    More,
    /// Go on, though nobody waits: not much is missing.
    Finish,
    /// Wait for its readers.
    Wait,
    /// Nobody needs it.
    Nothing,
}

impl Filler {
    /// Brings what was taken on.
    pub(in super::super) async fn first(self: &Arc<Self>, first: First) {
        let First { number, body, span, fill } = first;
        let mut claims = Claims::of(fill);
        let mut nobody_waits = None;
        let pour = Box::pin(self.pour(body, span.start, &mut claims, span.end, &mut nobody_waits));
        let poured = self.until_stopped(pour).await;
        // Only then is the claim given back: who waited learns what happened before it tries anew.
        self.ended(number, poured).await;
    }

    /// Takes on what a response brings of a new object; the entry keeps that going until somebody reads it.
    pub(in super::super) fn begin(self: &Arc<Self>, entry: Entry, response: Response) -> (Entry, First) {
        let part = partial::part(&response.headers).filter(|_| response.status == StatusCode::PARTIAL_CONTENT);
        let span = match part {
            Some(part) => Span { start: part.first, end: part.last + 1 },
            None => Span { start: 0, end: response.body.length().unwrap_or(u64::MAX) },
        };
        let number = self.state().fetches.insert(span);
        let first = First { number, body: response.body, span, fill: self.claim_at(span.start, span.end) };
        (entry.held(self.reader(vec![Span { start: 0, end: u64::MAX }])), first)
    }

    /// What a fetch comes to, unless the process is asked to stop before.
    pub(super) async fn until_stopped(&self, fetch: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
        self.shared.tasks.stop_token().run_until_cancelled(fetch).await.unwrap_or(Err(Trouble::Stopped))
    }

    /// Writes a body from `at` on, until `end`, or until somebody else brings what comes next.
    pub(super) async fn pour(
        self: &Arc<Self>,
        body: Body,
        mut at: u64,
        claims: &mut Claims,
        end: u64,
        first: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), Trouble> {
        // Since when nobody waits for it.
        let mut alone = None;
        // What comes first goes out at once.
        let (mut inflow, mut enough) = (Inflow::of(body), 0);
        while at < end {
            let mut read = std::pin::pin!(self.read.notified());
            // From here on no change is missed.
            read.as_mut().enable();
            let until = match self.wanted(at, end, claims).await {
                Demand::More => {
                    alone = None;
                    None
                }
                Demand::Finish => Some(*alone.get_or_insert_with(Instant::now) + self.shared.settings.alone),
                Demand::Wait | Demand::Nothing => return Ok(()),
            };
            let next = tokio::select! {
                biased;
                () = over(until) => return Ok(()),
                next = inflow.next() => next,
                // An origin may keep silent for long. Who left meanwhile does not need it any more.
                () = read => continue,
            };
            match next {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(Trouble::Body(Arc::new(error))),
                // Asked again at once, it would say the same.
                None if first.is_some() => return Err(Trouble::Nothing),
                None => break,
            }
            inflow.gather(enough).await;
            let Some(filling) = self.claimed(claims, at, end, inflow.length()) else {
                if self.object.is_lost() {
                    self.leave(inflow, at)?;
                }
                // Else somebody else brings it, or has brought it: what comes after is for whoever needs that.
                return Ok(());
            };
            let ahead = filling.rest().start - at;
            let count = if ahead > 0 {
                // It was here before: the origin knows no ranges.
                usize::try_from(ahead).map_or(inflow.length(), |ahead| ahead.min(inflow.length()))
            } else {
                match filling.write_all(&inflow.front(step(at))).await {
                    Ok(count) => count,
                    Err(error) => {
                        if let Some(kept_back) = self.shared.given_up.due() {
                            let key = self.object.key();
                            tracing::warn!(key, %error, kept_back, "an object is not kept: its bytes pass by");
                        }
                        self.leave(inflow, at)?;
                        return Ok(());
                    }
                }
            };
            inflow.advance(count);
            at += count as u64;
            self.shared.stats.came(count as u64);
            enough = step(at);
            if let Some(first) = first.take_if(|_| ahead == 0) {
                let _ = first.send(());
            }
        }
        self.close(claims.last(), inflow, at).await
    }

    /// All that the body had has come.
    async fn close(&self, fill: Option<Fill>, inflow: Inflow, at: u64) -> Result<(), Trouble> {
        let Some(mut fill) = fill else {
            if self.object.is_lost() {
                self.leave(inflow, at)?;
            }
            return Ok(());
        };
        if self.object.length().is_none() && fill.set_length(at).await.is_err() {
            // Who has all of its bytes has yet to hear that there are no more.
            self.leave(inflow, at)?;
            return Ok(());
        }
        // What came is listed with what else came of late: nobody waits for that.
        fill.leave().await;
        Ok(())
    }

    /// Hands what cannot be kept to the reader that is there next; or to all, where no other could ask for it.
    fn leave(&self, inflow: Inflow, at: u64) -> Result<(), Trouble> {
        let rest = inflow.into_rest(at).map_err(|error| Trouble::Body(Arc::new(error)))?;
        self.shared.stats.gave_up();
        match self.strong {
            true => self.state().leftover = Some(rest),
            false => self.state().shared = Some(Arc::new(SharedRest::new(rest))),
        }
        self.fetched.notify_waiters();
        Ok(())
    }

    /// Whether a fetch that is at `at` is to go on. Waits where it is far ahead of all who read; its claim is given back meanwhile.
    async fn wanted(&self, at: u64, end: u64, claims: &mut Claims) -> Demand {
        let mut waiting = false;
        loop {
            let mut read = std::pin::pin!(self.read.notified());
            // From here on no change is missed.
            read.as_mut().enable();
            let demand = {
                let mut state = self.state();
                let demand = state.demand(at, end, &self.object, &self.shared.settings);
                if waiting && demand != Demand::Wait {
                    state.paused.retain(|paused| *paused != at);
                }
                if !waiting && demand == Demand::Wait {
                    state.paused.push(at);
                }
                demand
            };
            match demand {
                Demand::More | Demand::Finish => {
                    if !waiting {
                        return demand;
                    }
                    let goes_on = self.claim_at(at, end);
                    // Who waited for that looks again.
                    self.fetched.notify_waiters();
                    *claims = Claims::of(goes_on);
                    return if claims.is_any() { demand } else { Demand::Nothing };
                }
                Demand::Nothing => return demand,
                Demand::Wait => {
                    waiting = true;
                    claims.give_back();
                    read.await;
                }
            }
        }
    }

    /// A fetch came to its end.
    pub(super) async fn ended(&self, number: usize, fetched: Result<(), Trouble>) {
        let strong = self.strong;
        let over = {
            let mut state = self.state();
            state.fetches.try_remove(number);
            if let Err(trouble) = &fetched {
                self.shared.stats.failed();
                state.failed = Some((Instant::now(), trouble.clone()));
            }
            state.fetches.is_empty()
        };
        let useless = fetched.as_ref().is_err_and(Trouble::ends_it) || (over && !strong && !self.object.is_whole());
        if let Err(trouble) = &fetched {
            let error = ferry_core::chain::Chain(trouble);
            tracing::warn!(key = self.object.key(), %error, "an object was not filled");
        }
        if useless && !self.object.is_lost() {
            self.object.discard().await;
        }
        self.fetched.notify_waiters();
    }
}

impl State {
    fn demand(&self, at: u64, end: u64, object: &Object, settings: &super::super::Settings) -> Demand {
        let ahead = |wish: &super::Wish| wish.spans.iter().any(|span| span.start < end && span.end > at);
        let mut furthest = None;
        for (_, wish) in self.readers.iter().filter(|(_, wish)| ahead(wish)) {
            furthest = furthest.max(Some(wish.at));
        }
        let missing = object.length().map(|length| length.min(end).saturating_sub(at));
        match furthest {
            Some(furthest) if at > furthest.saturating_add(settings.fill_ahead) => Demand::Wait,
            Some(_) => Demand::More,
            None if missing.unwrap_or(at) <= settings.finish => Demand::Finish,
            None => Demand::Nothing,
        }
    }
}
