//! The agent: one stream to each coordinator, on which the node registers, beats, and hears what the cluster wants of it.
//!
//! A coordinator that is away or refuses the node costs a line in the log and its place in `/health`; the node goes on serving
//! (invariant N1).

mod silence;
mod wire;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ferry_core::{evidence::Report, id::Incarnation, load::Load, node::NodeFacts, time::UnixMillis};
use ferry_proto::v1::{self, attend_response::Body, membership_service_client::MembershipServiceClient};
use ferry_runtime::{
    Clock, Tasks, Workers,
    admin::{AdminToken, MESSAGE_LIMIT},
    clock::{Voice, Voices},
    coordinators::{self, Ending, Link, Links},
};
use prometheus_client::metrics::counter::Counter;
use rand::RngExt as _;
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc, watch,
    },
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use self::silence::Silence;
use crate::{
    arrivals::Arrivals,
    cluster::{Cluster, Session},
    drain::Drain,
    identity::Identity,
};

/// How long a coordinator may take to welcome the node; it may have to ask its store.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);

/// Messages that wait for a coordinator: a few beats. One that takes none is lost, and pings will say so soon.
const OUTBOX: usize = 8;

/// Of these, evidence leaves so many to beats.
const KEPT_FOR_BEATS: usize = 4;

/// How long the last words may take.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);

/// A thread that ran nothing for so long hangs, if it is still so a moment later.
const HANGS: Duration = Duration::from_millis(1500);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Beats are spread by so much, so that a thousand nodes that start together do not beat together.
const SPREAD: f64 = 0.2;

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) facts: NodeFacts,
    pub(crate) identity: Arc<Identity>,
    pub(crate) drain: Drain,
    pub(crate) cluster: Cluster,
    pub(crate) load: watch::Receiver<Load>,
    pub(crate) arrivals: Arrivals,
    pub(crate) clock: Clock,
    /// The coordinators' clocks, which correct it.
    pub(crate) voices: Voices,
    pub(crate) tasks: Tasks,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) join: Option<AdminToken>,
    pub(crate) beats: Counter,
    /// Who serves clients: a node whose threads hang must not say that it is well.
    pub(crate) workers: Workers,
    /// Whether all of them ran when that was last looked at.
    pub(crate) served: AtomicBool,
    /// Counts the beats of this life over all streams.
    pub(crate) sequence: AtomicU64,
}

/// A stream that stands.
struct Stream<'a> {
    agent: &'a Agent,
    outbox: mpsc::Sender<v1::AttendRequest>,
    answers: Streaming<v1::AttendResponse>,
    session: Session,
    /// Changes when this stream speaks for a life that is over.
    life: watch::Receiver<Incarnation>,
    /// What the coordinator says of the time counts for as long as it is here.
    voice: Voice,
    beat_every: Duration,
    silence: Silence,
    evidence: broadcast::Receiver<Arc<Report>>,
    /// Reports that this stream did not tell.
    untold: u64,
}

impl Agent {
    /// Keeps the streams until the tasks are asked to stop.
    pub(crate) fn start(self, coordinators: Vec<ferry_runtime::config::BaseUrl>) -> Links {
        let (tasks, discovered) = (self.tasks.clone(), self.cluster.discovered());
        let agent = Arc::new(self);
        Links::start(&tasks, coordinators, discovered, move |link| {
            let agent = Arc::clone(&agent);
            async move { agent.attend(&link).await.err().unwrap_or_else(|| Ending::Lost("we stop".to_owned())) }
        })
    }

    /// Whether every thread that serves clients runs. Takes a moment where it looks as if one did not.
    async fn serves(&self) -> bool {
        if self.workers.longest_silence() >= HANGS {
            // After the whole process was stopped, every thread is late; those that live say so at once.
            sleep(LOOK_AGAIN).await;
        }
        let silence = self.workers.longest_silence();
        let serves = silence < HANGS;
        if self.served.swap(serves, Relaxed) && !serves {
            tracing::error!(?silence, "a thread that serves clients hangs: the node does not beat");
        }
        serves
    }

