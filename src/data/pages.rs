//! Pages of Parquet files, of which every length is checked before memory is taken for it.
//!
//! The library believes what a file announces: sizes of pages, of dictionaries and of lists of
//! lengths. A flipped bit in one of them would ask for more memory than there is, which ends the
//! program. So the library reads the file through [`Checked`], which refuses such pages first.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;

/// Size of an unpacked page that is always accepted; writers make pages of 1 to 100 MB.
const PAGE_BYTES_MAX: i64 = 128 * 1024 * 1024;
/// Larger pages must be packed no more tightly than deflate can.
const RATIO_MAX: i64 = 1_032;

/// The pages of one column chunk.
pub(super) struct Checked {
    pages: SerializedPageReader<Headers>,
    has_repetitions: bool,
    has_definitions: bool,
    /// Values that may still come.
    left: u64,
}

impl Checked {
    /// Reads the pages of `chunk`, a part of `file`.
    pub(super) fn new(
        file: &Bytes,
        chunk: &ColumnChunkMetaData,
        kind: &ColumnDescriptor,
        rows: usize,
    ) -> Result<Self> {
        let (has_repetitions, left) = (kind.max_rep_level() > 0, chunk.num_values().try_into()?);
        if !has_repetitions && left != rows as u64 {
            let problem = format!("{left} values announced for {rows} rows");
            return Err(ParquetError::General(problem));
        }
        let pages = SerializedPageReader::new(Arc::new(Headers(file.clone())), chunk, rows, None)?;
        Ok(Self { pages, has_repetitions, has_definitions: kind.max_def_level() > 0, left })
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        if let Page::DictionaryPage { buf, num_values, .. } = page {
            // Every value of a dictionary takes a byte at least.
            return at_most("values of a dictionary", u64::from(*num_values), buf.len() as u64);
        }
        let values = u64::from(page.num_values());
        at_most("values of a page", values, self.left)?;
        self.left -= values;
        let encoding = page.encoding();
        if [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY].contains(&encoding) {
            let lengths = self.after_levels(page).ok_or_else(|| damaged("levels of a page"))?;
            let end = deltas(lengths, values)?;
            if encoding == Encoding::DELTA_BYTE_ARRAY {
                deltas(&lengths[end..], values)?;
            }
        }
        Ok(())
    }

    /// What follows the levels of a page.
    fn after_levels<'p>(&self, page: &'p Page) -> Option<&'p [u8]> {
        match page {
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                buf.get(levels..)
            }
            Page::DataPage { buf, .. } => {
                let mut rest: &[u8] = buf;
                for _ in 0..u8::from(self.has_repetitions) + u8::from(self.has_definitions) {
                    let (length, after) = rest.split_first_chunk()?;
                    rest = after.get(u32::from_le_bytes(*length) as usize..)?;
                }
                Some(rest)
            }
            Page::DictionaryPage { .. } => None,
        }
    }
}

impl Iterator for Checked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Checked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// The bytes of a file; wherever a page's header is read, its sizes are checked.
struct Headers(Bytes);

impl Length for Headers {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl ChunkReader for Headers {
    type T = <Bytes as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let bytes = usize::try_from(start).ok().and_then(|start| self.0.get(start..));
        check_header(bytes.unwrap_or_default())?;
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// A page's header begins with three numbers in Thrift's compact form: its kind, its size unpacked
/// and its size packed.
fn check_header(mut bytes: &[u8]) -> Result<()> {
    /// The field after the one before, a number of 32 bits.
    const NEXT_NUMBER: u8 = 0x15;
    let mut number = || {
        let (first, mut rest) = bytes.split_first()?;
        let number = (*first == NEXT_NUMBER).then(|| varint(&mut rest))??;
        bytes = rest;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    };
    let mut numbers = || Some([number()?, number()?, number()?]);
    let [_, unpacked, packed] = numbers().ok_or_else(|| damaged("header of a page"))?;
    let most = PAGE_BYTES_MAX.max(packed.saturating_mul(RATIO_MAX));
    if !(0..=most).contains(&unpacked) {
        let problem = format!("a page of {unpacked} bytes announced, at most {most} expected");
        return Err(ParquetError::General(problem));
    }
    Ok(())
}

/// Walks a list of at most `most` numbers in the encoding DELTA_BINARY_PACKED; where it ends.
fn deltas(bytes: &[u8], most: u64) -> Result<usize> {
    let problem = || damaged("list of lengths");
    let mut rest = bytes;
    let number = |rest: &mut &[u8]| varint(rest).ok_or_else(problem);
    let (block, parts) = (number(&mut rest)?, number(&mut rest)?);
    let count = number(&mut rest)?;
    at_most("lengths of a page", count, most)?;
    number(&mut rest)?;
    let values = block.checked_div(parts).filter(|values| *values > 0).ok_or_else(problem)?;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        number(&mut rest)?;
        let parts = usize::try_from(parts).map_err(|_| problem())?;
        let (widths, after) = rest.split_at_checked(parts).ok_or_else(problem)?;
        rest = after;
        for width in widths {
            // Widths behind the last value mean nothing.
            if left > 0 {
                let bytes = u64::from(*width).saturating_mul(values) / 8;
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                rest = rest.get(bytes..).ok_or_else(problem)?;
            }
            left = left.saturating_sub(values);
        }
    }
    Ok(bytes.len() - rest.len())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn at_most(what: &str, found: u64, most: u64) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(ParquetError::General(format!("{found} {what} announced, at most {most} expected")))
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("the {what} is damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(result: Result<T>) -> String {
        result.err().expect("an error").to_string()
    }

    #[test]
    fn sizes_of_pages_are_bounded() {
        let header = |unpacked: &[u8], packed: &[u8]| {
            check_header(&[&[0x15, 0, 0x15], unpacked, &[0x15], packed].concat())
        };
        assert!(header(&[0x14], &[0x10]).is_ok());
        // 2 GB: as large as 32 bits have it.
        let huge = [0xfe, 0xff, 0xff, 0xff, 0x0f];
        assert!(refused(header(&huge, &[0x10])).contains("a page of 2147483647 bytes"));
        assert!(header(&huge, &[0x80, 0x80, 0x80, 0x08]).is_ok(), "packed into 8 MB");
        assert!(refused(header(&[0x13], &[0x10])).contains("a page of -10 bytes"));
        assert!(refused(check_header(&[0x15, 0, 0x16])).contains("header of a page is damaged"));
        assert!(check_header(&[]).is_err());
    }

    #[test]
    fn lists_of_lengths_are_walked() {
        // A block of 128 in 4 parts, 3 values: the first is 5, then two of 2 bits in 8 bytes.
        let list = [&[0x80, 0x01, 4, 3, 10, 0, 2, 9, 9, 9][..], &[0; 8], b"rest"].concat();
        assert_eq!(deltas(&list, 3).unwrap(), 18);
        assert_eq!(deltas(&[0x80, 0x01, 4, 1, 10], 1).unwrap(), 5);
        assert!(refused(deltas(&list, 2)).contains("3 lengths of a page announced, at most 2"));
        assert!(refused(deltas(&list[..12], 3)).contains("list of lengths is damaged"));
        assert!(refused(deltas(&[0, 0, 1, 0], 1)).contains("damaged"), "no parts");
    }
}
