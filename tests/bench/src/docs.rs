//! What of a run goes into the docs: the table between two marks of a page that is otherwise written by hand, and the plots.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

/// What stands between these lines is the bench's.
const BEGIN: &str = "<!-- measured: written by tests/bench/run --docs -->\n";
const END: &str = "<!-- /measured -->\n";

/// Puts the table into the page.
pub(crate) fn put_table(page: &Path, table: &str) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let text =
        replaced(&text, &format!("{}\n\n{table}", surroundings()?)).context("the page has no place for a table")?;
    fs::write(page, text).with_context(|| page.display().to_string())
}

fn replaced(page: &str, middle: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{middle}\n{END}{after}"))
}

/// What the figures depend on besides the servers.
fn surroundings() -> Result<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let control = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?;
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let nginx = Command::new("nginx").arg("-v").output().context("asking nginx for its version")?;
    let nginx = String::from_utf8_lossy(&nginx.stderr).trim().replace("nginx version: ", "");
    let model = model.map_or("unknown", |(_, model)| model);
    let (kernel, control) = (kernel.trim(), control.trim());
    Ok(format!("{cores} cores ({model}), Linux {kernel}, TCP congestion control {control}, {nginx}."))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replaced};

    #[test]
    fn what_is_written_by_hand_stays() {
        let page = format!("# Title\n{BEGIN}old\n{END}the end\n");
        let new = replaced(&page, "new").expect("the page has both marks");
        assert_eq!(new, format!("# Title\n{BEGIN}\nnew\n{END}the end\n"));
        assert_eq!(replaced(&new, "new").as_ref(), Some(&new));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
