//! Which gateways' words on their routes are to be stored: one write of each gateway is under way, and each attempt of it stores the last word.
//!
//! So a word that was taken back while the store was away is never written, and a gateway whose word changes again and again costs one task.

use std::collections::{HashMap, hash_map::Entry};

use ferry_core::id::GatewayId;
use tokio::sync::watch;

/// The writes under way, with the last word of each gateway.
#[derive(Debug, Default)]
pub(super) struct Guards {
    under_way: HashMap<GatewayId, watch::Sender<bool>>,
}

impl Guards {
    /// This is the gateway's word now, and `stored` what is known to be stored. Returns what a new write is to follow, attempt by attempt; nothing
    /// if none is needed, or the one under way takes the word with it.
    pub(super) fn begin(&mut self, gateway: &GatewayId, guarded: bool, stored: bool) -> Option<watch::Receiver<bool>> {
        match self.under_way.entry(gateway.clone()) {
            Entry::Occupied(write) => {
                write.get().send_replace(guarded);
                None
            }
            Entry::Vacant(_) if guarded == stored => None,
            Entry::Vacant(none) => Some(none.insert(watch::Sender::new(guarded)).subscribe()),
        }
    }

    /// The write has ended, and `stored` is there. Returns what another one is to follow, which is then under way, if the word is no longer that.
    pub(super) fn end(&mut self, gateway: &GatewayId, stored: bool) -> Option<watch::Receiver<bool>> {
        let word = self.under_way.get(gateway)?;
        if *word.borrow() != stored {
            return Some(word.subscribe());
        }
        self.under_way.remove(gateway);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_write_is_under_way_and_the_last_word_is_stored() {
        let (mut guards, gateway) = (Guards::default(), "g".parse().expect("a name"));
        assert!(guards.begin(&gateway, true, true).is_none(), "it is there");
        let write = guards.begin(&gateway, false, true).expect("a write");
        assert!(guards.begin(&gateway, true, true).is_none(), "one at a time, though this is what was stored before");
        assert!(*write.borrow(), "the next attempt stores it");
        // The attempt that was under way then has stored what it began with.
        let again = guards.end(&gateway, false).expect("another write");
        assert!(*again.borrow());
        assert!(guards.begin(&gateway, true, false).is_none(), "that one is under way now");
        assert!(guards.end(&gateway, true).is_none());
        assert!(guards.under_way.is_empty(), "nothing is kept of it");
        assert!(guards.begin(&gateway, false, true).is_some());
    }
}
