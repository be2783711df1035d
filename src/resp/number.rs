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

/// The number `bytes` begin with and how many digits it has, when they begin with what a header line usually is: a few
/// digits, CR and one more byte, all there. `None`: look for the line's end and read what is before it.
///
/// Saves about 40 of the 150 instructions a header took with memchr (2026-11, `benches/instructions.rs`).
#[inline]
pub(crate) fn short_line(bytes: &[u8]) -> Option<(u64, usize)> {
    const DIGITS_MAX: usize = 10;
    let mut value = 0;
    for (digits, &byte) in bytes.iter().enumerate().take(DIGITS_MAX + 1) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let whole = byte == b'\r' && bytes.len() > digits + 1;
            let canonical = digits == 1 || (digits > 1 && bytes.first() != Some(&b'0'));
            return (whole && canonical).then_some((value, digits));
        }
        value = value * 10 + u64::from(digit);
    }
    None
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

    proptest! {
        #[test]
        fn a_short_line_reads_as_the_same_number(line in "[0-9]{0,11}[\r0a-]{0,2}[\n]{0,1}") {
            let whole = line.split_once('\r').filter(|(_, rest)| !rest.is_empty());
            let number = whole.and_then(|(digits, _)| Some((parse_i64(digits.as_bytes())?, digits.len())));
            match short_line(line.as_bytes()) {
                Some((value, digits)) => prop_assert_eq!(number, Some((value as i64, digits))),
                None => prop_assert!(number.is_none_or(|(value, digits)| value < 0 || digits > 10)),
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
