//! Buffers that are used again: a fresh one of 64 KiB costs more in page faults than what is read into it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// How many are kept that nobody uses.
const KEPT: usize = 64;

/// Buffers of one size; a cheap clone of one shared stock.
#[derive(Debug, Clone)]
pub(crate) struct Buffers {
    stock: Arc<Stock>,
}

#[derive(Debug)]
struct Stock {
    size: usize,
    free: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer in use; what it held before is still in it. Goes back to the stock when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    octets: Box<[u8]>,
    stock: Arc<Stock>,
}

impl Buffers {
    pub(crate) fn new(size: usize) -> Self {
        Self { stock: Arc::new(Stock { size, free: Mutex::default() }) }
    }

    pub(crate) fn take(&self) -> Buffer {
        let kept = self.stock.free().pop();
        let octets = kept.unwrap_or_else(|| vec![0; self.stock.size].into_boxed_slice());
        Buffer { octets, stock: Arc::clone(&self.stock) }
    }
}

impl Stock {
    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        // Nothing panics under it.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// Its first `length` octets, for as long as anybody holds them.
    pub(crate) fn freeze(self, length: usize) -> Bytes {
        let mut bytes = Bytes::from_owner(self);
        bytes.truncate(length);
        bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.octets
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        let mut free = self.stock.free();
        if free.len() < KEPT {
            free.push(octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_back_with_the_last_of_its_octets() {
        let buffers = Buffers::new(4);
        let mut buffer = buffers.take();
        buffer.as_mut().copy_from_slice(b"abcd");
        let bytes = buffer.freeze(3);
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!((&part[..], buffers.stock.free().len()), (&b"bc"[..], 0));
        drop(part);
        assert_eq!(buffers.stock.free().len(), 1);
        assert_eq!(buffers.take().as_ref().len(), 4);
    }

    #[test]
    fn no_more_are_kept_than_a_few() {
        let buffers = Buffers::new(1);
        drop((0..KEPT + 10).map(|_| buffers.take()).collect::<Vec<_>>());
        assert_eq!(buffers.stock.free().len(), KEPT);
    }
}
