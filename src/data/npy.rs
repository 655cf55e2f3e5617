//! Arrays of numbers as NumPy writes them: format versions 1 to 3 of
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::value::Value;

/// The first bytes of a file.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Headers are padded so that the data start at a multiple of this.
const ALIGNMENT: usize = 64;

/// An array with numbers of at most two dimensions.
#[derive(Clone, Debug)]
pub(super) struct Array<'b> {
    /// Rows.
    pub(super) rows: usize,
    /// Numbers a row; 1 where the array has one dimension.
    pub(super) cols: usize,
    data: &'b [u8],
    size: usize,
    number: Number,
    /// Whether whole numbers have a sign; none where they are not whole.
    is_whole: Option<bool>,
    /// Whether column stands after column instead of row after row.
    fortran: bool,
}

impl<'b> Array<'b> {
    /// Reads a whole file.
    ///
    /// # Errors
    /// What is wrong, for anything but an array of numbers with one or two dimensions.
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self, String> {
        let (header, data) = split(bytes).ok_or("not an array of NumPy")?;
        let kind = quoted(header, "descr").ok_or("the header names no type of numbers")?;
        let (size, number) =
            decoder(kind).ok_or_else(|| format!("numbers of type {kind} are not read"))?;
        let (rows, cols) = shape(header)?;
        if cols == 0 {
            // Any number of them takes no byte.
            return Err(format!("{rows} rows of no numbers announced"));
        }
        let bytes = rows.checked_mul(cols).and_then(|count| count.checked_mul(size));
        if bytes != Some(data.len()) {
            let found = data.len();
            return Err(format!("{rows} rows of {cols} numbers announced, {found} bytes found"));
        }
        let fortran = after(header, "fortran_order").is_some_and(|rest| rest.starts_with("True"));
        let is_whole = match kind.as_bytes().get(1) {
            Some(b'u') => Some(false),
            Some(b'i') => Some(true),
            _ => None,
        };
        Ok(Self { rows, cols, data, size, number, is_whole, fortran })
    }

    /// The only number of row `row`, with all its digits.
    pub(super) fn label(&self, row: usize) -> Value {
        let bytes = &self.data[row * self.size..(row + 1) * self.size];
        let mut wide = [0; 16];
        wide[..self.size].copy_from_slice(bytes);
        match (self.is_whole, self.size) {
            (Some(is_signed), _) => {
                let value = i128::from_le_bytes(wide);
                let unused = 128 - 8 * u32::try_from(self.size).unwrap_or(0);
                Value::Int(if is_signed { value << unused >> unused } else { value })
            }
            (None, 4) => Value::Single(f32::from_le_bytes(bytes.try_into().unwrap_or_default())),
            (None, 1) => Value::Bool(bytes[0] != 0),
            (None, _) => Value::Float((self.number)(bytes)),
        }
    }

    /// The numbers of row `row`.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = f64> {
        (0..self.cols).map(move |col| {
            let at = if self.fortran { col * self.rows + row } else { row * self.cols + col };
            (self.number)(&self.data[at * self.size..(at + 1) * self.size])
        })
    }
}

