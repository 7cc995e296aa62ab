//! How streams are opened, carry what is said, and end.

use std::time::Duration;

use super::{Event, World};
use crate::{
    message::{Input, Message, StreamId},
    network::latency,
    party::Party,
    streams::{End, Side, Streams},
};

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(2);

impl World {
    /// A client dials; the kernel of a coordinator that hangs takes the connection all the same.
    pub(super) fn dial(&mut self, client: Party, stream: StreamId, coordinator: usize, opening: Message) {
        let server = Party::Coordinator(coordinator);
        let (mine, theirs) = (self.process(client).life, self.process(server));
        let (running, life) = (theirs.running, theirs.life);
        let trip = latency(&mut self.random) + latency(&mut self.random);
        if !self.network.answers(client, server) {
            self.later(CONNECT, client, mine, Input::Lost(stream));
        } else if !running {
            self.later(trip, client, mine, Input::Lost(stream));
        } else {
            let mut server = End::new(server, life, self.now);
            server.in_order(self.now + trip);
            let client = End::new(client, mine, self.now);
            for (side, end) in [(Side::Client, &client), (Side::Server, &server)] {
                self.queue.put(self.now + end.asks_after(), Event::Ping { stream, side });
            }
            self.streams.open(stream, client, server);
            self.send(stream, Side::Client, opening);
        }
    }

    /// Sends from one side; into a cut, what is sent waits at the sender.
    pub(super) fn send(&mut self, stream: StreamId, from: Side, message: Message) {
        let Some(found) = self.streams.find(stream) else { return };
        let sender = found.end(from);
        if !sender.open && !matches!(message, Message::Fin) {
            return;
        }
        let sender = sender.party;
        let to = found.end(from.other());
        if to.is_held_up() {
            to.hold(message);
        } else if self.network.passes(sender, to.party) {
            let at = to.in_order(self.now + latency(&mut self.random));
            self.queue.put(at, Event::Arrive { stream, to: from.other(), message });
        } else {
            to.hold(message);
            let wait = to.next_retry();
            self.queue.put(self.now + wait, Event::Retry { stream, to: from.other() });
        }
    }

    /// TCP sends again what was not acknowledged.
    pub(super) fn retry(&mut self, stream: StreamId, to: Side) {
        let Some(found) = self.streams.find(stream) else { return };
        let sender = found.end(to.other()).party;
        let end = found.end(to);
        if !self.network.passes(sender, end.party) {
            let wait = end.next_retry();
            self.queue.put(self.now + wait, Event::Retry { stream, to });
            return;
        }
        for message in end.release() {
            let at = end.in_order(self.now + latency(&mut self.random));
            self.queue.put(at, Event::Arrive { stream, to, message });
        }
    }

    pub(super) fn arrive(&mut self, stream: StreamId, to: Side, message: Message) {
        let Some(found) = self.streams.find(stream) else { return };
        let end = found.end(to);
        if !end.open {
            if !matches!(message, Message::Fin) {
                self.send(stream, to, Message::Fin);
            }
            return;
        }
        let (party, life) = (end.party, end.life);
        let process = self.process_mut(party);
        if process.hung {
            process.deferred.push(Event::Arrive { stream, to, message });
            return;
        }
        let Some(end) = self.streams.find(stream).map(|found| found.end(to)) else { return };
        end.heard = self.now;
        if matches!(message, Message::Fin) {
            end.open = false;
            self.streams.forget_if_over(stream);
            self.input(party, life, Input::Lost(stream));
        } else {
            end.spoken_to = true;
            self.input(party, life, Input::Said { stream, message });
        }
    }

    /// An end that heard nothing asks; one that asked and had no answer gives the stream up. A node says so: what it misses are a coordinator's marks,
    /// which come as regularly as the answers here.
    pub(super) fn ping(&mut self, stream: StreamId, side: Side) {
        let Some(found) = self.streams.find(stream) else { return };
        let other = found.end(side.other());
        let (other, other_life, other_open) = (other.party, other.life, other.open);
        let end = found.end(side);
        if !end.open {
            return;
        }
        let (party, life) = (end.party, end.life);
        if self.process(party).hung {
            self.process_mut(party).deferred.push(Event::Ping { stream, side });
            return;
        }
        let reaches = self.network.answers(party, other);
        let peer = self.process(other);
        let gone = reaches && (!other_open || peer.life != other_life);
        let answered = reaches && !gone && peer.running && !peer.hung;
        let now = self.now;
        let Some(end) = self.streams.find(stream).map(|found| found.end(side)) else { return };
        let due = end.heard + end.asks_after();
        let next = if !end.pinged && now < due {
            due
        } else if answered {
            (end.pinged, end.heard) = (false, now);
            now + end.asks_after()
        } else if gone || end.pinged {
            if !gone && matches!(party, Party::Node(_)) {
                self.send(stream, side, Message::Unheard);
            }
            self.close(stream, side);
            self.input(party, life, Input::Lost(stream));
            return;
        } else {
            end.pinged = true;
            now + end.patience()
        };
        self.queue.put(next, Event::Ping { stream, side });
    }

    /// One side is done; the other one hears of it, if anything reaches it.
    pub(super) fn close(&mut self, stream: StreamId, side: Side) {
        let Some(found) = self.streams.find(stream) else { return };
        found.end(side).open = false;
        self.send(stream, side, Message::Fin);
        self.streams.forget_if_over(stream);
    }

    /// The kernel ends what a dead process had.
    pub(super) fn close_all(&mut self, party: Party) {
        for stream in self.streams.of(party) {
            self.close(stream, Streams::side_of(party));
        }
    }
}
