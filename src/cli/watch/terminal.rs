//! How does the screen get onto the terminal, and the terminal back into order?
//!
//! Shell: one loop that draws and reads keys. However it ends, by a key, a signal, an error or a panic, the terminal is as it
//! was.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Sender, SyncSender, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};

use super::asking::{News, carry_out, keep_looking, look};
use super::screen::{Effect, Key, Now, Screen};
use super::theme::Theme;
use super::view;
use crate::cli::args::ListArgs;
use crate::cli::client::{Client, ClientError};
use crate::cli::output::Failure;

/// How long a key is waited for before what was heard is looked at.
const TURN: Duration = Duration::from_millis(100);
/// Keys that are taken before it is drawn again: what is pasted must not keep it from being drawn.
const KEYS_A_TURN: usize = 64;

/// Whether somebody sits there who can see a screen and press keys.
pub(in crate::cli) fn is_for_a_person(args: &ListArgs) -> bool {
    let can_draw = std::env::var("TERM").is_ok_and(|kind| !kind.is_empty() && kind != "dumb");
    !args.json && can_draw && io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// Runs the screen until somebody has seen enough.
pub(in crate::cli) fn watch(args: &ListArgs) -> Result<(), Failure> {
    let socket = args.socket.socket.clone();
    // A wrong path or name is told as by every command, not on a screen.
    let mut client = Client::connect(&socket)?;
    let seen = look(&mut client)?;
    if let Some(route) = &args.route
        && seen.route(route).is_none()
    {
        client.text(&["STATUS", route, "JSON"], Duration::ZERO)?;
        return Err(ClientError::Nonsense.into());
    }
    let place = socket.display().to_string();
    let screen = Screen::new(place, args.route.as_deref(), seen, now());
    let (news, heard) = channel();
    end_on_signals(news.clone())?;
    let bell = keep_looking(socket.clone(), client, news.clone())?;
    let order = |asked| carry_out(&socket, asked, news.clone(), SyncSender::clone(&bell));
    // Has a panic put the terminal in order before it is told.
    let mut terminal = ratatui::try_init()?;
    let outcome = run(&mut terminal, screen, || heard.try_recv().ok(), order);
    let restored = ratatui::try_restore();
    outcome.and(restored).map_err(Failure::Io)
}

fn run(
    terminal: &mut DefaultTerminal,
    mut screen: Screen,
    mut next: impl FnMut() -> Option<News>,
    order: impl Fn(super::order::Asked),
) -> io::Result<()> {
    let theme = match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => Theme::Plain,
        false => Theme::Coloured,
    };
    loop {
        while let Some(news) = next() {
            match news {
                News::Seen(seen) => screen.heard(*seen, now()),
                News::Silence(why) => screen.missed(why),
                News::Answered(asked, answer) => screen.answered(&asked, answer),
                News::End => return Ok(()),
            }
        }
        terminal.draw(|frame| view::draw(frame, &screen, theme, Instant::now()))?;
        let mut wait = TURN;
        for _ in 0..KEYS_A_TURN {
            if !event::poll(wait)? {
                break;
            }
            wait = Duration::ZERO;
            let Some(key) = key(&event::read()?) else { continue };
            match screen.press(key, Instant::now()) {
                Some(Effect::Quit) => return Ok(()),
                Some(Effect::Ask(asked)) => order(asked),
                None => {}
            }
        }
    }
}

/// A change of size needs nothing but to be drawn.
fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return None;
    };
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
        KeyCode::Char(_) if modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Char(char) => Some(Key::Char(*char)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Tab | KeyCode::Right | KeyCode::Down => Some(Key::NextRoute),
        KeyCode::BackTab | KeyCode::Left | KeyCode::Up => Some(Key::PreviousRoute),
        _ => None,
    }
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: Timestamp::now(),
    }
}

/// Ctrl-C is a key here; these come from elsewhere. tokio has the only signal handling that is safe code.
fn end_on_signals(news: Sender<News>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupts, mut terminations, mut hangups) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    let thread = std::thread::Builder::new().name("watch-signals".to_owned());
    thread.spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
                _ = hangups.recv() => {}
            }
        });
        let _ = news.send(News::End);
    })?;
    Ok(())
}
