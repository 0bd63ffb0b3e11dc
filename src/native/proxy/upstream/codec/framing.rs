//! An answer's body as its framing says, piece by piece.

use bytes::Bytes;

use super::chunked::Chunked;
use super::{Bad, Framing, Step};

/// The most that is read at a time where much is to come. Larger reads were not
/// cheaper, smaller ones were.
const READ_MAX: usize = 128 * 1024;

/// A body, half-way.
#[derive(Debug)]
pub(in crate::native::proxy::upstream) enum Decoder {
    /// So many bytes are still to come.
    Length(u64),
    /// Boxed: most bodies have a length.
    Chunked(Box<Chunked>),
    /// What comes is it, until the end.
    UntilClose,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Box::new(Chunked::new())),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Whether all of it was taken.
    pub(in crate::native::proxy::upstream) fn is_ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_ended(),
            Self::UntilClose => false,
        }
    }

    /// How much is still to come, if that is known.
    pub(in crate::native::proxy::upstream) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(chunked) => chunked.is_ended().then_some(0),
            Self::UntilClose => None,
        }
    }

    /// How much is worth reading at a time: a byte more than is to come, which
    /// shows at once whether there is one, and that nothing more is there.
    pub(super) fn read_limit(&self) -> usize {
        match self {
            Self::Length(left) => {
                usize::try_from(*left).map_or(READ_MAX, |left| left.saturating_add(1).min(READ_MAX))
            }
            Self::Chunked(_) | Self::UntilClose => READ_MAX,
        }
    }

    /// What is next in `input`, which is taken from there.
    ///
    /// # Errors
    /// When it is not framed as it should be.
    pub(super) fn step(&mut self, input: &mut Bytes) -> Result<Step, Bad> {
        Ok(match self {
            Self::Length(0) => Step::End,
            Self::Chunked(chunked) => return chunked.step(input),
            _ if input.is_empty() => Step::More,
            Self::Length(left) => {
                let n = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= n as u64;
                Step::Data(input.split_to(n))
            }
            Self::UntilClose => Step::Data(std::mem::take(input)),
        })
    }
}
