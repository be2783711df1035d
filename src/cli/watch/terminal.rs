//! How does the screen get onto the terminal, and the terminal back into order?
//!
//! Shell: one loop that draws and reads keys. However it ends, by a key, a signal, an error or a panic, the terminal is as it
//! was.

use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};

use super::asking::{News, carry_out, keep_looking, look};
use super::keys::Keys;
use super::order::Asked;
use super::screen::{Effect, Key, Now, Screen};
use super::theme::Theme;
use super::view;
use crate::cli::args::ListArgs;
use crate::cli::client::{Client, ClientError};
use crate::cli::output::Failure;

/// How often it is drawn when nothing happens: the size may have changed, and silence grows. So long a terminal may take
/// from one byte of a key to the next.
const TURN: Duration = Duration::from_millis(100);
/// What waits to be looked at: a page that is pasted is some dozens.
const NEWS_MAX: usize = 256;
/// How long the end may take when a signal has asked for it. A terminal that takes no more bytes would hold it up for ever.
const END_WAIT: Duration = Duration::from_secs(2);

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
    let (news, heard) = sync_channel(NEWS_MAX);
    end_on_signals(news.clone())?;
    let bell = keep_looking(socket.clone(), client, news.clone())?;
    let order = |asked| carry_out(&socket, asked, news.clone(), SyncSender::clone(&bell));
    // Has a panic put the terminal in order before it is told.
    let mut terminal = ratatui::try_init()?;
    let outcome = read_keys(news.clone()).and_then(|()| run(&mut terminal, screen, &heard, order));
    let restored = ratatui::try_restore();
    outcome.and(restored).map_err(Failure::Io)
}

fn run(
    terminal: &mut DefaultTerminal,
    mut screen: Screen,
    heard: &Receiver<News>,
    order: impl Fn(Asked),
) -> io::Result<()> {
    let theme = match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => Theme::Plain,
        false => Theme::Coloured,
    };
    let mut keys = Keys::default();
    loop {
        terminal.draw(|frame| view::draw(frame, &screen, theme, Instant::now()))?;
        let typed = match heard.recv_timeout(TURN) {
            Ok(News::Typed(bytes)) => keys.feed(&bytes),
            Err(RecvTimeoutError::Timeout) => keys.pause().into_iter().collect(),
            Ok(News::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(news) => {
                take(&mut screen, news);
                Vec::<Key>::new()
            }
        };
        for key in typed {
            match screen.press(key, Instant::now()) {
                Some(Effect::Quit) => return Ok(()),
                Some(Effect::Ask(asked)) => order(asked),
                None => {}
            }
        }
    }
}

fn take(screen: &mut Screen, news: News) {
    match news {
        News::Seen(seen) => screen.heard(*seen, now()),
        News::Silence(why) => screen.missed(why),
        News::Answered(asked, answer) => screen.answered(&asked, answer),
        News::Typed(_) | News::End => {}
    }
}

/// On a thread of its own, which ends with the process: nothing else can end its wait.
fn read_keys(news: SyncSender<News>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("keys".to_owned());
    thread.spawn(move || {
        let mut bytes = [0; 256];
        loop {
            let typed = match io::stdin().read(&mut bytes) {
                Ok(count @ 1..) => News::Typed(bytes.iter().take(count).copied().collect()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => News::End,
            };
            let is_over = matches!(typed, News::End);
            if news.send(typed).is_err() || is_over {
                return;
            }
        }
    })?;
    Ok(())
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: Timestamp::now(),
    }
}

/// Ctrl-C is a key here; these come from elsewhere. tokio has the only signal handling that is safe code.
fn end_on_signals(news: SyncSender<News>) -> io::Result<()> {
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
        // Full: whoever should take it is held up.
        let _ = news.try_send(News::End);
        std::thread::sleep(END_WAIT);
        std::process::exit(1);
    })?;
    Ok(())
}
