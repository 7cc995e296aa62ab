//! The store in etcd: what several coordinators share.
//!
//! Nothing here needs etcd at construction; every request connects if need be and is limited by [`CALL_LIMIT`]. What
//! changes nothing is asked of the next endpoint when one fails; a change is sent again only if it never left. etcd-client by itself never
//! reconnects a watch, never notices a frozen server, and reports a lost lease and a compacted revision as success: the
//! modules below are mostly about that.

mod connection;
mod failure;
mod options;
mod presence;
mod revision;
mod sight;
mod watch;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use etcd_client::{Client, Compare, CompareOp, GetOptions, GetResponse, KeyValue, Txn, TxnOp, TxnOpResponse};
use futures_util::future::{BoxFuture, FutureExt};
use tokio_util::sync::CancellationToken;

use self::connection::{Connection, Repeat};
pub use self::options::{Credentials, DEFAULT_PREFIX, EtcdOptions, EtcdTls};
use crate::{
    contract::{Change, Expected, Listing, Presence, Store, Versioned, check_change, check_key},
    error::Error,
    presence::hold,
    watch::Watch,
};

/// From asking to an answer or an error, connecting and authenticating included.
const CALL_LIMIT: Duration = Duration::from_secs(3);
/// What an endpoint has for its answer before the next one is asked. (Linearizable reads wait for a majority, but for no disk.)
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);
/// A listing larger than this is not one of slow facts.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A store in etcd; a cheap handle to it. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Etcd {
    connection: Arc<Connection>,
    prefix: Arc<str>,
}

impl Etcd {
    /// A store below the options' prefix. Connects later; [`Error::Refused`] if the options can never work.
    pub fn new(options: EtcdOptions) -> Result<Self, Error> {
        options.check()?;
        let prefix = options.prefix.as_str().into();
        Ok(Self { connection: Arc::new(Connection::new(options)), prefix })
    }

    fn whole(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn read(&self, key: String, options: Option<GetOptions>) -> Result<GetResponse, Error> {
        // Reads are linearizable unless asked otherwise: the member confirms with the majority that it is not behind.
        let ask = |client: Client| {
            let (key, options) = (key.clone(), options.clone());
            async move { client.kv_client().max_decoding_message_size(LARGEST_ANSWER).get(key, options).await }
        };
        self.connection.call(Repeat::Harmless, ask).await
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>, Error> {
        check_key(key)?;
        let answer = self.read(self.whole(key), None).await?;
        Ok(answer.kvs().first().map(versioned))
    }

    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let answer = self.read(self.whole(prefix), Some(GetOptions::new().with_prefix())).await?;
        let entries = answer.kvs().iter().filter_map(|kv| Some((self.key_of(kv)?, versioned(kv)))).collect();
        Ok(Listing { entries, revision: revision_of(answer.header()) })
    }

    async fn swap(&self, key: &str, expected: Expected, change: Change) -> Result<u64, Error> {
        check_change(key, &change)?;
        let whole = self.whole(key);
        let condition = match expected {
            Expected::Absent => Compare::create_revision(whole.clone(), CompareOp::Equal, 0),
            Expected::Revision(revision) => {
                // A revision that etcd cannot have is one that the key does not have; neither has it revision 0, which
                // etcd would take for "absent".
                let revision = i64::try_from(revision).ok().filter(|revision| *revision > 0).unwrap_or(i64::MAX);
                Compare::mod_revision(whole.clone(), CompareOp::Equal, revision)
            }
        };
        let operation = match change {
            Change::Put(value) => TxnOp::put(whole.clone(), value, None),
            Change::Delete => TxnOp::delete(whole.clone(), None),
        };
        let transaction = Txn::new().when([condition]).and_then([operation]).or_else([TxnOp::get(whole, None)]);
        let ask = |mut client: Client| {
            let transaction = transaction.clone();
            async move { client.txn(transaction).await }
        };
        // Sent twice, it could be refused for what it did itself the first time.
        let answer = self.connection.call(Repeat::Never, ask).await?;
        if answer.succeeded() {
            return Ok(revision_of(answer.header()));
        }
        let current = answer.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(found) => found.kvs().first().map(versioned),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        Err(Error::Conflict { current })
    }

    /// The key without the prefix; `None` for what nobody of ours can have written.
    fn key_of(&self, kv: &KeyValue) -> Option<String> {
        kv.key_str().ok()?.strip_prefix(&*self.prefix).map(str::to_owned)
    }
}

impl Store for Etcd {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Versioned>, Error>> {
        self.get(key).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>> {
        self.list(prefix).boxed()
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a str,
        expected: Expected,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.swap(key, expected, change).boxed()
    }

    fn watch(&self, prefix: &str) -> Watch {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        Watch::new(|events| watch::follow(store, prefix, events))
    }

    fn present(&self, key: &str, value: Bytes, ttl: Duration, stop: CancellationToken) -> Presence {
        let lease = presence::Lease::new(self.clone(), key.to_owned(), value, ttl);
        hold(lease, key.to_owned(), ttl, stop).boxed()
    }
}

fn versioned(kv: &KeyValue) -> Versioned {
    Versioned { value: Bytes::copy_from_slice(kv.value()), revision: unsigned(kv.mod_revision()) }
}

fn revision_of(header: Option<&etcd_client::ResponseHeader>) -> u64 {
    revision::of_header(header).unwrap_or_default()
}

/// etcd's revisions are signed on the wire and never negative.
fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}
