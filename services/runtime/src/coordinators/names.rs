//! The addresses behind a coordinator's name: in another order at each dial.
//!
//! The connector tries one after the other until one takes the connection. A machine that hangs takes it too, and then says nothing: were it always
//! the first, whoever knows nothing but the name would never get past it.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use rand::seq::SliceRandom as _;
use tower::Service;

/// A name service whose answers are shuffled.
#[derive(Debug, Clone)]
pub(super) struct Shuffled<R = GaiResolver>(R);

impl Shuffled {
    /// The system's name service.
    pub(super) fn system() -> Self {
        Self(GaiResolver::new())
    }
}

impl<R> Service<Name> for Shuffled<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Future: Send + 'static>,
{
    type Response = vec::IntoIter<SocketAddr>;
    type Error = R::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, R::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.call(name);
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> = found.await?.collect();
            addresses.shuffle(&mut rand::rng());
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, convert::Infallible};

    use super::*;

    #[tokio::test]
    async fn every_address_of_a_name_comes_first_now_and_then_and_none_is_left_out() {
        let all: Vec<SocketAddr> = (1..=3).map(|host| SocketAddr::from(([192, 0, 2, host], 7000))).collect();
        let told = all.clone();
        let fixed = tower::service_fn(move |_: Name| std::future::ready(Ok::<_, Infallible>(told.clone().into_iter())));
        let (mut names, mut first) = (Shuffled(fixed), BTreeSet::new());
        for _ in 0..100 {
            let mut found: Vec<_> = names.call("c.test".parse().expect("a name")).await.expect("it is told").collect();
            first.insert(found[0]);
            found.sort_unstable();
            assert_eq!(found, all);
        }
        assert_eq!(first.len(), 3, "only these ever came first: {first:?}");
    }
}
