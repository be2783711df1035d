//! Sentinels that real ones cannot be made to be: one that talks nonsense, one that lies.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use switchback::cluster::NodeAddr;

/// Listens, and answers every request with what `answer` makes of it, until the process ends.
pub(crate) fn listen(answer: impl Fn(&[String]) -> String + Send + Sync + Clone + 'static) -> NodeAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = NodeAddr::new("127.0.0.1", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, answer));
        }
    });
    addr
}

fn serve(stream: TcpStream, answer: impl Fn(&[String]) -> String) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let count = header(&mut reader)?;
        let words: Option<Vec<String>> = (0..count).map(|_| word(&mut reader)).collect();
        writer.write_all(answer(&words?).as_bytes()).ok()?;
    }
}

fn header(reader: &mut impl BufRead) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

fn word(reader: &mut impl BufRead) -> Option<String> {
    let mut bytes = vec![0; header(reader)? + 2];
    reader.read_exact(&mut bytes).ok()?;
    bytes.truncate(bytes.len() - 2);
    String::from_utf8(bytes).ok()
}

/// A well-spoken Sentinel that names `master` at `epoch`, and knows no one else.
pub(crate) fn liar(master: NodeAddr, epoch: u64) -> NodeAddr {
    listen(move |request| lie(&master, epoch, request))
}

/// What it answers.
pub(crate) fn lie(master: &NodeAddr, epoch: u64, request: &[String]) -> String {
    let array = |words: &[&str]| {
        let bulks: String = words
            .iter()
            .map(|word| format!("${}\r\n{word}\r\n", word.len()))
            .collect();
        format!("*{}\r\n{bulks}", words.len())
    };
    let words: Vec<&str> = request.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["SENTINEL", "MYID"] => format!("+{epoch:040}\r\n"),
        ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _] => array(&[&master.host, &master.port.to_string()]),
        ["SENTINEL", "MASTER", _] => array(&["flags", "master", "config-epoch", &epoch.to_string()]),
        ["SENTINEL", _, _] => "*0\r\n".to_owned(),
        ["PSUBSCRIBE", _] => "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n".to_owned(),
        _ => "+OK\r\n".to_owned(),
    }
}
