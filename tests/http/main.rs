//! What a node answers over HTTP/1.1, rule by rule, from the text of RFC 9110 and RFC 9112.
//!
//! Each file is a theme: a table of cases, and one test that runs it against a real `ferry node` and names every case that
//! fails. A case has the octets of a request and the answers that the RFCs allow; where they leave a choice, all choices are
//! listed, with ferry's first. What holds for every answer whatever the request is in `laws`.
//!
//! Where ferry does not do what a RFC asks for, `deviations` says so, and notices when it does.
//!
//! To check the cases themselves, point them at another server. Nobody knows its folder, so that is told too; the samples
//! are written there:
//!
//! ```text
//! FERRY_HTTP_PEER=127.0.0.1:8080 FERRY_HTTP_PEER_ROOT=/srv/samples cargo nextest run --test http
//! ```
//!
//! nginx 1.22 with nothing but a root goes a legal way in four cases of five. Most of the others are its 405 without `Allow`,
//! its liking for any `Host` and any octet in a field's name, and ferry's own choices (dotfiles, media types).

mod answer;
mod case;
mod conditions;
mod deviations;
mod framing;
mod heads;
mod hosts;
mod laws;
mod methods;
mod paths;
#[path = "../cluster/harness/ports.rs"]
mod ports;
mod ranges;
mod representation;
mod samples;
mod server;
mod targets;
mod wire;
