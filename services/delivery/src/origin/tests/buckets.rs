//! S3 buckets.

use super::*;
use crate::origin::faulty::{Fault, Faulty, Transport};

#[tokio::test]
async fn a_bucket_s_objects_are_read_with_signed_requests_and_nothing_else_is() {
    let faulty = Faulty::start(Transport::Plain, 1000).await;
    let mut origin = OriginSettings::new(format!("{}/bucket", faulty.url()).parse().expect("a base"));
    let (region, key_id) = ("us-east-1".to_owned(), "KEY".to_owned());
    origin.s3 = Some(Credentials { region, key_id, secret: "SECRET".to_owned(), token: None });
    let origins = Origins::new(&Settings::new(vec![origin], "node-1")).expect("good settings");
    faulty.next([Fault::Close(500)]);
    let client = headers(&[("authorization", "Bearer theirs")]);
    let answer = fetch(&origins, Method::GET, "/a+b?list-type=2", &client).await.expect("an answer");
    assert_eq!(read(answer).await.0.len(), 1000, "the rest is signed too");
    for seen in faulty.seen() {
        assert_eq!(seen.target, "/bucket/a%2Bb");
        let signed = seen.headers["authorization"].to_str().expect("text");
        assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=KEY/") && seen.headers.contains_key("x-amz-date"));
    }
    assert!(get(&origins, "/").await.is_err(), "that would list the bucket");
    let headers = HeaderMap::new();
    let overwritten = origins.ask(Ask { method: Method::PUT, ..Ask::get("/a", &headers) }).await;
    assert!(overwritten.is_err());
    assert_eq!(faulty.seen().len(), 2);
}
