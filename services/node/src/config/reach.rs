//! Where clients reach the node.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ferry_core::address::Authority;
use ferry_runtime::config::{BaseUrl, Reader};

/// The listener: `listen`, of which `host` and `port` replace a part each.
pub(super) fn listen(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let listen: Option<SocketAddr> = reader.require("listen");
    let host = reader.get::<String>("host");
    let port: Option<u16> = reader.get("port");
    let ip = match host.as_deref().map(|host| (host, host.parse::<IpAddr>())) {
        None => None,
        Some((_, Ok(ip))) => Some(ip),
        Some(("localhost", Err(_))) => Some(Ipv4Addr::LOCALHOST.into()),
        Some((_, Err(_))) => {
            reader.fault("host", "expected an address, such as 0.0.0.0");
            None
        }
    };
    let mut listen = listen?;
    listen.set_ip(ip.unwrap_or(listen.ip()));
    listen.set_port(port.unwrap_or(listen.port()));
    Some(listen)
}

/// What clients are told, if it is set. An address that means "this machine" to everybody is of no use to the clients of a
/// cluster that spans several.
pub(super) fn address(
    reader: &mut Reader<'_>,
    listen: Option<SocketAddr>,
    coordinators: &[BaseUrl],
) -> Option<Authority> {
    let address: Option<Authority> = reader.get("node-address");
    let elsewhere = coordinators.iter().any(|url| !is_here(url));
    let useless = match (&address, listen) {
        (Some(address), _) => address.is_loopback(),
        (None, Some(listen)) => !reader.is_set("node-address") && shown(listen).is_loopback(),
        (None, None) => false,
    };
    if elsewhere && useless {
        reader.fault(
            "node-address",
            "with a coordinator on another machine, expected HOST:PORT that clients reach this node by; \
             localhost means their own machine to them",
        );
    }
    address
}

/// What a listener is called where nobody gave it a name.
pub(crate) fn shown(listen: SocketAddr) -> Authority {
    let port = match listen.port() {
        // A free one, not known yet.
        0 => 1,
        port => port,
    };
    let text = if listen.ip().is_unspecified() {
        format!("localhost:{port}")
    } else {
        // Without a scope, which no URL holds.
        SocketAddr::new(listen.ip(), port).to_string()
    };
    text.parse().expect("a name or an address, and a port")
}

fn is_here(url: &BaseUrl) -> bool {
    format!("{}:{}", bracketed(url.host()), url.port()).parse::<Authority>().is_ok_and(|host| host.is_loopback())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
