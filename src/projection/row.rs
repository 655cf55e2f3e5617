//! Rows as rkyv archives: written once, checked and read in place.

use rkyv::api::high::{HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Error, Strategy};
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use super::{Definition, ViewError};

/// A value as a row.
pub(super) fn pack<T>(value: &T) -> Vec<u8>
where
    T: for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Error>>,
{
    rkyv::to_bytes::<Error>(value).expect("BUG: a view row does not archive").to_vec()
}

/// A row, in place.
pub(super) fn open<'a, A>(view: &Definition, bytes: &'a [u8]) -> Result<&'a A, ViewError>
where
    A: Portable + for<'b> CheckBytes<HighValidator<'b, Error>>,
{
    rkyv::access::<A, Error>(bytes).map_err(|_| ViewError::Row { view: view.name })
}

/// A row as a value.
pub(super) fn unpack<T>(view: &Definition, bytes: &[u8]) -> Result<T, ViewError>
where
    T: Archive,
    T::Archived: for<'b> CheckBytes<HighValidator<'b, Error>>
        + Deserialize<T, Strategy<rkyv::de::Pool, Error>>,
{
    rkyv::from_bytes::<T, Error>(bytes).map_err(|_| ViewError::Row { view: view.name })
}

/// A part of a row as a value.
pub(super) fn value<T>(view: &Definition, archived: &T::Archived) -> Result<T, ViewError>
where
    T: Archive,
    T::Archived: Deserialize<T, Strategy<rkyv::de::Pool, Error>>,
{
    rkyv::deserialize::<T, Error>(archived).map_err(|_| ViewError::Row { view: view.name })
}
