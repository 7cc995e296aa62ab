//! `GET /health`: the page of every role, with the word for a node that is asked to stop, and for one whose disks do not do their work.

mod damage;
mod disks;

use ferry_runtime::health::Health as Page;

pub(crate) use self::disks::Disks;
use crate::drain::Drain;

/// What is known of the node's health.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) page: Page,
    pub(crate) drain: Drain,
    pub(crate) disks: Disks,
}

impl Health {
    /// The page.
    pub(crate) fn page(&self) -> serde_json::Value {
        let (disk, cache) = (self.disks.root(), self.disks.cache());
        let status = match disk.is_some() || cache.is_some() {
            _ if self.drain.is_draining() => "draining",
            true => "degraded",
            false => "healthy",
        };
        let mut page = self.page.value(status);
        if let Some(trouble) = disk {
            page["disk"] = trouble.to_string().into();
        }
        if let Some(trouble) = cache {
            page["cache"] = trouble.to_string().into();
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use ferry_core::{
        object::{ObjectKey, ObjectPath},
        time::UnixMillis,
    };
    use ferry_delivery::{
        Backend, Delivery, Object, Request, Transfers,
        disk::{Disk, Settings, faulty::Fault},
        metrics::Metrics,
    };
    use ferry_runtime::Clock;

    use super::*;

    #[tokio::test]
    async fn a_node_whose_disk_fails_says_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (disk, faults) = Disk::open_faulty_root(folder.path(), Settings::default()).expect("a good root");
        let delivery = Delivery::new(Backend::Filesystem(disk), Transfers::new(), Metrics::default());
        let page = Page {
            id: "n1".to_owned(),
            main_server: None,
            storage_path: None,
            sync_interval: None,
            clock: Clock::fixed(UnixMillis(0)),
        };
        let disks = Disks::new(delivery.clone(), page.clock.clone());
        let health = Health { page, drain: Drain::new(), disks };
        assert_eq!((&health.page()["status"], health.page().get("disk")), (&"healthy".into(), None));
        faults.fail(Fault::Io);
        let object = Object::new(ObjectKey::plain(ObjectPath::from_decoded("a").expect("a path")), "/a");
        let request = Request::internal("GET".parse().expect("a method"), "/a").expect("a request");
        for _ in 0..3 {
            assert_eq!(delivery.deliver(&request, &object).await.status, 500);
        }
        let page = health.page();
        assert_eq!((&page["status"], &page["disk"]), (&"degraded".into(), &"failing for 0 s".into()));
    }
}
