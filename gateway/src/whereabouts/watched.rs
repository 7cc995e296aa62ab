//! The database as it is now: its file is looked at again and again, and read when it is another one.
//!
//! A file that will not do changes nothing: the last good one stays. That goes for an older one, too: who replaces a database by an older one has mixed
//! up his files (and starts the gateway anew if he means it).

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ferry_runtime::Tasks;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::sleep;
use tracing::{info, warn};

use super::database::{Database, LoadError, Stamp};

/// How soon a new file is noticed.
const EVERY: Duration = Duration::from_secs(5);

/// A file and what it was when it was read last.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    path: PathBuf,
    stamp: Stamp,
    current: Arc<ArcSwap<Database>>,
}

/// What is said of it to those who watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct DatabaseFigures {
    /// When the database in use was built, in seconds since 1970.
    pub(crate) built: Gauge,
    /// 1 while the file is one that will not do.
    pub(crate) refused: Gauge,
}

/// Why the file that is there is not used.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("it is older than the one in use: built at {built}, not at {present} or later (in seconds since 1970)")]
    Outdated { built: u64, present: u64 },
}

impl Watched {
    /// Reads the file for the first time. Blocks.
    pub(crate) fn open(path: PathBuf) -> Result<Self, LoadError> {
        let (database, stamp) = Database::load(&path)?;
        Ok(Self { path, stamp, current: Arc::new(ArcSwap::from_pointee(database)) })
    }

    /// The last good one.
    pub(crate) fn current(&self) -> impl std::ops::Deref<Target = Arc<Database>> {
        self.current.load()
    }

    /// Looks at the file until the process stops.
    pub(crate) fn watch(&self, figures: DatabaseFigures, tasks: &Tasks) {
        let (watched, stop) = (self.clone(), tasks.stop_token());
        tasks.spawn("database of places", async move {
            stop.run_until_cancelled(watched.look_again(figures)).await;
        });
    }

    async fn look_again(self, figures: DatabaseFigures) {
        figures.built.set(seconds(self.current.load().built()));
        // What was last found there: each find is acted on, and complained of, once.
        let mut seen: Result<Stamp, io::ErrorKind> = Ok(self.stamp);
        loop {
            sleep(EVERY).await;
            let watched = self.clone();
            let Ok((now, outcome)) = tokio::task::spawn_blocking(move || watched.look(seen)).await else { return };
            seen = now;
            match outcome {
                None => {}
                Some(Ok(built)) => {
                    figures.built.set(seconds(built));
                    figures.refused.set(0);
                    info!(file = %self.path.display(), built, "a new database of clients' places");
                }
                Some(Err(why)) => {
                    figures.refused.set(1);
                    let (file, error) = (self.path.display(), &why as &dyn std::error::Error);
                    warn!(%file, error, "the database of clients' places will not do: the last good one stays");
                }
            }
        }
    }

    /// What is there now, and what came of it if that is another thing than what was `seen`: when the new database was built, or why it is none.
    fn look(&self, seen: Result<Stamp, io::ErrorKind>) -> (Result<Stamp, io::ErrorKind>, Option<Result<u64, Refusal>>) {
        let found = Stamp::of(&self.path);
        let now = found.as_ref().copied().map_err(io::Error::kind);
        if now == seen {
            return (seen, None);
        }
        let outcome = found.map_err(|why| LoadError::from(why).into()).and_then(|_| self.replace());
        (now, Some(outcome))
    }

    fn replace(&self) -> Result<u64, Refusal> {
        let (database, _) = Database::load(&self.path)?;
        let (built, present) = (database.built(), self.current.load().built());
        if built < present {
            return Err(Refusal::Outdated { built, present });
        }
        self.current.store(Arc::new(database));
        Ok(built)
    }
}

fn seconds(since_1970: u64) -> i64 {
    i64::try_from(since_1970).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{fs, net::IpAddr, path::Path};

    use super::*;
    use crate::whereabouts::{
        areas::{Code, Located},
        sample,
    };

    const CLIENT: &str = "192.0.2.9";

    fn place(folder: &Path, octets: &[u8]) -> PathBuf {
        let (new, file) = (folder.join("new"), folder.join("places.mmdb"));
        fs::write(&new, octets).expect("a file in a temporary folder");
        fs::rename(&new, &file).expect("beside it");
        file
    }

    fn built(at: u64, country: &str) -> Vec<u8> {
        sample::database(at, &[("192.0.2.0/24", "EU", country, "")])
    }

    fn country(watched: &Watched) -> Option<Code<2>> {
        let address: IpAddr = CLIENT.parse().expect("an address");
        let Located { country, .. } = watched.current().locate(address);
        country
    }

    #[test]
    fn a_good_new_file_is_taken_and_one_that_will_not_do_changes_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let watched = Watched::open(place(folder.path(), &built(10, "DE"))).expect("a sound database");
        let mut seen = Ok(watched.stamp);
        let mut look = |what: &str| {
            let (now, outcome) = watched.look(seen);
            seen = now;
            let outcome = outcome.map(|outcome| outcome.map_err(|why| why.to_string()));
            (outcome, country(&watched), what.to_owned())
        };
        let (germany, france) = (Code::of("DE"), Code::of("FR"));
        assert_eq!(look("the same file"), (None, germany, "the same file".to_owned()));
        place(folder.path(), b"garbage");
        let (outcome, still, _) = look("garbage");
        assert!(outcome.is_some_and(|outcome| outcome.is_err()) && still == germany);
        assert_eq!(look("garbage again").0, None, "one complaint is enough");
        place(folder.path(), &built(9, "FR"));
        let (outcome, still, _) = look("an older one");
        assert!(outcome.is_some_and(|outcome| outcome.is_err_and(|why| why.contains("older"))) && still == germany);
        fs::remove_file(folder.path().join("places.mmdb")).expect("it is there");
        let (outcome, still, _) = look("nothing");
        assert!(outcome.is_some_and(|outcome| outcome.is_err()) && still == germany);
        place(folder.path(), &built(11, "FR"));
        let (outcome, at_last, _) = look("a newer one");
        assert_eq!((outcome, at_last), (Some(Ok(11)), france));
    }
}
