//! Where a client is, and how far that is from everywhere else.
//!
//! Pure: lists of networks ([`Networks`]) and costs between regions ([`Costs`]) as they are configured. Which header is believed, and what a
//! database file says, is the gateway's to find out.

mod costs;
mod networks;

pub use costs::{Costs, Fault as CostFault};
pub use networks::{Fault as NetworkFault, Network, Networks};