/// Writes rows of `cols` whole numbers.
pub(super) fn write(cols: usize, values: &[u16]) -> Vec<u8> {
    let rows = values.len() / cols.max(1);
    let mut header =
        format!("{{'descr': '<u2', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&u16::try_from(header.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// The text of the header, and the data behind it.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = match rest.first_chunk()? {
        [1, _] => {
            let rest = &rest[2..];
            (usize::from(u16::from_le_bytes(*rest.first_chunk()?)), &rest[2..])
        }
        [2 | 3, _] => {
            let rest = &rest[2..];
            (usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?, &rest[4..])
        }
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// What stands behind the key `name` of the header's dictionary.
fn after<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let (_, rest) = header.split_once(&format!("'{name}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    Some(after(header, name)?.strip_prefix('\'')?.split_once('\'')?.0)
}

fn shape(header: &str) -> Result<(usize, usize), String> {
    let inside = after(header, "shape")
        .and_then(|rest| rest.strip_prefix('('))
        .and_then(|rest| rest.split_once(')'))
        .ok_or("the header names no shape")?
        .0;
    let sizes: Vec<&str> = inside.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    let size = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is not a size"));
    match sizes[..] {
        [rows] => Ok((size(rows)?, 1)),
        // The original's arrays may carry the single channel as a third dimension.
        [rows, cols] | [rows, cols, "1"] => Ok((size(rows)?, size(cols)?)),
        _ => Err(format!("the shape is ({inside}), rows and columns expected")),
    }
}

type Number = fn(&[u8]) -> f64;

/// Bytes of a number of type `kind`, and how to read it.
fn decoder(kind: &str) -> Option<(usize, Number)> {
    /// Little endian; the caller cuts exactly as many bytes.
    macro_rules! number {
        ($type:ty, $as:expr) => {
            Some((size_of::<$type>(), |bytes| {
                bytes.try_into().map_or(f64::NAN, |bytes| $as(<$type>::from_le_bytes(bytes)))
            }))
        };
    }
    match kind {
        "<f4" => number!(f32, f64::from),
        "<f8" => number!(f64, std::convert::identity),
        "|b1" | "|u1" => number!(u8, f64::from),
        "|i1" => number!(i8, f64::from),
        "<u2" => number!(u16, f64::from),
        "<i2" => number!(i16, f64::from),
        "<u4" => number!(u32, f64::from),
        "<i4" => number!(i32, f64::from),
        "<u8" => number!(u64, |value| value as f64),
        "<i8" => number!(i64, |value| value as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    fn rows(bytes: &[u8]) -> Vec<Vec<f64>> {
        let array = Array::read(bytes).unwrap();
        (0..array.rows).map(|row| array.row(row).collect()).collect()
    }

    #[test]
    fn arrays_come_back() {
        let bytes = write(3, &[1, 2, 3, 400, 5, 6]);
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(rows(&bytes), [[1.0, 2.0, 3.0], [400.0, 5.0, 6.0]]);
        for cut in 0..bytes.len() {
            assert!(Array::read(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn labels_keep_all_digits() {
        let label = |kind: &str, data: &[u8]| {
            let header =
                format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (1,), }}\n");
            Array::read(&file(&header, data)).unwrap().label(0).text().unwrap()
        };
        assert_eq!(label("<i8", &9_007_199_254_740_993_i64.to_le_bytes()), "9007199254740993");
        assert_eq!(label("<i8", &(-3_i64).to_le_bytes()), "-3");
        assert_eq!(label("<u8", &u64::MAX.to_le_bytes()), "18446744073709551615");
        assert_eq!(label("|i1", &[0xff]), "-1");
        assert_eq!(label("|u1", &[0xff]), "255");
        assert_eq!(label("|b1", &[1]), "true");
        assert_eq!(label("<f4", &0.1_f32.to_le_bytes()), "0.1");
        assert_eq!(label("<f8", &2.0_f64.to_le_bytes()), "2");
        assert_eq!(label("<f8", &f64::NAN.to_le_bytes()), "", "missing");
    }

    #[test]
    fn types_orders_and_shapes() {
        let floats: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
        assert_eq!(rows(&file(header, &floats)), [[1.5], [-2.0]]);
        let columns = "{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }\n";
        let columns = file(columns, &[1, 4, 2, 5, 3, 6]);
        assert_eq!(rows(&columns), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        for (header, problem) in [
            ("{'descr': '<U5', 'shape': (1,), }", "numbers of type <U5 are not read"),
            ("{'descr': '|u1', 'shape': (1, 2, 3), }", "the shape is (1, 2, 3)"),
            ("{'descr': '|u1', 'shape': (9, 9), }", "9 rows of 9 numbers announced, 0 bytes"),
            ("{'descr': '<f8', 'shape': (18446744073709551615, 8), }", "announced, 0 bytes"),
            ("{'descr': '|u1', 'shape': (1000000000000, 0), }", "rows of no numbers"),
            ("{'shape': (9, 9), }", "names no type"),
        ] {
            let error = Array::read(&file(header, &[])).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
