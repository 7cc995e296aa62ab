//! What operators say about where clients are.

use std::{collections::HashSet, fmt::Display, path::PathBuf, sync::Arc};

use ferry_core::{
    id::{Region, Zone},
    place::{Costs, Network, Networks},
};
use ferry_runtime::config::{FromSetting, Reader, Setting};
use http::HeaderName;
use serde::Deserialize;

use super::{
    Place, Source,
    areas::{Area, Areas},
    forwarded::AddressHeader,
    watched::Watched,
};

/// The table of them.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::list("trusted-proxies", "NETWORK", "Proxies in front of this gateway, whose word on clients is believed"),
    Setting::text("client-address-header", "NAME", "Where they name the client: a list of addresses, or Forwarded")
        .default("X-Forwarded-For"),
    Setting::text("client-region-header", "NAME", "Where they say in which region, country or city it is"),
    Setting::text("maxmind-file", "FILE", "A MaxMind DB of countries or cities, read anew when it changes"),
    Setting::list(
        "client-region-order",
        "networks|header|maxmind|gateway",
        "Who is asked where a client is; the first who knows",
    )
    .default("networks,header,maxmind,gateway"),
];

/// The structured part of the TOML file.
pub(crate) const SECTION: &str = "client-region";

/// The other structured part: what it costs to serve a region from another one.
pub(crate) const COSTS: &str = "region-cost";

/// What was said, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) trusted: Networks<()>,
    pub(crate) address_header: AddressHeader,
    pub(crate) region_header: Option<HeaderName>,
    pub(crate) database: Option<Watched>,
    pub(crate) order: Vec<Source>,
    /// What the others lead to, by number.
    pub(crate) places: Vec<Place>,
    pub(crate) networks: Networks<usize>,
    /// What proxies call the places, in small letters and in order.
    pub(crate) names: Vec<(String, usize)>,
    pub(crate) areas: Areas,
    pub(crate) costs: Arc<Costs>,
}

/// One `[[region-cost]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    from: String,
    to: String,
    cost: u32,
}

/// One `[[client-region]]`: a place, and by what its clients are known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Said {
    region: String,
    zone: Option<String>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    header_values: Vec<String>,
    #[serde(default)]
    subdivisions: Vec<String>,
    #[serde(default)]
    countries: Vec<String>,
    #[serde(default)]
    continents: Vec<String>,
}

impl FromSetting for Source {
    const EXPECTED: &'static str = "networks, header, maxmind or gateway";

    fn parse(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|source| source.as_str() == text);
        known.ok_or_else(|| format!("expected {}", Self::EXPECTED))
    }
}

/// Checks what was said. Each fault is left with the reader.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Settings> {
    let trusted = trusted(reader);
    let address_header = header(reader, "client-address-header").map(AddressHeader::named);
    let region_header = header(reader, "client-region-header");
    let database = database(reader);
    let order = order(reader);
    let mut tables = Tables::default();
    for (index, said) in reader.tables(SECTION).unwrap_or_default().iter().enumerate() {
        tables.add(reader, index, said);
    }
    if region_header.is_none() && tables.headed && !reader.is_set("client-region-header") {
        reader.refuse(format!("{SECTION}: header-values want a client-region-header to come in"));
    }
    let heads_nobody = trusted.as_ref().is_some_and(Networks::is_empty) && !reader.is_set("trusted-proxies");
    if region_header.is_some() && heads_nobody {
        reader.fault("client-region-header", "with nobody in trusted-proxies, nobody is believed");
    }
    if region_header.is_some() && tables.places.is_empty() {
        reader.fault("client-region-header", format!("expected a [[{SECTION}]] for each region that it may name"));
    }
    if database.is_some() && tables.areas.is_empty() {
        reader.fault("maxmind-file", format!("expected [[{SECTION}]] with countries, continents or subdivisions"));
    }
    if !tables.areas.is_empty() && !reader.is_set("maxmind-file") {
        reader.refuse(format!("{SECTION}: countries, continents and subdivisions want a maxmind-file to know them by"));
    }
    let Tables { places, networks, names, areas, .. } = tables;
    let networks = kept(reader, SECTION, Networks::new(networks));
    let names = sorted(reader, names);
    let costs = costs(reader);
    Some(Settings {
        trusted: trusted?,
        address_header: address_header?,
        region_header,
        database,
        order,
        places,
        networks: networks?,
        names,
        areas,
        costs: Arc::new(costs?),
    })
}

fn trusted(reader: &mut Reader<'_>) -> Option<Networks<()>> {
    let list: Vec<Network> = reader.list("trusted-proxies");
    kept(reader, "trusted-proxies", Networks::new(list.into_iter().map(|network| (network, ()))))
}

fn header(reader: &mut Reader<'_>, name: &str) -> Option<HeaderName> {
    let said: String = reader.get(name)?;
    let header = HeaderName::try_from(said).ok();
    if header.is_none() {
        reader.fault(name, "expected the name of a header field, such as X-Forwarded-For");
    }
    header
}

