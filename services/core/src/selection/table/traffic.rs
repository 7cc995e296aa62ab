//! What the nodes say that they carry, together and by region: kept up word by word, in whole numbers, so that no rounding is left behind.

use super::Candidate;

/// A node with fewer transfers says nothing about what a transfer gets.
pub(in crate::selection) const TELLING_TRANSFERS: u32 = 8;
/// Fewer nodes that tell are no company to be compared with.
const COMPANY: i64 = 4;
/// Steps of the logarithm of a rate.
const STEP: f64 = 1e-6;

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// How many nodes tell what a transfer gets there, and the sum of its logarithm.
    telling: i64,
    log_rate: i64,
}

/// The sums.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    nodes: i64,
    capacity: i128,
    bytes_per_second: i128,
    elsewhere: Sum,
    regions: Vec<Sum>,
}

impl Traffic {
    pub(super) fn of<'c>(candidates: impl Iterator<Item = &'c Candidate>) -> Self {
        let mut traffic = Self::default();
        candidates.for_each(|candidate| traffic.count(candidate, 1));
        traffic
    }

    pub(super) fn enter(&mut self, candidate: &Candidate) {
        self.count(candidate, 1);
    }

    pub(super) fn leave(&mut self, candidate: &Candidate) {
        self.count(candidate, -1);
    }

    fn count(&mut self, candidate: &Candidate, sign: i64) {
        // Nobody sends anything to the others, and what they said last may be days old.
        if !candidate.state.selectable() {
            return;
        }
        self.nodes += sign;
        self.capacity += i128::from(sign) * candidate.capacity() as i128;
        self.bytes_per_second += i128::from(sign) * i128::from(candidate.reported.bytes_per_second);
        if let Some(rate) = candidate.rate() {
            let sum = self.sum(candidate.region);
            sum.telling += sign;
            sum.log_rate += sign * (rate.ln() / STEP) as i64;
        }
    }

    fn sum(&mut self, region: Option<u32>) -> &mut Sum {
        match region.map(|region| region as usize) {
            None => &mut self.elsewhere,
            Some(region) => {
                if self.regions.len() <= region {
                    self.regions.resize(region + 1, Sum::default());
                }
                &mut self.regions[region]
            }
        }
    }

    /// Bytes per second of all nodes.
    pub(super) fn bytes_per_second(&self) -> f64 {
        self.bytes_per_second as f64
    }

    /// Bytes per second that all nodes can send.
    pub(super) fn capacity(&self) -> f64 {
        self.capacity as f64
    }

    /// Bytes per second that a node can send, on average.
    pub(super) fn typical_capacity(&self) -> f64 {
        self.capacity as f64 / self.nodes.max(1) as f64
    }

    /// Bytes per second that a transfer gets at the region's nodes: their geometric mean, so that a few fast clients do not make all others look
    /// slow. `None` if too few tell.
    pub(super) fn typical_rate(&self, region: Option<u32>) -> Option<f64> {
        let sum = match region {
            None => &self.elsewhere,
            Some(region) => self.regions.get(region as usize)?,
        };
        (sum.telling >= COMPANY).then(|| (sum.log_rate as f64 * STEP / sum.telling as f64).exp())
    }
}
