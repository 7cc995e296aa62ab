//! Areas of the world, as a MaxMind database and ISO 3166 name them, and which place the clients of each belong to.

use std::collections::HashMap;

/// Up to `N` letters and digits, in capitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Code<const N: usize>([u8; N]);

/// A country's code: ISO 3166-1 alpha-2.
pub(crate) type Country = Code<2>;
/// A continent's code, as MaxMind has it.
pub(crate) type Continent = Code<2>;
/// What follows the country in a code of ISO 3166-2.
pub(crate) type Subdivision = Code<3>;

const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

impl<const N: usize> Code<N> {
    /// The code; `None` if the text is none.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut code = [0; N];
        let place = code.get_mut(..text.len()).filter(|place| !place.is_empty())?;
        place.copy_from_slice(text.as_bytes());
        place.make_ascii_uppercase();
        place.iter().all(u8::is_ascii_alphanumeric).then_some(Self(code))
    }
}

/// One area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Area {
    Subdivision(Country, Subdivision),
    Country(Country),
    Continent(Continent),
}

/// What an address is known to be in; the smaller areas may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Located {
    pub(crate) continent: Option<Continent>,
    pub(crate) country: Option<Country>,
    pub(crate) subdivision: Option<Subdivision>,
}

/// What is said of each area.
#[derive(Debug, Clone, Default)]
pub(crate) struct Areas(HashMap<Area, usize>);

impl Area {
    /// A subdivision, as `US-CA`.
    pub(crate) fn subdivision(text: &str) -> Option<Self> {
        let (country, subdivision) = text.split_once('-')?;
        Some(Self::Subdivision(two_letters(country)?, Code::of(subdivision)?))
    }

    /// A country, as `DE`.
    pub(crate) fn country(text: &str) -> Option<Self> {
        two_letters(text).map(Self::Country)
    }

    /// A continent, as `EU`.
    pub(crate) fn continent(text: &str) -> Option<Self> {
        let known = CONTINENTS.iter().any(|known| known.eq_ignore_ascii_case(text));
        Code::of(text).filter(|_| known).map(Self::Continent)
    }
}

fn two_letters(text: &str) -> Option<Code<2>> {
    Code::of(text).filter(|_| text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_alphabetic()))
}

impl Areas {
    /// Says it; false if something was said of that area already.
    pub(crate) fn say(&mut self, area: Area, place: usize) -> bool {
        self.0.insert(area, place).is_none()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said of the smallest area that the address is in and of which anything is.
    pub(crate) fn find(&self, located: Located) -> Option<usize> {
        let Located { continent, country, subdivision } = located;
        let subdivision = country.zip(subdivision).map(|(country, part)| Area::Subdivision(country, part));
        let areas = [subdivision, country.map(Area::Country), continent.map(Area::Continent)];
        areas.into_iter().flatten().find_map(|area| self.0.get(&area).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_area_counts() {
        let mut areas = Areas::default();
        let said = [Area::continent("NA"), Area::country("us"), Area::subdivision("US-CA"), Area::country("NA")];
        for (place, area) in said.into_iter().enumerate() {
            assert!(areas.say(area.expect("an area"), place));
        }
        assert!(!areas.say(Area::country("US").expect("an area"), 1), "said already");
        let find = |continent: &str, country: &str, subdivision: &str| {
            let (continent, country) = (Code::of(continent), Code::of(country));
            areas.find(Located { continent, country, subdivision: Code::of(subdivision) })
        };
        assert_eq!(find("NA", "US", "CA"), Some(2));
        assert_eq!(find("NA", "US", "NY"), Some(1));
        assert_eq!(find("NA", "CA", ""), Some(0), "Canada is no California");
        assert_eq!(find("AF", "NA", ""), Some(3), "Namibia is not North America");
        assert_eq!((find("EU", "DE", "BE"), find("", "", "")), (None, None));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", "D", "DEU", "D1", "ä"] {
            assert_eq!(Area::country(text), None, "{text:?}");
        }
        for text in ["US", "US-", "US-CALI", "USA-CA", "US CA", "-CA"] {
            assert_eq!(Area::subdivision(text), None, "{text:?}");
        }
        assert_eq!((Area::continent("XX"), Area::continent("")), (None, None));
    }
}
