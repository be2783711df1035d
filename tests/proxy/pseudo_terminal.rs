//! A terminal without a person: what a program draws on it, and keys for it.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use switchback::lab::wait_for;

use crate::running::SOON;

const TURN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// What has been drawn, and all that was written.
struct Drawn {
    screen: vt100::Parser,
    written: Vec<u8>,
}

/// A terminal, and `switchback` on it.
pub(crate) struct PseudoTerminal {
    child: Child,
    /// `None`: nobody is there any more.
    keys: Option<File>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    /// The program's end: its modes outlive the program.
    line: File,
    drawn: Arc<Mutex<Drawn>>,
}

impl PseudoTerminal {
    /// Runs `switchback` with `arguments`.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)], rows: u16, columns: u16) -> Self {
        let keys =
            File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap());
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = File::from(rustix::fs::open(name, flags, Mode::empty()).unwrap());
        set_size(&keys, rows, columns);
        let end = || Stdio::from(line.try_clone().unwrap());
        // Its controlling terminal, too, or a size would be asked of whoever runs the tests.
        let child = Command::new("setsid")
            .args(["--ctty", env!("CARGO_BIN_EXE_switchback")])
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let drawn = Arc::new(Mutex::new(Drawn {
            screen: vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0),
            written: Vec::new(),
        }));
        let is_over = Arc::<AtomicBool>::default();
        let (output, filled, ends) = (
            keys.try_clone().unwrap(),
            Arc::clone(&drawn),
            Arc::clone(&is_over),
        );
        let reader = std::thread::spawn(move || fill(output, &filled, &ends));
        Self {
            child,
            keys: Some(keys),
            is_over,
            reader: Some(reader),
            line,
            drawn,
        }
    }

    /// `status --watch` of the proxy with this socket.
    pub(crate) fn watching(socket: &Path, rows: u16, columns: u16) -> Self {
        let socket = socket.display().to_string();
        Self::start(&["status", "--watch", "--socket", &socket], &[], rows, columns)
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.as_ref().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.drawn
            .lock()
            .unwrap()
            .screen
            .screen_mut()
            .set_size(at_least_one(rows), at_least_one(columns));
        set_size(self.keys.as_ref().unwrap(), rows, columns);
    }

    pub(crate) fn text(&self) -> String {
        self.drawn.lock().unwrap().screen.screen().contents()
    }

    /// Waits until the screen has `words`.
    pub(crate) fn wait_for(&self, words: &str) {
        self.wait_until(words, |text| text.contains(words));
    }

    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let outcome = wait_for(what, SOON, || condition(&self.text()));
        outcome.unwrap_or_else(|error| panic!("{error}:\n{}", self.text()));
    }

    /// Cells with a colour of their own.
    pub(crate) fn coloured_cells(&self) -> usize {
        let drawn = self.drawn.lock().unwrap();
        let screen = drawn.screen.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        let is_coloured = |(row, column)| {
            screen
                .cell(row, column)
                .is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
        };
        cells.filter(|&at| is_coloured(at)).count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// The person has gone, and the terminal with them.
    pub(crate) fn hang_up(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.keys = None;
    }

    /// Waits for the program to end.
    pub(crate) fn status(&mut self) -> ExitStatus {
        let mut status = None;
        let outcome = wait_for("the end", SOON, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        outcome.unwrap_or_else(|error| panic!("{error}:\n{}", self.text()));
        status.unwrap()
    }

    /// Waits for the program to end, which has left the terminal as it was.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let status = self.status();
        let modes = tcgetattr(&self.line).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG),
            "{modes:?}"
        );
        let restored = wait_for("the screen from before", SOON, || {
            let drawn = self.drawn.lock().unwrap();
            !drawn.screen.screen().alternate_screen() && !drawn.screen.screen().hide_cursor()
        });
        restored.unwrap_or_else(|error| panic!("{error}:\n{}", self.text()));
        status
    }

    /// All that was written, as text.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().unwrap().written).into_owned()
    }
}

impl Drop for PseudoTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fill(mut output: File, drawn: &Mutex<Drawn>, is_over: &AtomicBool) {
    let mut bytes = [0; 4096];
    while !is_over.load(Ordering::Relaxed) {
        let mut waited = [PollFd::new(&output, PollFlags::IN)];
        if poll(&mut waited, Some(&TURN)).unwrap() == 0 {
            continue;
        }
        let Ok(count @ 1..) = output.read(&mut bytes) else {
            return;
        };
        let mut drawn = drawn.lock().unwrap();
        drawn.screen.process(&bytes[..count]);
        drawn.written.extend_from_slice(&bytes[..count]);
    }
}

fn at_least_one(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

fn set_size(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}
