//! What does something look like that is bad, chosen or of no matter?
//!
//! Pure. A colour never stands alone: what it says is there in words too.

use ratatui::style::{Color, Modifier, Style};

/// What is said by looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Not what one looks for first.
    Faint,
    Heading,
    Good,
    Bad,
    /// Neither, or not known.
    Doubtful,
    /// The route that is shown.
    Chosen,
    /// Wants an answer, or has one.
    Prompt,
}

/// Of a verdict's or a state's word.
pub(super) fn tone(word: &str) -> Tone {
    match word {
        "ok" | "up" => Tone::Good,
        "bad" | "tripped" | "down" | "trip" => Tone::Bad,
        "unknown" => Tone::Doubtful,
        _ => Tone::Plain,
    }
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Coloured,
    Plain,
}

impl Theme {
    pub(super) fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        let (colour, modifier) = match tone {
            Tone::Plain => (None, Modifier::empty()),
            Tone::Faint => (None, Modifier::DIM),
            Tone::Heading => (None, Modifier::BOLD),
            Tone::Good => (Some(Color::Green), Modifier::empty()),
            Tone::Bad => (Some(Color::Red), Modifier::BOLD),
            Tone::Doubtful => (Some(Color::Yellow), Modifier::empty()),
            Tone::Chosen => (None, Modifier::REVERSED),
            Tone::Prompt => (Some(Color::Yellow), Modifier::BOLD),
        };
        let style = style.add_modifier(modifier);
        match (self, colour) {
            (Self::Coloured, Some(colour)) => style.fg(colour),
            _ => style,
        }
    }
}
