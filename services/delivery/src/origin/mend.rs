//! What is done about a body that broke off: its rest is asked for, until there is one or it has taken too long.
//!
//! The turn of the broken request is kept for the next one: who was half-way through does not queue behind those who have not begun.

use std::{io, sync::Arc, time::Duration};

use ferry_core::{backoff::Backoff, chain::Chain, time::Tick};
use http::Method;
use rand::RngExt as _;
use tokio::time;

use super::{
    OriginError, Shared,
    admission::Turn,
    body::{BodyError, Source},
    breaker::Witness,
    exchange::{self, Outgoing},
    resume::{Plan, Verdict},
};

/// Waits before each request: short at first, since most hiccups are; spread, since all transfers of an origin break off together.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// What a source must give for the next one to be looked for afresh: else an origin that drips would be asked for ever.
const FRUIT: u64 = 64 << 10;

/// How a rest is looked for.
#[derive(Debug)]
pub(super) struct Search {
    /// When to give up.
    until: Tick,
    backoff: Backoff,
}

/// A body between two sources.
pub(super) struct Broken {
    cause: Option<io::Error>,
    /// Which of the origins broke off; it is the first to be asked for the rest.
    index: usize,
    /// A turn at that origin.
    turn: Option<Turn>,
    witness: Witness,
    search: Search,
}

/// What an attempt came to.
enum Attempt {
    Rest(Box<Source>),
    Later,
    Gone,
}

impl Broken {
    pub(super) fn new(source: Source, cause: io::Error, origins: &Shared) -> Self {
        let afresh = || Search { until: origins.clock.now() + origins.limits.resume, backoff: BACKOFF };
        let search = source.search.filter(|_| source.received < FRUIT).map_or_else(afresh, |search| *search);
        Self { cause: Some(cause), index: source.index, turn: Some(source.turn), witness: source.witness, search }
    }

    fn give_up(&mut self, origins: &Shared, changed: bool) -> BodyError {
        let origin = origins.name(self.index).clone();
        self.turn = None;
        match self.cause.take() {
            Some(cause) if !changed => BodyError::Broken { origin, cause },
            _ => BodyError::Changed { origin },
        }
    }
}

/// Finds the rest of a body, or says why there is none. Cancelled, it can be begun again.
pub(super) async fn go_on(
    broken: &mut Broken,
    plan: Option<&mut Plan>,
    origins: &Arc<Shared>,
) -> Result<Source, BodyError> {
    let outcome = match plan {
        None => Err(broken.give_up(origins, false)),
        Some(plan) => look(broken, plan, origins).await,
    };
    let origin = origins.name(broken.index);
    match &outcome {
        Ok(source) => {
            origins.origin(source.index).counters().resumed.count();
            tracing::info!(%origin, "an origin broke off in mid-body; the rest is on its way");
        }
        Err(error) => tracing::warn!(%origin, error = %Chain(error), "the origin broke off in mid-body"),
    }
    outcome
}

async fn look(broken: &mut Broken, plan: &mut Plan, origins: &Arc<Shared>) -> Result<Source, BodyError> {
    loop {
        let wait = rand::rng().random_range(broken.search.backoff.next_wait());
        if origins.clock.now() + wait >= broken.search.until {
            return Err(broken.give_up(origins, false));
        }
        time::sleep(wait).await;
        let mut gone = false;
        let own = broken.index;
        for index in std::iter::once(own).chain((0..origins.count()).filter(|index| *index != own)) {
            match attempt(broken, plan, index, origins).await {
                Attempt::Rest(source) => return Ok(*source),
                Attempt::Gone => gone |= index == own,
                Attempt::Later => {}
            }
        }
        if gone {
            return Err(broken.give_up(origins, true));
        }
    }
}

async fn attempt(broken: &mut Broken, plan: &mut Plan, index: usize, origins: &Arc<Shared>) -> Attempt {
    let origin = origins.origin(index);
    let mut entered = None;
    if index != broken.index || broken.turn.is_none() {
        match origin.enter().await {
            Ok(turn) => entered = Some(turn),
            Err(_) => return Attempt::Later,
        }
    }
    let (target, headers) = (plan.target.clone(), plan.request());
    let request = Outgoing {
        method: &Method::GET,
        target: &target,
        headers: &headers,
        follow: true,
        trusted: false,
        witness: broken.witness,
        again: false,
        limit: origins.limits.head,
    };
    let arrival = match exchange::run(origin, request, &mut None).await {
        Ok(arrival) => arrival,
        // It sends other bytes than it was asked for: no good will come of asking again.
        Err(OriginError::Contradiction { .. }) => return Attempt::Gone,
        Err(_) => return Attempt::Later,
    };
    let (head, incoming) = arrival.response.into_parts();
    match plan.judge(head.status, &head.headers) {
        Verdict::Later => Attempt::Later,
        Verdict::Gone => Attempt::Gone,
        Verdict::Rest => match entered.or_else(|| broken.turn.take()) {
            Some(turn) => {
                let mut source = Source::new(incoming, (index, arrival.endpoint), turn, broken.witness, origins);
                let search = Search { until: broken.search.until, backoff: broken.search.backoff.clone() };
                source.search = Some(Box::new(search));
                Attempt::Rest(Box::new(source))
            }
            None => Attempt::Later,
        },
    }
}
