use std::sync::mpsc::sync_channel;

use super::*;
use crate::cluster::{NodeAddr, Side};
use crate::config::GuardConfig;
use crate::control_plane::guard::ObservationKind;
use crate::control_plane::trace::{Line, Observed, Reader};

fn header(lost: u64) -> Message {
    Message::Header(Box::new(Header {
        switchback_trace: 1,
        by: String::new(),
        route: "r".to_owned(),
        began: Timestamp::now(),
        lost,
        guard: GuardConfig::default(),
        weight: Default::default(),
        target: Default::default(),
        ahead: Default::default(),
        old: Default::default(),
        new: None,
    }))
}

fn observed(reason: &str) -> What {
    What::Observed(Observed {
        side: Side::Old,
        node: NodeAddr::new("h", 1),
        age: 0,
        kind: ObservationKind::NoAnswer {
            reason: reason.to_owned(),
        },
    })
}

fn look(now: Instant) -> Message {
    let what = What::Look;
    Message::Entry { now, what }
}

struct Fixture {
    directory: tempfile::TempDir,
    news: Arc<News>,
    writer: Writer,
}

impl Fixture {
    fn new(bytes_max: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let news = Arc::new(News::default());
        let writer = Writer::new(
            directory.path().join("traces/r.trace"),
            bytes_max,
            Arc::clone(&news),
        );
        let mut fixture = Self {
            directory,
            news,
            writer,
        };
        fixture.writer.take(header(0));
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("traces").join(name)
    }

    fn lines(&self, name: &str) -> Vec<Line> {
        let mut reader = Reader::open(&self.path(name)).unwrap();
        std::iter::from_fn(|| reader.next_line().unwrap()).collect()
    }

    fn again(&mut self) {
        self.writer = Writer::new(self.path("r.trace"), 1 << 20, Arc::clone(&self.news));
        self.writer.take(header(0));
    }
}

fn headers(lines: &[Line]) -> Vec<u64> {
    let lost = |line: &Line| match line {
        Line::Header(header) => Some(header.lost),
        Line::Entry(_) => None,
    };
    lines.iter().filter_map(lost).collect()
}

#[test]
fn both_files_together_stay_below_their_bound_and_each_can_be_read_alone() {
    let bytes_max = 64 * 1024;
    let mut fixture = Fixture::new(bytes_max);
    let start = Instant::now();
    for step in 0..2_000 {
        let now = start + Duration::from_millis(step);
        let what = observed(&"x".repeat(100));
        fixture.writer.take(Message::Entry { now, what });
        let sizes = ["r.trace", "r.trace.1"]
            .map(|name| fs::metadata(fixture.path(name)).map_or(0, |file| file.len()));
        assert!(sizes.iter().all(|size| *size <= bytes_max / 2), "{sizes:?}");
    }
    for name in ["r.trace", "r.trace.1"] {
        let lines = fixture.lines(name);
        assert!(matches!(lines[0], Line::Header(_)), "{name}");
        assert_eq!(headers(&lines), [0], "{name}");
        assert!(lines.len() > 10, "{name}");
    }
    assert_eq!(fixture.news.take(), None);
}

#[test]
fn a_restart_goes_on_where_a_line_was_torn() {
    let mut fixture = Fixture::new(1 << 20);
    let now = Instant::now();
    (0..3).for_each(|_| fixture.writer.take(look(now)));
    let whole = fs::read_to_string(fixture.path("r.trace")).unwrap();
    // The writer that was killed holds no lock any more.
    fixture.writer.open = None;
    fs::write(fixture.path("r.trace"), format!("{whole}{{\"now\":17,\"wh")).unwrap();
    fixture.again();
    fixture.writer.take(look(now));
    let lines = fixture.lines("r.trace");
    assert_eq!((lines.len(), headers(&lines)), (6, vec![0, 0]));
}

#[test]
fn a_file_that_cannot_be_written_is_told_once_and_the_next_header_says_how_much_is_missing() {
    let mut fixture = Fixture::new(1 << 20);
    let now = Instant::now();
    // A directory where the file is to be: works for root too, unlike permissions.
    fs::create_dir_all(fixture.path("r.trace")).unwrap();
    for _ in 0..5 {
        fixture.writer.take(look(now));
    }
    let (kind, text) = fixture.news.take().unwrap();
    assert!(
        kind == "trace_failed" && text.contains("r.trace"),
        "{kind} {text}"
    );
    assert_eq!(fixture.news.take(), None);
    fs::remove_dir(fixture.path("r.trace")).unwrap();
    fixture.writer.failing.as_mut().unwrap().again = Instant::now();
    fixture.writer.take(look(now));
    assert_eq!(fixture.news.take().unwrap().0, "trace_resumed");
    assert_eq!(headers(&fixture.lines("r.trace")), [5]);
}

#[test]
fn a_second_process_does_not_write_into_the_same_file() {
    let mut first = Fixture::new(1 << 20);
    first.writer.take(look(Instant::now()));
    let news = Arc::new(News::default());
    let mut second = Writer::new(first.path("r.trace"), 1 << 20, Arc::clone(&news));
    second.take(header(0));
    second.take(look(Instant::now()));
    let (kind, text) = news.take().unwrap();
    assert!(
        kind == "trace_failed" && text.contains("another switchback"),
        "{kind} {text}"
    );
    assert_eq!(first.lines("r.trace").len(), 2);
}

#[test]
fn what_is_no_trace_is_left_alone() {
    let mut fixture = Fixture::new(1 << 20);
    fs::create_dir_all(fixture.path("")).unwrap();
    fs::write(fixture.path("r.trace"), "precious").unwrap();
    fixture.writer.take(look(Instant::now()));
    assert_eq!(fixture.news.take().unwrap().0, "trace_failed");
    assert_eq!(fs::read_to_string(fixture.path("r.trace")).unwrap(), "precious");
}

#[test]
fn an_entry_longer_than_any_that_is_read_is_left_out_and_counted() {
    let mut fixture = Fixture::new(1 << 20);
    let now = Instant::now();
    fixture.writer.take(look(now));
    let what = observed(&"x".repeat(TRACE_LINE_BYTES_MAX));
    fixture.writer.take(Message::Entry { now, what });
    fixture.writer.take(look(now));
    assert_eq!(headers(&fixture.lines("r.trace")), [0, 1]);
}

#[test]
fn everything_given_before_the_tape_ends_is_written() {
    let fixture = Fixture::new(1 << 20);
    let (sender, messages) = sync_channel(100);
    (0..50).for_each(|_| sender.send(look(Instant::now())).unwrap());
    drop(sender);
    let (path, directory) = (fixture.path("r.trace"), fixture.directory);
    fixture.writer.write_all(&messages);
    let mut reader = Reader::open(&path).unwrap();
    let lines: Vec<Line> = std::iter::from_fn(|| reader.next_line().unwrap()).collect();
    assert_eq!(lines.len(), 51);
    drop(directory);
}
