use proptest::prelude::*;

use super::*;

/// What becomes of octets that come in pieces of this size.
fn passed(octets: &[u8], piece: usize) -> Vec<u8> {
    let mut heads = Heads::new();
    let mut all = Vec::new();
    for piece in octets.chunks(piece) {
        let mut piece = piece.to_vec();
        let kept = heads.pass(&mut piece);
        all.extend_from_slice(&piece[..kept]);
    }
    all
}

fn becomes(octets: &str, expected: &str) {
    for piece in [1, 2, 3, 7, 1 << 20] {
        let passed = passed(octets.as_bytes(), piece);
        assert_eq!(String::from_utf8_lossy(&passed), expected, "in pieces of {piece}");
    }
}

const SOUND: &str = "GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: b#c 123456789012345678901234567890\r\n\r\n";

#[test]
fn sound_heads_pass_as_they_came() {
    for octets in [SOUND, "\r\nHEAD / HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\nContent-Length: 1844674407370955161\n\nx"] {
        becomes(octets, octets);
    }
    becomes(&SOUND.repeat(3), &SOUND.repeat(3));
}

#[test]
fn a_fragment_becomes_what_hyper_refuses_also_in_a_pipelined_head() {
    becomes(&format!("{SOUND}GET /a#b HTTP/1.1\r\n\r\n"), &format!("{SOUND}GET /a\0b HTTP/1.1\r\n\r\n"));
}

#[test]
fn a_target_is_cut_behind_the_length_that_is_refused() {
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n{SOUND}", "x".repeat(length - 1));
    becomes(&target(LONGEST_TARGET), &target(LONGEST_TARGET));
    becomes(&target(LONGEST_TARGET + 1), &target(LONGEST_TARGET + 1));
    becomes(&target(100_000), &target(LONGEST_TARGET + 1));
}

#[test]
fn a_higher_minor_version_becomes_the_highest_that_is_known() {
    for (version, expected) in [
        ("HTTP/1.2", "HTTP/1.1"),
        ("HTTP/1.9", "HTTP/1.1"),
        ("HTTP/1.0", "HTTP/1.0"),
        ("HTTP/2.2", "HTTP/2.2"),
        ("HTTP/1.x2", "HTTP/1.x2"),
        ("xHTTP/1.2", "xHTTP/1.2"),
        // Two digits are no version; they stay two.
        ("HTTP/1.22", "HTTP/1.12"),
    ] {
        becomes(&format!("GET / {version}\r\n\r\n"), &format!("GET / {expected}\r\n\r\n"));
    }
}

#[test]
fn a_length_beyond_all_numbers_becomes_none() {
    let request = |length: &str| format!("POST / HTTP/1.1\r\nCONTENT-length: {length}\r\n\r\n");
    becomes(&request("9999999999999999999"), &request("9999999999999999999"));
    becomes(&request("18446744073709551615"), &request("1844674407370955161x"));
}

#[test]
fn what_follows_a_head_with_content_is_left_alone() {
    for field in ["Content-Length: 3", "tRANSFER-eNCODING: chunked"] {
        let octets = format!("POST / HTTP/1.2\r\n{field}\r\n\r\nGET /a#b HTTP/1.2\r\n\r\n");
        becomes(&octets, &octets.replacen("1.2", "1.1", 1));
    }
    // Names that only begin like these announce nothing.
    let octets = "GET / HTTP/1.1\r\nContent-Lengthy: 3\r\nTransfer-Encoding-X: a\r\n\r\n";
    becomes(&format!("{octets}GET /#"), &format!("{octets}GET /\0"));
}

#[test]
fn http_2_is_left_alone() {
    let octets = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0GET /# HTTP/1.2\r\n";
    becomes(octets, octets);
    becomes("PRIX /# HTTP/1.1\r\n", "PRIX /\0 HTTP/1.1\r\n");
    becomes("XPRI /# HTTP/1.1\r\n", "XPRI /\0 HTTP/1.1\r\n");
}

proptest! {
    #[test]
    fn how_packets_cut_the_octets_makes_no_difference(
        octets in "(GET|PRI|P) /[a#]{0,3} HTTP/1.[0-9]\r\n(Content-Length|A): [0-9]{0,22}\r?\n\r\n[ -~\r\n]{0,60}",
        piece in 1_usize..20,
    ) {
        let whole = passed(octets.as_bytes(), usize::MAX);
        prop_assert!(whole.len() == octets.len(), "nothing here is long enough to be cut");
        prop_assert_eq!(passed(octets.as_bytes(), piece), whole);
    }
}
