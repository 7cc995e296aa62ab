//! Selection against other policies: one trace for all of them, a thousand nodes, and what each policy made of it.
//!
//! ```text
//! cargo run --release -p ferry-simulation -- selection             # prints the tables
//! cargo run --release -p ferry-simulation -- selection docs        # and writes the plots there
//! ```
//!
//! What is modelled: a node's link is shared evenly by its transfers, none of which is faster than its client (exact processor sharing, [`server`]); a node's cache
//! keeps what was asked for last ([`cache`]), and what it has to fetch first costs the client nothing; nodes report once a second, and gateways know that between half a
//! second and one and a half later. What is not: ends other than the whole object, disks, processors, regions, gateways that differ. Ferry's own part is `ferry_core`'s,
//! as it runs. All is drawn from a seed.

mod cache;
mod experiment;
mod plot;
mod policy;
mod runs;
mod server;
mod tables;
mod trace;

use std::{fs, io, path::Path};

pub use experiment::{Outcome, Setting, Slow, run};
pub use policy::Policy;

use self::runs::Runs;

/// Plays all, prints the tables, and writes the plots into a folder, if one is given.
#[allow(clippy::print_stdout, reason = "a command whose product is what it prints")]
pub fn command(folder: Option<&Path>) -> io::Result<()> {
    let runs = Runs::play(&tables::wanted());
    tables::print_seeds(&runs);
    tables::print_others(&runs);
    let plots = [
        ("policies", tables::policies(&runs)),
        ("slow-node", tables::slow_node(&runs)),
        ("crowd", tables::crowd(&runs)),
        ("idle", tables::idle(&runs)),
    ];
    for (name, drawing) in plots
        .iter()
        .filter_map(|(name, drawing)| folder.map(|folder| (folder.join(format!("selection-{name}.svg")), drawing)))
    {
        fs::write(&name, drawing)?;
        println!("drawn: {}", name.display());
    }
    Ok(())
}