    /// One stream from its first word to its end; `Ok` when the node stops.
    async fn attend(&self, link: &Link) -> Result<(), Ending> {
        let opened = tokio::select! {
            biased;
            () = self.tasks.stopped() => return Ok(()),
            opened = timeout(WELCOME_WITHIN, self.open(link)) => opened,
        };
        let stream = opened.map_err(|_| Ending::Lost(format!("no welcome came within {WELCOME_WITHIN:?}")))??;
        stream.run().await
    }

    /// Registers and is welcomed.
    async fn open(&self, link: &Link) -> Result<Stream<'_>, Ending> {
        let channel =
            coordinators::dial(link.url(), self.ca.as_deref()).map_err(|error| Ending::Refused(wire::chain(&error)))?;
        let mut client = MembershipServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
        let (outbox, requests) = mpsc::channel(OUTBOX);
        let mut life = self.identity.lives();
        let incarnation = *life.borrow_and_update();
        let register = wire::register(&self.facts, &self.identity.secret, incarnation, self.drain.is_stopping());
        // There is room: nothing was sent before.
        let _fits = outbox.try_send(register);
        let answers = client.attend(wire::opening(ReceiverStream::new(requests), self.join.as_ref())?).await;
        let mut answers = answers.map_err(|status| wire::refused(&status))?.into_inner();
        let first = match answers.message().await {
            Ok(first) => first,
            Err(status) => {
                self.outlive(&status).await;
                return Err(wire::refused(&status));
            }
        };
        let welcome = wire::welcome(first)?;
        let stream = Stream {
            agent: self,
            outbox,
            answers,
            session: self.cluster.open(),
            life,
            voice: self.voices.join(),
            beat_every: welcome.beat_every,
            silence: Silence::default(),
            evidence: self.arrivals.reports(),
            untold: 0,
        };
        if let Some(now) = welcome.now {
            stream.voice.says(now);
        }
        self.cluster.note_clock(self.clock.offset_millis());
        self.cluster.hear(stream.session, welcome.facts);
        self.drain.heed(welcome.intent);
        link.welcomed(&welcome.coordinator);
        tracing::info!(coordinator = %welcome.coordinator, url = %link.url(), "welcome");
        Ok(stream)
    }
}

impl Agent {
    /// Takes up a new life if the coordinator says that the newer one is dead for which it refused this one. Its other streams redial under it.
    async fn outlive(&self, refusal: &tonic::Status) {
        let Some(newest) = wire::newest_life(refusal) else { return };
        if !self.identity.outlive(newest, self.clock.wall()) {
            return;
        }
        tracing::warn!(
            incarnation = self.identity.incarnation().0,
            "a newer process with this node's identity has died: going on in its place; if it ran on a copy of this storage path, remove the copy"
        );
        let identity = Arc::clone(&self.identity);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || identity.keep()).await {
            // The next start takes its number from the clock, which is higher unless the copy's was ahead.
            tracing::warn!(error = &error as &dyn std::error::Error, "the number of this life is not kept");
        }
    }
}

