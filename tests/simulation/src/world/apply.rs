//! Faults, done to the world; the oracle is told of each.

use std::time::Duration;

use ferry_core::{id::Incarnation, node::Duty};
use rand::RngExt as _;

use super::{Event, World};
use crate::{
    coordinator::Coordinator,
    faults::Fault,
    gateway::Gateway,
    message::Input,
    node::Node,
    party::{Party, node_id},
};

/// One in so many of the dead nodes stays dead when everything else is put right.
const STAYS_DEAD: u32 = 4;

impl World {
    pub(super) fn apply(&mut self, fault: Fault) {
        self.history.push(self.now, &fault);
        match fault {
            Fault::Crash(party) => self.crash(party),
            Fault::Restart(party) => self.restart(party),
            Fault::Hang(party) => self.hang(party),
            Fault::Resume(party) => self.resume(party),
            Fault::Cut(id, cut) => {
                self.oracle.cut(self.now, &cut);
                self.network.cut(id, cut);
                self.look_at_all_nodes();
            }
            Fault::Heal(id) => {
                if let Some(cut) = self.network.heal(id) {
                    self.oracle.healed(self.now, &cut);
                    self.look_at_all_nodes();
                }
            }
            Fault::StoreAway(away) => self.store.away = away,
            Fault::ClockJump(party, millis) => {
                if self.settings.clocks_jump {
                    self.process_mut(party).wall_millis += millis;
                }
            }
            Fault::Decide(node, duty) => self.decide(node, duty),
            Fault::Stop(node) => self.stop(node),
            Fault::Mend => self.mend(),
        }
    }

    pub(super) fn crash(&mut self, party: Party) {
        let process = self.process_mut(party);
        if !process.running {
            return;
        }
        process.running = false;
        process.hung = false;
        process.deferred.clear();
        self.close_all(party);
        self.oracle.struck(self.now, party, false);
        self.look_at_node(party);
    }

    fn restart(&mut self, party: Party) {
        if self.process(party).running {
            return;
        }
        let wall = self.wall_millis(party);
        let now = self.local(party);
        let process = self.process_mut(party);
        process.running = true;
        process.life += 1;
        let (life, configured) = (process.life, process.configured.clone());
        match party {
            Party::Coordinator(index) => self.coordinators[index] = Coordinator::new(index, Incarnation(wall), now),
            Party::Gateway(index) => {
                self.gateways[index] = Gateway::new(self.gateways[index].saved(), configured, now);
            }
            Party::Node(index) => {
                // Kept on the node's disk: a clock that went back makes no newer life look older.
                let incarnation = Incarnation(wall.max(self.nodes[index].incarnation().0 + 1));
                self.nodes[index] = Node::new(index, life, incarnation, configured);
            }
            Party::Store => return,
        }
        self.oracle.struck(self.now, party, true);
        self.look_at_node(party);
        self.input(party, life, Input::Start);
    }

    fn hang(&mut self, party: Party) {
        let process = self.process_mut(party);
        if process.running && !process.hung {
            process.hung = true;
            self.oracle.struck(self.now, party, false);
            self.look_at_node(party);
        }
    }

    fn resume(&mut self, party: Party) {
        let now = self.now;
        let process = self.process_mut(party);
        if !process.hung {
            return;
        }
        process.hung = false;
        process.resumed = Some(now);
        for event in std::mem::take(&mut process.deferred) {
            self.queue.put(self.now, event);
        }
        self.oracle.struck(self.now, party, true);
        self.look_at_node(party);
    }

    /// SIGTERM.
    fn stop(&mut self, node: usize) {
        let party = Party::Node(node);
        if self.acts(party) {
            self.oracle.struck(self.now, party, true);
            self.oracle.stopping(self.now, node);
        }
        self.input(party, self.process(party).life, Input::Stop);
    }

    /// An operator's word, through any coordinator that reaches the store.
    fn decide(&mut self, node: usize, duty: Duty) {
        let reach = |party: Party| self.acts(party) && self.network.answers(party, Party::Store);
        if self.store.away || !self.sizes.all_coordinators().any(reach) {
            return;
        }
        if let Some(news) = self.store.decide(&node_id(node), duty) {
            self.oracle.struck(self.now, Party::Node(node), true);
            self.oracle.decided(self.now, node, duty);
            self.tell_watches(&news);
        }
    }

    /// Everything is put right, and a few of the dead nodes stay dead until the next time.
    fn mend(&mut self) {
        let cuts: Vec<u64> = self.network.cuts().collect();
        for id in cuts {
            self.apply(Fault::Heal(id));
        }
        self.store.away = false;
        let parties: Vec<Party> = self.sizes.processes().collect();
        for party in parties {
            self.resume(party);
            let stays = matches!(party, Party::Node(_)) && self.random.random_ratio(1, STAYS_DEAD);
            if !self.process(party).running && !stays {
                let wait = Duration::from_millis(self.random.random_range(0..100));
                self.queue.put(self.now + wait, Event::Fault(Fault::Restart(party)));
            }
        }
        self.oracle.mended(self.now);
    }

    fn look_at_node(&mut self, party: Party) {
        if let Party::Node(index) = party {
            let failing = self.failing(index);
            self.oracle.note(self.now, index, failing);
        }
    }

    fn look_at_all_nodes(&mut self) {
        for index in 0..self.sizes.nodes {
            self.look_at_node(Party::Node(index));
        }
    }
}
