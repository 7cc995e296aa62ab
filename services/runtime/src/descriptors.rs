//! How many files and sockets this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to what the system allows this process to take by itself, and returns it.
///
/// The usual soft limit of 1024 is kept low for programs that use `select`; a server meets it with its thousandth client.
pub fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Refused where something else (seccomp) holds the limit: then it stays.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    limit()
}

/// The limit as it stands.
#[must_use]
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_the_system_allows_is_left() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let less = maximum.map(|maximum| maximum - 1);
        setrlimit(Resource::Nofile, Rlimit { current: less.or(Some(4096)), maximum }).expect("less is always allowed");
        assert_eq!(raise(), maximum.unwrap_or(u64::MAX));
    }
}