impl Stream<'_> {
    async fn run(mut self) -> Result<(), Ending> {
        let mut told = self.beat_if_well().await?;
        let mut next = self.next_beat();
        loop {
            let due = tokio::select! {
                biased; // stop before work, work before timers
                () = self.agent.tasks.stopped() => {
                    self.say_last(wire::goodbye("the node stops")).await;
                    return Ok(());
                }
                answer = self.answers.message() => {
                    self.take(answer)?;
                    false
                }
                // An error means that the sender is gone, and the agent holds it.
                _ = self.life.changed() => return Err(Ending::Lost("a new life of this node began".to_owned())),
                () = self.agent.drain.stops(), if !told => true,
                () = sleep_until(self.silence.next_look().unwrap_or(next)), if self.silence.next_look().is_some() => {
                    if self.silence.is_over(Instant::now()) {
                        self.say_last(wire::unheard()).await;
                        return Err(Ending::Lost("the coordinator fell silent".to_owned()));
                    }
                    false
                }
                () = sleep_until(next) => true,
                report = self.evidence.recv() => {
                    self.tell(report);
                    false
                }
            };
            if due {
                next = self.next_beat();
                told = self.beat_if_well().await?;
            }
        }
    }

    fn take(&mut self, answer: Result<Option<v1::AttendResponse>, tonic::Status>) -> Result<(), Ending> {
        let answer = answer.map_err(|status| Ending::Lost(wire::words(&status)))?;
        let answer = answer.ok_or_else(|| Ending::Lost("the coordinator ended the stream".to_owned()))?;
        self.silence.hear(Instant::now(), matches!(answer.body, Some(Body::Mark(_))));
        match answer.body {
            Some(Body::Cluster(facts)) => {
                self.hear_time(facts.unix_ms);
                let facts = facts.try_into().map_err(|why| Ending::Lost(format!("a malformed message: {why}")))?;
                self.agent.cluster.hear(self.session, facts);
            }
            Some(Body::Command(v1::Command { body: Some(v1::command::Body::Intent(intent)) })) => {
                self.agent.drain.heed(intent.into());
            }
            Some(Body::Mark(mark)) => self.hear_time(mark.unix_ms),
            // A second welcome says nothing new, and a command of a newer ferry nothing that this build could do.
            Some(Body::Welcome(_) | Body::Command(v1::Command { body: None })) | None => {}
        }
        Ok(())
    }

    /// The coordinator's clock may be put right while the stream stands.
    fn hear_time(&self, unix_ms: u64) {
        if unix_ms != 0 {
            self.voice.says(UnixMillis(unix_ms));
            self.agent.cluster.note_clock(self.agent.clock.offset_millis());
        }
    }

    /// Beats, unless its clients are not served; returns whether it said that the node stops.
    async fn beat_if_well(&self) -> Result<bool, Ending> {
        if self.agent.drain.is_stopping() || self.agent.serves().await { self.beat() } else { Ok(false) }
    }

    fn beat(&self) -> Result<bool, Ending> {
        let stopping = self.agent.drain.is_stopping();
        let sequence = self.agent.sequence.fetch_add(1, Relaxed) + 1;
        let beat = wire::beat(sequence, *self.agent.load.borrow(), stopping);
        self.outbox.try_send(beat).map_err(|_| Ending::Lost("the coordinator takes no more beats".to_owned()))?;
        self.agent.beats.inc();
        Ok(stopping)
    }

    /// Evidence is told when there is room for it: a beat is worth more. That something was not told, the next word says.
    fn tell(&mut self, report: Result<Arc<Report>, RecvError>) {
        let report = match report {
            Ok(report) => report,
            Err(RecvError::Lagged(reports)) => return self.untold += reports,
            // The agent holds the sender.
            Err(RecvError::Closed) => return,
        };
        let left_out = report.left_out + self.untold;
        self.untold = match self.outbox.capacity() > KEPT_FOR_BEATS {
            true => match self.outbox.try_send(wire::evidence(&report, left_out)) {
                Ok(()) => 0,
                Err(_) => left_out + 1,
            },
            false => left_out + 1,
        };
    }

    fn next_beat(&self) -> Instant {
        let spread = rand::rng().random_range(1.0 - SPREAD..=1.0 + SPREAD);
        Instant::now() + self.beat_every.mul_f64(spread)
    }

    /// The coordinator should know why the stream ends. It ends the stream in return, or time is up.
    async fn say_last(&mut self, why: v1::AttendRequest) {
        let words = async {
            if self.outbox.send(why).await.is_ok() {
                // Closes our side; until then the coordinator may have more to say.
                let (closed, _) = mpsc::channel(1);
                self.outbox = closed;
                while let Ok(Some(_)) = self.answers.message().await {}
            }
        };
        // Without an answer the stream just ends.
        let _unheard = timeout(GOODBYE_WITHIN, words).await;
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.agent.cluster.close(self.session);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod twin;
