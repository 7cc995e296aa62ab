//! What is asked for: objects by Zipf's law, sizes of three kinds, moments at random; and a crowd, if one is wanted.

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

const MB: u64 = 1_000_000;

/// The files there are.
#[derive(Debug)]
pub(super) struct Catalogue {
    sizes: Vec<u64>,
    /// The share of requests that go to an object or a more popular one.
    cumulative: Vec<f64>,
}

impl Catalogue {
    /// `objects` files, of which the k-th is asked for in proportion to `k^-exponent`; 70 % are pieces of video (1 to 4 MB), 25 % packages (8 to 24 MB), 5 % images
    /// (32 to 64 MB), whatever their popularity.
    pub(super) fn new(objects: u32, exponent: f64, seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut size = |_| match random.random_range(0..100) {
            0..70 => random.random_range(MB..4 * MB),
            70..95 => random.random_range(8 * MB..24 * MB),
            _ => random.random_range(32 * MB..64 * MB),
        };
        let sizes = (0..objects).map(&mut size).collect();
        let total: f64 = (1..=objects).map(|rank| f64::from(rank).powf(-exponent)).sum();
        let mut sum = 0.0;
        let cumulative = (1..=objects).map(|rank| {
            sum += f64::from(rank).powf(-exponent) / total;
            sum
        });
        Self { cumulative: cumulative.collect(), sizes }
    }

    pub(super) fn size(&self, object: u32) -> u64 {
        self.sizes[object as usize]
    }

    /// The expected size of what is asked for.
    pub(super) fn mean_size(&self) -> f64 {
        let mut before = 0.0;
        let part = |(size, cumulative): (&u64, &f64)| {
            *size as f64 * (cumulative - std::mem::replace(&mut before, *cumulative))
        };
        self.sizes.iter().zip(&self.cumulative).map(part).sum()
    }

    fn draw(&self, at: f64) -> u32 {
        self.cumulative.partition_point(|cumulative| *cumulative < at).min(self.sizes.len() - 1) as u32
    }
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Asked {
    /// In seconds.
    pub(super) at: f64,
    pub(super) object: u32,
    pub(super) client: u64,
    pub(super) gateway: usize,
}

/// A crowd for one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crowd {
    pub(super) object: u32,
    /// From when on, in seconds.
    pub(super) from: f64,
    pub(super) per_second: f64,
}

/// Requests at random moments, without end.
#[derive(Debug)]
pub(super) struct Trace<'c> {
    catalogue: &'c Catalogue,
    random: Xoshiro256PlusPlus,
    per_second: f64,
    gateways: usize,
    crowd: Option<Crowd>,
    now: f64,
}

impl<'c> Trace<'c> {
    pub(super) fn new(
        catalogue: &'c Catalogue,
        per_second: f64,
        gateways: usize,
        crowd: Option<Crowd>,
        seed: u64,
    ) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { catalogue, random, per_second, gateways, crowd, now: 0.0 }
    }
}

impl Iterator for Trace<'_> {
    type Item = Asked;

    fn next(&mut self) -> Option<Asked> {
        let crowd = self.crowd.filter(|crowd| self.now >= crowd.from);
        let crowded = crowd.map_or(0.0, |crowd| crowd.per_second);
        let per_second = self.per_second + crowded;
        self.now += -(1.0 - self.random.random::<f64>()).ln() / per_second;
        let of_crowd = self.random.random::<f64>() * per_second < crowded;
        let object = self.catalogue.draw(self.random.random());
        Some(Asked {
            at: self.now,
            object: crowd.filter(|_| of_crowd).map_or(object, |crowd| crowd.object),
            client: self.random.random(),
            gateway: self.random.random_range(0..self.gateways),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn popularity_follows_zipf_and_a_crowd_comes_when_it_is_told() {
        let catalogue = Catalogue::new(1_000, 1.0, 1);
        let crowd = Crowd { object: 999, from: 50.0, per_second: 100.0 };
        let asked: Vec<_> =
            Trace::new(&catalogue, 100.0, 3, Some(crowd), 1).take_while(|asked| asked.at < 100.0).collect();
        let of = |object: u32, from: f64, to: f64| {
            asked.iter().filter(|asked| asked.object == object && (from..to).contains(&asked.at)).count() as f64
        };
        let popular = of(0, 0.0, 100.0) / of(1, 0.0, 100.0);
        assert!((1.7..2.4).contains(&popular), "the first is asked for twice as often as the second: {popular}");
        assert!(of(999, 0.0, 50.0) < 10.0 && (4_500.0..5_500.0).contains(&of(999, 50.0, 100.0)));
    }
}
