//! Messages on a stream: prost's encoding, in buffers that are small until a message is large.

use std::{fmt, marker::PhantomData};

use prost::Message;
use tonic::codec::BufferSettings;
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a stream's buffers begin with, in bytes. They grow with what passes through. tonic's own 8 KiB in each direction would be a third
/// of what a node costs its coordinator, and a beat has forty bytes.
const BUFFER: usize = 256;
/// A message is handed on once so much of the stream is encoded: tonic's default.
const HAND_ON: usize = 32 * 1024;

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER, HAND_ON)
}

/// How the generated services encode and decode.
pub struct Codec<T, U>(PhantomData<fn(T) -> U>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> fmt::Debug for Codec<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}
