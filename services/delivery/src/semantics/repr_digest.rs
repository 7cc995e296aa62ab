//! `Repr-Digest` (RFC 9530 section 3): what all bytes of a representation hash to, whichever of them an answer has.

use http::{HeaderName, HeaderValue};
use sfv::{DictSerializer, KeyRef};

/// The field.
pub(crate) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Its value for bytes of which SHA-256 is known. Where they have a content coding, they are to be hashed as they are: coded.
pub(crate) fn of_sha256(digest: &[u8; 32]) -> HeaderValue {
    let mut dictionary = DictSerializer::new();
    dictionary.bare_item(KeyRef::constant("sha-256"), digest.as_slice());
    let value = dictionary.finish().and_then(|value| HeaderValue::try_from(value).ok());
    value.expect("Base64 in a dictionary is plain ASCII")
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
}
