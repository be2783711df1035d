//! What number does a header line hold?
//!
//! Pure: decimal with an optional minus, nothing else, as Redis's `string2ll`. `str::parse` was rejected: it takes a
//! plus sign and needs UTF-8 first.

/// The number in `digits`, which is a whole header line without its type byte and CR LF.
#[inline]
pub(crate) fn parse_i64(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value: i64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_i64_reads_back(value: i64) {
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
    }

    #[test]
    fn what_is_not_a_decimal_is_none() {
        for bad in [
            "",
            "-",
            "+1",
            "1 ",
            " 1",
            "0x1",
            "9223372036854775808",
            "99999999999999999999",
            "1-",
        ] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
