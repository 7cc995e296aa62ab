//! Files over HTTP/2 and TLS 1.3, by h2load.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, files::compare};
use crate::{
    load::{Tally, h2load},
    measure::Cost,
    server::{Layout, Server},
    site::{MIB, size_name, target},
};

/// Size, and requests for about half a second of work. The four handshakes are some thousandths of that.
const SIZES: [(u64, u64); 2] = [(MIB, 600), (10 * MIB, 60)];

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let (nginx, ferry) = (bench.ground.nginx(Layout::USUAL)?, bench.ground.ferry(Layout::USUAL)?);
    for (size, requests) in SIZES {
        let micros = |server: &Server| {
            let cost = Cost::around(&server.family, || {
                h2load(server.doors.h2, &target(size), size, requests)?;
                Ok(Tally { requests, bytes: requests * size, elapsed: Duration::ZERO })
            })?;
            Ok(cost.micros_per_request())
        };
        compare(bench, [&nginx, &ferry], &format!("HTTP/2 over TLS, {}", size_name(size)), (0.85, ""), micros)?;
    }
    Ok(())
}
