//! What does a request of the proxy's own look like on the wire?
//!
//! Pure: the one place that writes a command as an array of bulk strings.

/// Appends one command, `arguments[0]` being its name.
pub fn write_command(into: &mut Vec<u8>, arguments: &[&[u8]]) {
    let mut digits = itoa::Buffer::new();
    write_array(into, arguments.len());
    for argument in arguments {
        into.push(b'$');
        into.extend_from_slice(digits.format(argument.len()).as_bytes());
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(argument);
        into.extend_from_slice(b"\r\n");
    }
}

/// Appends the header of an array of this many elements.
pub(crate) fn write_array(into: &mut Vec<u8>, elements: usize) {
    let mut digits = itoa::Buffer::new();
    into.push(b'*');
    into.extend_from_slice(digits.format(elements).as_bytes());
    into.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings_whatever_its_bytes() {
        let mut bytes = Vec::new();
        write_command(&mut bytes, &[b"SET", b"", b"a\r\nb"]);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
    }
}
