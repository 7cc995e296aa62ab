//! Three members of one etcd, each of which can be killed, stopped, or cut off from the other two.

use std::time::Duration;

use etcd_client::Client;
use ferry_store::{Etcd, EtcdOptions};
use tokio::time::{sleep, timeout};

use crate::{
    proxy::Proxy,
    server::{Place, Server, free_port},
    support::soon,
};

const MEMBERS: usize = 3;
/// Slower than those of one member alone: three on a busy machine must not lose their leader by themselves.
const ELECTIONS: [&str; 4] = ["--heartbeat-interval", "50", "--election-timeout", "500"];

pub(crate) struct Trio {
    pub(crate) members: Vec<Server>,
    /// What the other members send to each, and hear from it over their own connections.
    ways_in: Vec<Proxy>,
}

impl Trio {
    pub(crate) async fn start() -> Self {
        // A port that was free a moment ago may be taken by another test.
        for _ in 0..3 {
            if let Some(trio) = Self::attempt().await {
                return trio;
            }
        }
        panic!("three members of etcd did not start in three attempts");
    }

    async fn attempt() -> Option<Self> {
        let mut ways_in = Vec::new();
        let mut peer_ports = Vec::new();
        for _ in 0..MEMBERS {
            let port = free_port();
            ways_in.push(Proxy::start(port).await);
            peer_ports.push(port);
        }
        let member = |(number, way_in): (usize, &Proxy)| format!("m{number}={}", way_in.endpoint());
        let cluster = ways_in.iter().enumerate().map(member).collect::<Vec<_>>().join(",");
        let launch = |(number, peer_port): (usize, u16)| {
            Server::launch(Place {
                name: format!("m{number}"),
                client_port: free_port(),
                peer_port,
                advertised_peer_port: ways_in[number].port(),
                cluster: cluster.clone(),
                arguments: ELECTIONS.map(str::to_owned).to_vec(),
            })
        };
        let mut members: Vec<Server> = peer_ports.into_iter().enumerate().map(launch).collect();
        for member in &mut members {
            if !member.ready().await {
                return None;
            }
        }
        Some(Self { members, ways_in })
    }

    /// A store that asks these members, in this order.
    pub(crate) fn store(&self, members: &[usize]) -> Etcd {
        store_at(members.iter().map(|&member| self.members[member].endpoint()))
    }

    /// Which member leads, as soon as one does.
    pub(crate) async fn leader(&self) -> usize {
        soon("a leader", async {
            loop {
                for (number, member) in self.members.iter().enumerate() {
                    if leads(&member.endpoint()).await {
                        return number;
                    }
                }
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// All three, the leader last.
    pub(crate) async fn followers_first(&self) -> Vec<usize> {
        let leader = self.leader().await;
        (0..MEMBERS).filter(|&member| member != leader).chain([leader]).collect()
    }

    /// Neither of the other two hears of this member any more, nor it of them; who is a client of it notices nothing.
    pub(crate) async fn cut_off(&self, member: usize) {
        let id = self.id(member).await;
        for (number, way_in) in self.ways_in.iter().enumerate() {
            if number == member { way_in.cut() } else { way_in.cut_source(&id) }
        }
    }

    pub(crate) fn heal(&self) {
        for way_in in &self.ways_in {
            way_in.heal();
        }
    }

    /// As members name each other on the wire.
    async fn id(&self, member: usize) -> String {
        let status = self.members[member].client().await.status().await.expect("the member answers");
        format!("{:x}", status.header().expect("etcd says who it is").member_id())
    }
}

/// A store that asks these endpoints, in this order.
pub(crate) fn store_at(endpoints: impl IntoIterator<Item = String>) -> Etcd {
    Etcd::new(EtcdOptions::new(endpoints)).expect("the options are good")
}

async fn leads(endpoint: &str) -> bool {
    let asking = async {
        let status = Client::connect([endpoint], None).await.ok()?.status().await.ok()?;
        Some(status.leader() == status.header()?.member_id() && status.leader() != 0)
    };
    timeout(Duration::from_millis(500), Box::pin(asking)).await.ok().flatten().unwrap_or(false)
}
