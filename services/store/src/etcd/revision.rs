//! Revisions never go back, whichever member answers.
//!
//! A linearizable read asks a majority, so etcd itself answers from no earlier moment than it was asked. What is left are
//! members that do not belong together: one restored from a backup, one with its data wiped, one of another cluster under the
//! same address. Believed, their answers would take registrations and decisions back. So no answer counts that is older
//! than what was known when the question was asked. Where all members were restored, that lasts until this
//! process is started again, for then somebody knows.

use std::sync::atomic::{AtomicU64, Ordering};

use etcd_client::{GetResponse, LeaseGrantResponse, LeaseRevokeResponse, PutResponse, ResponseHeader, TxnResponse};

use super::unsigned;
use crate::error::Error;

/// The highest revision that any member has named.
#[derive(Debug, Default)]
pub(super) struct Floor(AtomicU64);

/// An answer that names the store's revision at its moment; `None` where etcd leaves it out.
pub(super) trait Dated {
    /// The revision.
    fn revision(&self) -> Option<u64>;
}

impl Floor {
    /// What an answer to a question asked now must reach.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Something was read at this revision.
    pub(super) fn raise(&self, revision: u64) {
        self.0.fetch_max(revision, Ordering::Relaxed);
    }

    /// Takes an answer in, or refuses it for being older than `floor`.
    pub(super) fn admit(&self, endpoint: &str, floor: u64, revision: Option<u64>) -> Result<(), Error> {
        let Some(revision) = revision else { return Ok(()) };
        if revision < floor {
            return Err(Error::unavailable(format!(
                "etcd at {endpoint} is behind: it answers from revision {revision}, and {floor} was seen before (restored \
                 from a backup? then restart this process)"
            )));
        }
        self.raise(revision);
        Ok(())
    }
}

pub(super) fn of_header(header: Option<&ResponseHeader>) -> Option<u64> {
    header.map(|header| unsigned(header.revision()))
}

macro_rules! dated {
    ($($response:ty),*) => {
        $(impl Dated for $response {
            fn revision(&self) -> Option<u64> {
                of_header(self.header())
            }
        })*
    };
}

dated!(GetResponse, TxnResponse, PutResponse, LeaseGrantResponse, LeaseRevokeResponse);

/// Whether a lease was renewed, which its leader knows with no revision.
impl Dated for bool {
    fn revision(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_by_what_was_known_when_it_was_asked_for() {
        let floor = Floor::default();
        let asked = floor.now();
        floor.raise(9);
        assert_eq!(floor.admit("a", asked, Some(7)), Ok(()), "it overtook nothing that its asker knew");
        assert_eq!(floor.now(), 9, "and lowers nothing");
        assert!(matches!(floor.admit("a", floor.now(), Some(8)), Err(Error::Unavailable { .. })));
        assert_eq!(floor.admit("a", floor.now(), Some(9)), Ok(()));
        assert_eq!(floor.admit("a", floor.now(), None), Ok(()));
    }
}
