//! What number does a header line hold?
//!
//! Pure: decimal with an optional minus, nothing else, as Redis's `string2ll`. `str::parse` was rejected: it takes a
//! plus sign and needs UTF-8 first.

/// The number in `digits`, which is a whole header line without its type byte and CR LF. One form a number, as in
/// Redis: a request with `$03` would be refused by the server, and with it the link that others share.
#[inline]
pub(crate) fn parse_i64(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits {
        [b'0'] => return Some(0),
        [b'-', rest @ ..] => (true, rest),
        _ => (false, digits),
    };
    if digits.len() > 19 || !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    // 19 digits stay below 2^64.
    let mut value: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    if negative {
        0i64.checked_sub_unsigned(value)
    } else {
        i64::try_from(value).ok()
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

        #[test]
        fn what_reads_as_a_number_is_its_only_form(text in "-?[0-9]{1,20}") {
            if let Some(value) = parse_i64(text.as_bytes()) {
                prop_assert_eq!(value.to_string(), text);
            }
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
            "-9223372036854775809",
            "99999999999999999999",
            "1-",
            "01",
            "00",
            "-0",
            "-01",
        ] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
