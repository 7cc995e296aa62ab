//! What 304 and HEAD change about a stored response: RFC 9111 sections 3.2, 4.3.4 and 4.3.5.

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{
    Got, Times,
    control::{Control, Scope},
    policy::Policy,
    storable::WhyNot,
    stored::{self, Stored},
};

/// What tells of the bytes that are stored, and so is as true as before whatever a response without bytes says: section 3.2 for the first
/// four, and digests for the same reason. A validator that differs is no update but another version.
const OF_THE_BYTES: [&str; 8] = [
    "content-length",
    "content-encoding",
    "content-range",
    "etag",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
];

/// What came of a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshened {
    /// What is stored is current, and says what the origin says now.
    Current,
    /// It is current, so this request may be answered from it; but the origin does not want it kept any longer.
    LastUse(WhyNot),
    /// The 304 speaks of something else. Nothing was changed, and nothing but a request without conditions tells what is current.
    Mismatch,
}

/// Takes over what a 304 to the conditions of `stored` says.
#[must_use]
pub fn freshen(stored: &mut Stored, got: Got<'_>, times: Times, policy: &Policy) -> Freshened {
    if got.status != StatusCode::NOT_MODIFIED || !speaks_of(stored, got.headers) {
        return Freshened::Mismatch;
    }
    update(stored, got.headers, times, policy);
    match forbidden(got.headers, policy) {
        Some(why) => Freshened::LastUse(why),
        None => Freshened::Current,
    }
}

/// What came of a HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadSays {
    /// What is stored is current, and was brought up to date.
    Current,
    /// What is stored is not what GET would bring now: it was marked, and will be validated before it is used.
    Changed,
    /// Nothing about what is stored.
    Nothing,
}

/// Takes over what the response to a HEAD says of the response to the same GET.
#[must_use]
pub fn learn_from_head(stored: &mut Stored, got: Got<'_>, times: Times, policy: &Policy) -> HeadSays {
    if got.status != StatusCode::OK || stored.status() != StatusCode::OK {
        return HeadSays::Nothing;
    }
    // Where neither has a validator, a head of the same length may be another version's.
    let has_none =
        |headers: &HeaderMap| !headers.contains_key(header::ETAG) && !headers.contains_key(header::LAST_MODIFIED);
    let length_of = |headers: &HeaderMap| stored::only(headers, &header::CONTENT_LENGTH).cloned();
    let other_length = length_of(got.headers).zip(length_of(stored.headers())).is_some_and(|(now, then)| now != then);
    let other_coding =
        !got.headers.get_all(header::CONTENT_ENCODING).iter().eq(stored.headers().get_all(header::CONTENT_ENCODING));
    if other_length || other_coding || !speaks_of(stored, got.headers) || forbidden(got.headers, policy).is_some() {
        stored.spoil();
        return HeadSays::Changed;
    }
    if has_none(got.headers) && has_none(stored.headers()) {
        return HeadSays::Nothing;
    }
    update(stored, got.headers, times, policy);
    HeadSays::Current
}

/// Whether a head is about the version that is stored. An entity tag decides alone; a head with no validator is taken to speak of the
/// one whose validators it was asked about; one that varies by other fields than before would need another key.
fn speaks_of(stored: &Stored, headers: &HeaderMap) -> bool {
    let same_version = match (stored::etag(headers), stored::etag(stored.headers())) {
        (Some(new), Some(old)) => new.tag().matches_weakly(old.tag()),
        (Some(_), None) => false,
        (None, Some(_)) => !headers.contains_key(header::ETAG),
        (None, None) => {
            let modified = headers.get(header::LAST_MODIFIED);
            modified.is_none() || modified == stored.headers().get(header::LAST_MODIFIED)
        }
    };
    same_version && (!headers.contains_key(header::VARY) || stored.vary().names_the_same(headers))
}

/// Replaces each stored field that the new head has, by all its lines.
fn update(stored: &mut Stored, headers: &HeaderMap, times: Times, policy: &Policy) {
    let mut fields = stored.headers().clone();
    // The new exchange has an age and a date of its own, or none.
    fields.remove(header::AGE);
    fields.remove(header::DATE);
    let news = stored::kept(headers, policy);
    let news = news.keys().filter(|name| !OF_THE_BYTES.contains(&name.as_str())).map(|name| (name, news.get_all(name)));
    for (name, values) in news {
        fields.remove(name);
        for value in values {
            fields.append(HeaderName::clone(name), value.clone());
        }
    }
    // What a new `no-cache` or `private` names is not kept, also where it is stored already.
    let (control, _) = Control::of(&fields, policy);
    control.excepted().for_each(|name| drop(fields.remove(name)));
    stored.renew(fields, times, policy);
}

/// Whether a head forbids what its like allowed before.
fn forbidden(headers: &HeaderMap, policy: &Policy) -> Option<WhyNot> {
    let (control, _) = Control::of(headers, policy);
    if control.no_store && !control.must_understand {
        return Some(WhyNot::NoStore);
    }
    (control.private == Scope::All).then_some(WhyNot::Private)
}

#[cfg(test)]
mod tests;
