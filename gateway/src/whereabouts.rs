//! Where a client is: from its connection, and from what trusted proxies say of it, to an address; from that to a region and a zone.
//!
//! Who is asked for the region, and in which order, operators say: lists of networks, a trusted proxy's header, a MaxMind database. Nothing that an
//! untrusted peer sends is looked at (invariant W5). Which nodes are near a region is [`ferry_core::selection`]'s to know.

mod areas;
mod database;
mod forwarded;
#[cfg(test)]
mod sample;
mod settings;
mod watched;

use std::net::IpAddr;

use ferry_core::id::{Region, Zone};
use http::{HeaderMap, HeaderName};

pub(crate) use settings::{COSTS, SECTION, SETTINGS, Settings, read};
pub(crate) use watched::DatabaseFigures;

/// A place that clients are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) region: Region,
    pub(crate) zone: Option<Zone>,
}

/// Who knows where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The lists of networks.
    Networks,
    /// A trusted proxy's header.
    Header,
    /// The database.
    Maxmind,
    /// The gateway: the client is where it is itself.
    Gateway,
}

/// Finds out.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    settings: Settings,
    /// Where the gateway's clients are, unless somebody knows better.
    here: Option<Place>,
}

/// What was found out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whereabout<'a> {
    /// The client's own address, as far as trusted proxies reach.
    pub(crate) address: IpAddr,
    /// Where it is, and by whose word; `None` if nobody knows.
    pub(crate) place: Option<(&'a Place, Source)>,
}

impl Source {
    const ALL: [Self; 4] = [Self::Networks, Self::Header, Self::Maxmind, Self::Gateway];

    /// The name by which it is configured.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Header => "header",
            Self::Maxmind => "maxmind",
            Self::Gateway => "gateway",
        }
    }
}

impl Whereabouts {
    pub(crate) fn new(settings: Settings, region: Option<Region>, zone: Option<Zone>) -> Self {
        Self { settings, here: region.map(|region| Place { region, zone }) }
    }

    /// Whether the peer speaks for others: then its fields must be looked at.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        !self.settings.trusted.is_empty() && self.settings.trusted.find(peer).is_some()
    }

    /// The client behind a peer, by the fields of its request.
    pub(crate) fn of<'a>(&'a self, peer: IpAddr, fields: &HeaderMap) -> Whereabout<'a> {
        if !self.trusts(peer) {
            return self.at(peer);
        }
        let address = self.settings.address_header.client(fields, peer, |address| self.trusts(address));
        let said = self.settings.region_header.as_ref().and_then(|name| the_one(fields, name));
        self.find(address, said)
    }

    /// A client that came by itself. Allocates nothing.
    pub(crate) fn at(&self, address: IpAddr) -> Whereabout<'_> {
        self.find(address, None)
    }

    fn find(&self, address: IpAddr, said: Option<&[u8]>) -> Whereabout<'_> {
        let place = self.settings.order.iter().find_map(|&source| {
            let place = match source {
                Source::Networks => self.place(self.settings.networks.find(address).copied()),
                Source::Header => self.place(said.and_then(|said| self.named(said))),
                Source::Maxmind => self.place(self.located(address)),
                Source::Gateway => self.here.as_ref(),
            };
            place.map(|place| (place, source))
        });
        Whereabout { address, place }
    }

    fn place(&self, number: Option<usize>) -> Option<&Place> {
        self.settings.places.get(number?)
    }

    /// Whose name that is, in whatever letters.
    fn named(&self, said: &[u8]) -> Option<usize> {
        let names = &self.settings.names;
        let in_small = || said.iter().map(u8::to_ascii_lowercase);
        let at = names.binary_search_by(|(name, _)| name.bytes().cmp(in_small())).ok()?;
        Some(names[at].1)
    }

    fn located(&self, address: IpAddr) -> Option<usize> {
        let database = self.settings.database.as_ref()?.current();
        self.settings.areas.find(database.locate(address))
    }
}

/// The field's value; `None` if there are several: one of them may be the client's.
fn the_one<'f>(fields: &'f HeaderMap, name: &HeaderName) -> Option<&'f [u8]> {
    let mut values = fields.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    Some(value.as_bytes().trim_ascii())
}

#[cfg(test)]
mod tests;
