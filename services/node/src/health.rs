//! `GET /health`: the page of every role, with the word for a node that is asked to stop, and for one whose disk does not do its work.

use ferry_delivery::{Delivery, disk};
use ferry_runtime::health::Health as Page;

use crate::drain::Drain;

/// What is known of the node's health.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) page: Page,
    pub(crate) drain: Drain,
    pub(crate) delivery: Delivery,
}

impl Health {
    /// The page.
    pub(crate) fn page(&self) -> serde_json::Value {
        let trouble = disk_trouble(&self.delivery);
        let status = match &trouble {
            _ if self.drain.is_draining() => "draining",
            Some(_) => "degraded",
            None => "healthy",
        };
        let mut page = self.page.value(status);
        if let Some(trouble) = trouble {
            page["disk"] = trouble.to_string().into();
        }
        page
    }
}

/// What is wrong with the disk of a node, if it has one.
pub(crate) fn disk_trouble(delivery: &Delivery) -> Option<disk::Health> {
    delivery.disk().map(disk::Disk::health).filter(|health| !health.is_well())
}

#[cfg(test)]
mod tests {
    use ferry_core::{
        object::{ObjectKey, ObjectPath},
        time::UnixMillis,
    };
    use ferry_delivery::{
        Backend, Object, Request, Transfers,
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
        let health = Health { page, drain: Drain::new(), delivery: delivery.clone() };
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