/// A gateway that runs keeps the last good file; one that starts has none, and whoever starts it is told.
fn database(reader: &mut Reader<'_>) -> Option<Watched> {
    let path: PathBuf = reader.get("maxmind-file")?;
    let opened = Watched::open(path);
    if let Err(why) = &opened {
        let cause = std::error::Error::source(why).map_or_else(String::new, |cause| format!(": {cause}"));
        reader.fault("maxmind-file", format!("expected a MaxMind database: {why}{cause}"));
    }
    opened.ok()
}

fn costs(reader: &mut Reader<'_>) -> Option<Costs> {
    let said: Vec<Cost> = reader.tables(COSTS).unwrap_or_default();
    let mut given = Vec::with_capacity(said.len());
    for (index, Cost { from, to, cost }) in said.iter().enumerate() {
        let mut table = Table { reader, section: COSTS, index };
        let (from, to) = (table.value("from", from), table.value("to", to));
        given.extend(from.zip(to).map(|(from, to): (Region, Region)| (from, to, *cost)));
    }
    kept(reader, COSTS, Costs::new(given))
}

fn order(reader: &mut Reader<'_>) -> Vec<Source> {
    let order: Vec<Source> = reader.list("client-region-order");
    for (at, source) in order.iter().enumerate() {
        if order[..at].contains(source) {
            reader.fault("client-region-order", format!("{} is listed twice", source.as_str()));
        }
    }
    order
}

fn kept<T, F: Display>(reader: &mut Reader<'_>, name: &str, checked: Result<T, Vec<F>>) -> Option<T> {
    match checked {
        Ok(good) => Some(good),
        Err(faults) => {
            for fault in faults {
                reader.refuse(format!("{name}: {fault}"));
            }
            None
        }
    }
}

/// By a name each place is found once.
fn sorted(reader: &mut Reader<'_>, mut names: Vec<(String, usize)>) -> Vec<(String, usize)> {
    names.sort();
    // A place may be named by its region and again among its values.
    names.dedup();
    for pair in names.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        reader.refuse(format!("{SECTION}.header-values: {:?} is listed twice", pair[0].0));
    }
    names
}

#[derive(Debug, Default)]
struct Tables {
    places: Vec<Place>,
    networks: Vec<(Network, usize)>,
    names: Vec<(String, usize)>,
    areas: Areas,
    /// Whether a table lists values of a header.
    headed: bool,
    /// Regions that have a name already.
    named: HashSet<Region>,
}

impl Tables {
    fn add(&mut self, reader: &mut Reader<'_>, index: usize, said: &Said) {
        let mut table = Table { reader, section: SECTION, index };
        let region: Option<Region> = table.value("region", &said.region);
        let zone: Option<Option<Zone>> = match &said.zone {
            Some(zone) => table.value("zone", zone).map(Some),
            None => Some(None),
        };
        // A table with a fault has no place of its own, and is never looked up.
        let place = index;
        let networks = said.networks.iter().filter_map(|network| table.value("networks", network));
        self.networks.extend(networks.map(|network| (network, place)));
        self.names.extend(said.header_values.iter().map(|name| (name.to_ascii_lowercase(), place)));
        self.headed |= !said.header_values.is_empty();
        let parse: Parse = Area::subdivision;
        let areas = [
            ("subdivisions", &said.subdivisions, parse, "a code of ISO 3166-2, such as US-CA"),
            ("countries", &said.countries, Area::country, "a code of ISO 3166-1 alpha-2, such as DE"),
            ("continents", &said.continents, Area::continent, "AF, AN, AS, EU, NA, OC or SA"),
        ];
        for (field, codes, parse, expected) in areas {
            for code in codes {
                match parse(code) {
                    None => table.refuse(field, code, format!("expected {expected}")),
                    Some(area) if !self.areas.say(area, place) => table.refuse(field, code, "is listed twice"),
                    Some(_) => {}
                }
            }
        }
        if let (Some(region), Some(zone)) = (region, zone) {
            // A proxy may say the region's own name; of several tables for one, that means the first.
            if self.named.insert(region.clone()) {
                self.names.push((region.as_str().to_ascii_lowercase(), place));
            }
            self.places.push(Place { region, zone });
        }
    }
}

/// How a code of an area is read.
type Parse = fn(&str) -> Option<Area>;

/// One table, for its faults.
struct Table<'r, 's> {
    reader: &'r mut Reader<'s>,
    section: &'static str,
    index: usize,
}

impl Table<'_, '_> {
    fn value<T: FromSetting>(&mut self, field: &str, text: &str) -> Option<T> {
        T::parse(text).map_err(|expected| self.refuse(field, text, expected)).ok()
    }

    fn refuse(&mut self, field: &str, text: &str, wrong: impl Display) {
        self.reader.refuse(format!("{}[{}].{field} = {text:?}: {wrong}", self.section, self.index));
    }
}
