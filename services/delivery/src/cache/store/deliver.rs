//! An object as an open file, so that it goes to its clients as local files do.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    object::{Arrival, Object},
    spans::Span,
};
use crate::disk::{About, Filling, OpenFile};

/// Who brings what is not here. The cache has one for each object that it delivers.
pub trait Supply: fmt::Debug + Send + Sync {
    /// The first byte of `span` is not here, and nobody brings it: sees to it that somebody does, by [`Object::claim`], or fails. It need not wait
    /// until the byte is here; it is asked again while it is not.
    fn supply(&self, object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<()>>;

    /// The object was given up ([`Object::is_lost`]): bytes of the span from its beginning on, one at least, from wherever they are to be had.
    /// They are asked for in their order.
    fn pass(&self, object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<Bytes>>;
}

/// What of an object is there, for its open file.
#[derive(Debug)]
struct Filled {
    object: Arc<Object>,
    supply: Arc<dyn Supply>,
}

impl Object {
    /// The object as a file, of which answers say what `about` says. It is in use while the file is held.
    pub fn open_file(self: &Arc<Self>, about: About, supply: Arc<dyn Supply>) -> io::Result<Arc<OpenFile>> {
        let inner = &self.inner;
        let filling = Arc::new(Filled { object: Arc::clone(self), supply });
        let (data, calls) = (Arc::clone(&self.data), Arc::clone(&inner.calls));
        OpenFile::partial(data, about, calls, inner.settings.sending, inner.buffers.clone(), filling).map(Arc::new)
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
}
