//! Node tokens as bytes: sealed into one opaque query parameter, opened again, or refused.
//!
//! `base64url(version ‖ kid ‖ fields ‖ HMAC-SHA256("v1\nnode\n" ‖ version ‖ kid ‖ fields))`. Every version keeps the version
//! byte, the kid after it and the MAC at the end; so a MAC is judged before anything that it covers is believed, the version
//! too. Numbers are big-endian. A text is its length in two bytes, then UTF-8 without control characters; an absent
//! text is length 0, and a present one counts one more than it has.

use base64::{Engine as _, encoded_len, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;

use super::node::{Endpoint, NodeGrant, Reach, RedirectId, Terms};
use crate::{
    object::{ObjectKey, ObjectPath, has_control},
    ring::{Key, KeyRing},
    target::{default_target, is_default_target},
    time::UnixMillis,
    trace::TraceContext,
};

/// Characters of the longest token: it has to fit into a request line beside its path, where 8 KiB are common.
pub const LONGEST_TOKEN: usize = 4096;

const LABEL: &[u8] = b"v1\nnode\n";
const VERSION: u8 = 1;
const MAC_LENGTH: usize = 32;
const LONGEST_BODY: usize = LONGEST_TOKEN / 4 * 3 - MAC_LENGTH;

const GUARDED: u8 = 1;
const TRACED: u8 = 2;
const SAMPLED: u8 = 4;
/// The origin target is the one that the key itself gives: not worth sending twice.
const DEFAULT_TARGET: u8 = 8;
const SECURE: u8 = 1;

/// Why a grant does not fit into a token. The gateway then serves the request itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// The texts together are too long.
    #[error("the grant is longer than a token of {LONGEST_TOKEN} characters holds")]
    TooLong,
    /// More candidates or tried nodes than a token holds.
    #[error("the grant names too many nodes")]
    TooMany,
    /// A control character where none belongs.
    #[error("a text of the grant holds a control character")]
    Control,
}

/// Why a node token opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeTokenError {
    /// Not of a token's form, or longer than any.
    #[error("the node token is malformed")]
    Malformed,
    /// No key of the ring made this MAC.
    #[error("the node token is not signed by a known key")]
    Forged,
    /// Well signed, but its time is over. What it said is inside, for the way back to a gateway.
    #[error("the node token has expired")]
    Expired(Box<NodeGrant>),
    /// Well signed, in a version that this build does not know.
    #[error("the node token is of a newer version")]
    TooNew,
}

/// Seals a grant with a key of the node ring.
pub fn seal(key: &Key, grant: &NodeGrant) -> Result<String, Unsealable> {
    let mut token = Vec::new();
    seal_onto(&mut token, key, &grant.terms(), grant.candidates.iter().map(Endpoint::reach))?;
    Ok(String::from_utf8(token).expect("base64 is ASCII"))
}

/// The same behind other octets, which stay as they are where there is no token.
pub fn seal_onto<'a>(
    octets: &mut Vec<u8>,
    key: &Key,
    terms: &Terms<'_>,
    candidates: impl Iterator<Item = Reach<'a>> + Clone,
) -> Result<(), Unsealable> {
    if candidates.clone().count() > NodeGrant::MOST_CANDIDATES || terms.tried.len() > NodeGrant::MOST_TRIED {
        return Err(Unsealable::TooMany);
    }
    let mut writer = Writer { bytes: Vec::with_capacity(512), fault: None };
    writer.bytes.extend_from_slice(LABEL);
    writer.bytes.push(VERSION);
    writer.name(key.kid().as_str());
    writer.grant(terms, candidates);
    let Writer { mut bytes, fault } = writer;
    if let Some(fault) = fault {
        return Err(fault);
    }
    if bytes.len() - LABEL.len() > LONGEST_BODY {
        return Err(Unsealable::TooLong);
    }
    let mac = hmac::sign(key.hmac(), &bytes);
    bytes.extend_from_slice(mac.as_ref());
    let (sealed, begin) = (&bytes[LABEL.len()..], octets.len());
    let length = encoded_len(sealed.len(), false).expect("a token is no gigabyte");
    octets.resize(begin + length, 0);
    let encoded = BASE64_URL_SAFE_NO_PAD.encode_slice(sealed, &mut octets[begin..]);
    debug_assert_eq!(encoded, Ok(length), "there is as much room as it takes");
    Ok(())
}

/// Opens a token at `now`: the grant, if some key of the ring sealed it and its time is not over.
pub fn open(ring: &KeyRing, now: UnixMillis, token: &str) -> Result<NodeGrant, NodeTokenError> {
    use NodeTokenError::{Expired, Forged, Malformed, TooNew};
    if token.len() > LONGEST_TOKEN {
        return Err(Malformed);
    }
    let mut bytes = Vec::with_capacity(LABEL.len() + token.len() / 4 * 3 + 3);
    bytes.extend_from_slice(LABEL);
    BASE64_URL_SAFE_NO_PAD.decode_vec(token, &mut bytes).map_err(|_| Malformed)?;
    let body_length = bytes.len().checked_sub(MAC_LENGTH).filter(|&at| at >= LABEL.len()).ok_or(Malformed)?;
    let (signed, mac) = bytes.split_at(body_length);

    let mut reader = Reader { rest: &signed[LABEL.len()..] };
    let version = reader.byte().ok_or(Malformed)?;
    let kid = reader.text().ok_or(Malformed)?;
    let key = ring.find(kid).ok_or(Forged)?;
    hmac::verify(key.hmac(), signed, mac).map_err(|_| Forged)?;
    if version != VERSION {
        return Err(TooNew);
    }
    let grant = reader.grant().filter(|_| reader.rest.is_empty()).ok_or(Malformed)?;
    if now.seconds() >= grant.expires { Err(Expired(Box::new(grant))) } else { Ok(grant) }
}

