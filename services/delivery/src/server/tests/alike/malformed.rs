//! Heads that were damaged somewhere: what one engine refuses, no other serves.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// What the damage is done to.
const SOUND: &[&str] = &[
    "GET /small.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nAccept: */*\r\n\r\n",
    "GET http://x/small.txt?a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    "GET /small.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nIf-None-Match: \"a\"\r\n\r\n",
    "POST /small.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "POST /small.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
];

/// What is told apart from other octets by somebody who reads heads.
const OCTETS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"\xff",
    b":",
    b",",
    b";",
    b"#",
    b"?",
    b"%",
    b"/",
    b"*",
    b"\"",
    b"\\",
    b"0",
    b"9",
    b"A",
    b"(",
    b"[",
    b"\r\n ",
    b"\n\n",
    b"\r\r\n",
    b" HTTP/1.1",
    b"Host: y\r\n",
    b"\r\nHost: x",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// Asks for an end, so that every exchange has one.
const LAST: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[derive(Debug, Clone)]
enum Damage {
    Inserted(&'static [u8]),
    Replaced(&'static [u8]),
    Removed(usize),
    /// The octets that follow come twice.
    Doubled(usize),
    Cased,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => select(OCTETS).prop_map(Damage::Inserted),
        3 => select(OCTETS).prop_map(Damage::Replaced),
        1 => (1_usize..5).prop_map(Damage::Removed),
        1 => (1_usize..20).prop_map(Damage::Doubled),
        1 => Just(Damage::Cased),
    ]
}

impl Damage {
    fn done_to(&self, octets: &mut Vec<u8>, at: usize) {
        let rest = octets.split_off(at % octets.len());
        let skip = match self {
            Self::Inserted(new) => {
                octets.extend_from_slice(new);
                0
            }
            Self::Replaced(new) => {
                octets.extend_from_slice(new);
                1
            }
            Self::Removed(count) => *count,
            Self::Doubled(count) => {
                octets.extend(rest.iter().take(*count));
                0
            }
            Self::Cased => {
                octets.extend(rest.first().map(|octet| octet ^ 0x20));
                1
            }
        };
        octets.extend(rest.iter().skip(skip));
    }
}

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (select(SOUND), vec((damage(), any::<usize>()), 1..3)).prop_map(|(sound, damages)| {
        let mut octets = sound.as_bytes().to_vec();
        for (damage, at) in damages {
            damage.done_to(&mut octets, at);
        }
        octets
    })
}

impl Way {
    /// The statuses of all that was answered, up to the end of the connection.
    async fn statuses(&self, octets: &[u8]) -> Vec<u16> {
        let mut wire = self.connect().await;
        let _ = wire.try_send([octets, LAST].concat()).await;
        let mut statuses = Vec::new();
        while let Some(head) = wire.head_or_end().await {
            wire.body(&Method::GET, &head).await;
            statuses.push(head.status);
        }
        assert_eq!(wire.rest().await, b"", "{} says more than it should", self.name);
        statuses
    }
}

/// The statuses but for the last one, if that is a refusal of what cannot be read. hyper sometimes refuses without a word.
fn served(statuses: &[u16]) -> &[u16] {
    match statuses {
        [served @ .., 400 | 413 | 414 | 431 | 501 | 505] => served,
        all => all,
    }
}

#[test]
fn what_one_engine_refuses_no_other_serves() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = folder();
    let (own, hyper) = runtime.block_on(async {
        (
            Way::open("the own engine", folder.path(), Setup::default()),
            Way::open("hyper", folder.path(), Setup::hyper()),
        )
    });
    each(1500, &damaged(), |octets| {
        // That is the sound beginning of HTTP/2.
        prop_assume!(!octets.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        runtime.block_on(async {
            let (own, hyper) = (own.statuses(&octets).await, hyper.statuses(&octets).await);
            let told = octets.escape_ascii();
            prop_assert!(served(&own) == served(&hyper), "{own:?} beside hyper's {hyper:?} for {told}");
            // Whoever still listens is told why.
            prop_assert!(own.len() >= hyper.len(), "{own:?} beside hyper's {hyper:?} for {told}");
            Ok(())
        })
    });
}
