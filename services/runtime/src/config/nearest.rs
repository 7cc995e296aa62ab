//! Did you mean …?

/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion would puzzle more than help; clap uses the same bound for flags.
const ALIKE: f64 = 0.7;

/// The candidate most like `name`, if any is like it.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name() {
        let names = ["listen", "admin-listen", "region"];
        assert_eq!(nearest("lisen", names), Some("listen"));
        assert_eq!(nearest("admin_listen", names), Some("admin-listen"));
        assert_eq!(nearest("qqq", names), None);
    }
}
