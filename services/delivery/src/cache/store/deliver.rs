//! An object as an open file, so that it goes to its clients as local files do.
//!
//! Of an object of which something is missing, each request has a file of its own, which gets what is missing. Of one that is whole there is one
//! file for all, for as long as the object stays open; from it answers can be kept ([`crate::ready`]).

use std::{fmt, future, io, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    edition::Reading,
    object::{Arrival, Object},
    spans::Span,
};
use crate::disk::{About, Filling, OpenFile};

/// Who brings what is not here. The cache has one for each object that it delivers.
pub trait Supply: fmt::Debug + Send + Sync {
    /// The first byte of `span` is not here, and nobody brings it: sees to it that somebody does, by [`Object::claim`], or fails. It need not wait
    /// until the byte is here; it is asked again while it is not.
    fn supply(&self, object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<()>>;

    /// The object was given up ([`Object::is_lost`]): bytes of the span from its beginning on, one at least, from wherever they are to be had; none
    /// at the end of one whose length nobody announced. They are asked for in their order.
    fn pass(&self, object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<Bytes>>;
}

/// What of an object is there, for its open file.
#[derive(Debug)]
struct Filled {
    object: Arc<Object>,
    supply: Arc<dyn Supply>,
    /// Which edition the file is of, if it is for more requests than one.
    edition: Option<u64>,
}

/// Who brings what leaves an object that was whole.
#[derive(Debug)]
struct Nobody;

impl Object {
    /// The object as a file, of which answers say what `about` says. It is in use while the file is held.
    pub fn open_file(self: &Arc<Self>, about: About, supply: Arc<dyn Supply>) -> io::Result<Arc<OpenFile>> {
        self.open_with(about, supply, None)
    }

    /// The object as a file, if all of it is here ([`Self::is_whole`]): one file for all who ask, as long as `of` is what its head says. It is
    /// in use while anybody but the store holds that.
    ///
    /// Of a block that turns out to be damaged nothing is sent any more. Unless somebody brings it anew, who is being sent the
    /// file has to come back for the rest.
    pub fn whole_file<T>(
        self: &Arc<Self>,
        of: &Reading<T>,
        about: impl FnOnce(&T) -> About,
    ) -> io::Result<Arc<OpenFile>> {
        let edition = of.edition;
        if let Some(file) = self.editions.file(edition) {
            return Ok(file);
        }
        let file = self.open_with(about(of), Arc::new(Nobody), Some(edition))?;
        if self.editions.share(edition, &file) {
            self.inner.keep_file(self, &file);
        }
        Ok(file)
    }

    fn open_with(
        self: &Arc<Self>,
        about: About,
        supply: Arc<dyn Supply>,
        edition: Option<u64>,
    ) -> io::Result<Arc<OpenFile>> {
        let filling = Arc::new(Filled { object: Arc::clone(self), supply, edition });
        let (data, inner) = (Arc::clone(&self.data), &self.inner);
        let (calls, sending, buffers) = (Arc::clone(&inner.calls), inner.settings.sending, inner.buffers.clone());
        OpenFile::partial(data, about, calls, sending, buffers, filling).map(Arc::new)
    }
}

impl Filling for Filled {
    fn present(&self, offset: u64, length: u64) -> u64 {
        self.object.present(offset, length)
    }

    fn supply(&self, offset: u64, length: u64) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(async move {
            loop {
                match self.object.arrival(offset).await {
                    Arrival::Here => match self.object.present(offset, length) {
                        // A damaged block left meanwhile.
                        0 => {}
                        there => return Ok(there),
                    },
                    Arrival::Lost => return Ok(0),
                    Arrival::Unclaimed => self.supply.supply(&self.object, Span::at(offset, length)).await?,
                }
            }
        })
    }

    fn pass(&self, offset: u64, most: usize) -> BoxFuture<'_, io::Result<Bytes>> {
        self.supply.pass(&self.object, Span::at(offset, most as u64))
    }

    fn is_current(&self) -> bool {
        let of = |edition| self.object.is_whole() && self.object.editions.is_current(edition);
        self.edition.is_some_and(of)
    }

    fn given_again(&self) {
        self.object.hit();
    }
}

impl Supply for Nobody {
    fn supply(&self, _object: &Arc<Object>, _span: Span) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(future::ready(Err(damaged())))
    }

    fn pass(&self, _object: &Arc<Object>, _span: Span) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(future::ready(Err(damaged())))
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block of an object that was whole turned out to be damaged")
}