/// Remembers its first fault instead of returning one at every line.
struct Writer {
    bytes: Vec<u8>,
    fault: Option<Unsealable>,
}

impl Writer {
    fn grant<'a>(&mut self, grant: &Terms<'_>, candidates: impl Iterator<Item = Reach<'a>> + Clone) {
        let default_target = grant.origin_target.is_some_and(|target| is_default_target(target, grant.key));
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        self.bytes.push(
            flag(grant.guarded, GUARDED)
                | flag(grant.trace.is_some(), TRACED)
                | flag(grant.trace.is_some_and(|trace| trace.sampled), SAMPLED)
                | flag(default_target, DEFAULT_TARGET),
        );
        self.bytes.extend_from_slice(&grant.expires.to_be_bytes());
        self.bytes.extend_from_slice(&grant.renewable_until.to_be_bytes());
        self.bytes.extend_from_slice(&grant.redirect.0.to_be_bytes());
        self.bytes.push(grant.hops);
        if let Some(trace) = &grant.trace {
            self.bytes.extend_from_slice(&trace.trace_id);
            self.bytes.extend_from_slice(&trace.span_id);
        }
        self.name(grant.key.path.as_str());
        self.maybe(grant.key.query.as_deref());
        self.maybe(grant.path.map(ObjectPath::as_str));
        if !default_target {
            self.maybe(grant.origin_target);
        }
        for text in
            [grant.filename, grant.content_type, grant.cache_control, grant.validator, grant.client_network, grant.home]
        {
            self.maybe(text);
        }
        // Both counts were checked against their bounds, which a byte holds.
        self.bytes.push(grant.tried.len() as u8);
        for node in grant.tried {
            self.name(node.as_str());
        }
        self.bytes.push(candidates.clone().count() as u8);
        for candidate in candidates {
            self.name(candidate.node.as_str());
            self.name(candidate.authority.as_str());
            self.bytes.push(flag(candidate.secure, SECURE));
        }
    }

    /// A text whose type has no control characters.
    fn name(&mut self, text: &str) {
        if text.len() > LONGEST_BODY {
            self.fault.get_or_insert(Unsealable::TooLong);
        } else {
            let length = text.len() as u16 + 1;
            self.bytes.extend_from_slice(&length.to_be_bytes());
            self.bytes.extend_from_slice(text.as_bytes());
        }
    }

    fn maybe(&mut self, text: Option<&str>) {
        match text {
            None => self.bytes.extend_from_slice(&[0, 0]),
            // Before it is looked at: that would take as long as it is.
            Some(text) if text.len() <= LONGEST_BODY && has_control(text) => {
                self.fault.get_or_insert(Unsealable::Control);
            }
            Some(text) => self.name(text),
        }
    }
}

/// Yields `None` at the first byte that is not as it should be.
struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'b str> {
        self.maybe()?
    }

    /// The outer `None` is a fault, the inner one an absent text.
    fn maybe(&mut self) -> Option<Option<&'b str>> {
        let length = u16::from_be_bytes(self.array()?);
        let Some(length) = length.checked_sub(1) else { return Some(None) };
        let text = str::from_utf8(self.take(length.into())?).ok()?;
        (!has_control(text)).then_some(Some(text))
    }

    fn maybe_owned(&mut self) -> Option<Option<String>> {
        Some(self.maybe()?.map(str::to_owned))
    }

    fn list<T>(&mut self, most: usize, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::from(self.byte()?);
        if count > most {
            return None;
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn path(text: &str) -> Option<ObjectPath> {
        ObjectPath::from_decoded(text).ok()
    }

    fn grant(&mut self) -> Option<NodeGrant> {
        let flags = self.byte().filter(|flags| flags & !(GUARDED | TRACED | SAMPLED | DEFAULT_TARGET) == 0)?;
        let (expires, renewable_until, redirect) = (self.number()?, self.number()?, self.number()?);
        let hops = self.byte()?;
        let trace = if flags & TRACED == 0 {
            None
        } else {
            Some(TraceContext::new(self.array()?, self.array()?, flags & SAMPLED != 0)?)
        };
        let key = ObjectKey { path: Self::path(self.text()?)?, query: self.maybe()?.map(Into::into) };
        let path = match self.maybe()? {
            None => None,
            Some(text) => Some(Self::path(text)?),
        };
        let origin_target = if flags & DEFAULT_TARGET == 0 { self.maybe_owned()? } else { Some(default_target(&key)) };
        Some(NodeGrant {
            key,
            path,
            origin_target,
            filename: self.maybe_owned()?,
            content_type: self.maybe_owned()?,
            cache_control: self.maybe_owned()?,
            expires,
            renewable_until,
            redirect: RedirectId(redirect),
            hops,
            trace,
            validator: self.maybe_owned()?,
            client_network: self.maybe_owned()?,
            home: self.maybe_owned()?,
            guarded: flags & GUARDED != 0,
            tried: self.list(NodeGrant::MOST_TRIED, |reader| reader.text()?.parse().ok())?,
            candidates: self.list(NodeGrant::MOST_CANDIDATES, |reader| {
                Some(Endpoint {
                    node: reader.text()?.parse().ok()?,
                    authority: reader.text()?.parse().ok()?,
                    secure: reader.byte().filter(|flags| flags & !SECURE == 0)? == SECURE,
                })
            })?,
        })
    }
}

#[cfg(test)]
mod tests;
