//! `Repr-Digest` (RFC 9530 section 3): what all bytes of a representation hash to, whichever of them an answer has.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, DictSerializer, Dictionary, Item, KeyRef, ListEntry, Parser};

/// The field.
pub const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Its value for bytes of which SHA-256 is known. Where they have a content coding, they are to be hashed as they are: coded.
pub(crate) fn of_sha256(digest: &[u8; 32]) -> HeaderValue {
    let mut dictionary = DictSerializer::new();
    dictionary.bare_item(KeyRef::constant("sha-256"), digest.as_slice());
    let value = dictionary.finish().and_then(|value| HeaderValue::try_from(value).ok());
    value.expect("Base64 in a dictionary is plain ASCII")
}

/// The SHA-256 that a message announces of the whole representation; `None` where there is none, or none that can be read.
#[must_use]
pub fn sha256(headers: &HeaderMap) -> Option<[u8; 32]> {
    let lines: Vec<_> = headers.get_all(REPR_DIGEST).iter().map(HeaderValue::as_bytes).collect();
    let dictionary = Parser::new(&lines.join(&b", "[..])).parse::<Dictionary>().ok()?;
    match dictionary.get("sha-256")? {
        ListEntry::Item(Item { bare_item: BareItem::ByteSequence(digest), .. }) => digest.as_slice().try_into().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, digest};

    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard_s_example() {
        // RFC 9530 appendix B.1.
        let content = digest(&SHA256, b"{\"hello\": \"world\"}\n");
        let bytes = content.as_ref().try_into().expect("32 bytes");
        assert_eq!(of_sha256(bytes), "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    }

    #[test]
    fn what_is_written_is_read_and_what_is_no_sha_256_is_not() {
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a field value");
            sha256(&HeaderMap::from_iter([(REPR_DIGEST, value)]))
        };
        let digest = [7; 32];
        let written = of_sha256(&digest);
        let written = written.to_str().expect("plain");
        assert_eq!(read(written), Some(digest));
        assert_eq!(read(&format!("sha-512=:AA==:, {written};q=1")), Some(digest));
        for text in ["", "sha-512=:AA==:", "sha-256=:AA==:", "sha-256=1", "sha-256=\"x\"", "sha-256=(1 2)", "::"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
