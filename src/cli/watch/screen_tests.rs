//! Keys, and what comes of them.

use proptest::prelude::*;

use super::*;

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: Timestamp::UNIX_EPOCH,
    }
}

fn route(name: &str, weight: f64) -> Route {
    Route {
        name: name.to_owned(),
        state: "steady".to_owned(),
        weight,
        next_step: Some(25.0),
        ..Route::default()
    }
}

fn seen(routes: Vec<Route>) -> Seen {
    Seen {
        routes,
        ..Seen::default()
    }
}

fn screen() -> Screen {
    let routes = vec![route("a", 5.0), route("b", 0.0)];
    Screen::new("s".to_owned(), None, seen(routes), now())
}

fn type_in(screen: &mut Screen, text: &str) -> Vec<Effect> {
    let key = |char| match char {
        '\n' => Key::Enter,
        '\t' => Key::NextRoute,
        char => Key::Char(char),
    };
    text.chars()
        .filter_map(|char| screen.press(key(char), Instant::now()))
        .collect()
}

/// What the keys have ordered, in the admin socket's words.
fn ordered(screen: &mut Screen, text: &str) -> Vec<String> {
    let said = |effect| match effect {
        Effect::Ask(asked) => asked.words().join(" "),
        Effect::Quit => "quit".to_owned(),
    };
    type_in(screen, text).into_iter().map(said).collect()
}

#[test]
fn going_back_is_one_key_and_a_y() {
    assert_eq!(
        ordered(&mut screen(), "by"),
        ["BACK a REASON from status --watch"]
    );
    assert_eq!(ordered(&mut screen(), "bn").len(), 0);
    assert_eq!(ordered(&mut screen(), "yyyb").len(), 0);
}

#[test]
fn every_order_is_confirmed_first() {
    assert_eq!(ordered(&mut screen(), "ry"), ["WEIGHT a 25.00"]);
    assert_eq!(ordered(&mut screen(), "w12.5\ny"), ["WEIGHT a 12.50"]);
    assert_eq!(ordered(&mut screen(), "sy"), ["RAMP a START"]);
    let mut ramping = screen();
    ramping.seen.routes[0].state = "ramping".to_owned();
    assert_eq!(ordered(&mut ramping, "py"), ["RAMP a PAUSE"]);
    ramping.pending.clear();
    ramping.seen.routes[0].paused = Some("by the operator".to_owned());
    assert_eq!(ordered(&mut ramping, "py"), ["RAMP a RESUME"]);
    ramping.pending.clear();
    assert_eq!(ordered(&mut ramping, "xy"), ["RAMP a ABORT"]);
    for letters in ["r\n", "w5\n\n", "sn", "r\t"] {
        assert_eq!(ordered(&mut screen(), letters).len(), 0, "{letters:?}");
    }
}

#[test]
fn a_leap_and_arming_take_the_routes_name() {
    assert_eq!(ordered(&mut screen(), "w50\ny\n").len(), 0);
    assert_eq!(ordered(&mut screen(), "w50\na\n"), ["WEIGHT a 50.00"]);
    let mut latched = screen();
    latched.seen.routes[0].is_latched = true;
    assert_eq!(ordered(&mut latched, "ay\n").len(), 0);
    assert_eq!(ordered(&mut latched, "aa\n"), ["ARM a"]);
    assert_eq!(
        ordered(&mut screen(), "aa\n").len(),
        0,
        "what is armed is not armed again"
    );
}

#[test]
fn what_is_no_percentage_is_told_and_nothing_is_done() {
    for typed in ["101", "1.234", ".", "", "1..2"] {
        let mut screen = screen();
        assert_eq!(
            ordered(&mut screen, &format!("w{typed}\ny\na\n")).len(),
            0,
            "{typed}"
        );
    }
    let mut screen = screen();
    type_in(&mut screen, "w101\n");
    assert!(screen.told.unwrap().text.contains("from 0 to 100"));
}

#[test]
fn the_shown_route_is_the_one_that_is_ordered_about() {
    assert_eq!(
        ordered(&mut screen(), "\tby"),
        ["BACK b REASON from status --watch"]
    );
    assert_eq!(
        ordered(&mut screen(), "\t\tby"),
        ["BACK a REASON from status --watch"]
    );
    let mut back = screen();
    back.press(Key::PreviousRoute, Instant::now());
    assert_eq!(back.route().unwrap().name, "b");
}

#[test]
fn a_route_that_changes_while_one_hesitates_is_not_changed_by_an_old_thought() {
    let mut screen = screen();
    type_in(&mut screen, "r");
    screen.heard(seen(vec![route("a", 50.0)]), now());
    assert_eq!(screen.mode, Mode::Watching);
    assert_eq!(
        screen.told.as_ref().unwrap().text,
        "a is at 50.00 % meanwhile; nothing was done"
    );
    assert_eq!(ordered(&mut screen, "y").len(), 0);
    type_in(&mut screen, "b");
    let mut tripped = route("a", 0.0);
    tripped.is_latched = true;
    screen.heard(seen(vec![tripped]), now());
    assert_eq!(
        ordered(&mut screen, "y").len(),
        1,
        "going back is right all the same"
    );
}

#[test]
fn going_back_waits_for_no_other_answer_and_for_no_typing() {
    let mut waiting = screen();
    assert_eq!(ordered(&mut waiting, "ry").len(), 1);
    assert_eq!(ordered(&mut waiting, "sys").len(), 0, "one order at a time");
    assert!(
        waiting
            .told
            .as_ref()
            .unwrap()
            .text
            .starts_with("no answer yet: raise a")
    );
    assert_eq!(ordered(&mut waiting, "by"), ["BACK a REASON from status --watch"]);
    assert_eq!(ordered(&mut waiting, "by").len(), 0, "it is under way");
    for typed in ["w12by", "rby", "sby"] {
        assert_eq!(
            ordered(&mut screen(), typed),
            ["BACK a REASON from status --watch"],
            "{typed}"
        );
    }
}

#[test]
fn an_answer_ends_the_wait_and_is_told() {
    let mut screen = screen();
    let effects = type_in(&mut screen, "ry");
    let [Effect::Ask(asked)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    screen.answered(asked, Err("FROZEN rule=link_down".to_owned()));
    let told = screen.told.clone().unwrap();
    assert_eq!(told.text, "raise a from 5.00 % to 25.00 %: FROZEN rule=link_down");
    assert!(!told.is_good && screen.pending.is_empty());
    assert_eq!(ordered(&mut screen, "ry").len(), 1);
}

#[test]
fn silence_is_told_with_its_beginning_and_forbids_all_but_going_back() {
    let mut screen = screen();
    let (start, later) = (Instant::now(), Instant::now() + SILENCE * 2);
    assert_eq!(screen.silence(start), None);
    let (since, why) = screen.silence(later).unwrap();
    assert_eq!(
        (since, why.as_str()),
        (Timestamp::UNIX_EPOCH, "no answer for 7 s")
    );
    screen.missed("it closed the connection".to_owned());
    assert_eq!(screen.silence(start).unwrap().1, "it closed the connection");
    assert_eq!(ordered(&mut screen, "ryr").len(), 0);
    assert!(screen.told.as_ref().unwrap().text.contains("not reachable"));
    assert_eq!(ordered(&mut screen, "by").len(), 1);
    screen.heard(seen(vec![route("a", 1.0)]), now());
    assert_eq!(screen.silence(Instant::now()), None);
}

#[test]
fn a_route_that_is_gone_gives_way_to_the_first() {
    let mut screen = screen();
    type_in(&mut screen, "\t");
    screen.heard(seen(vec![route("a", 1.0)]), now());
    assert_eq!(screen.route().unwrap().name, "a");
    screen.heard(Seen::default(), now());
    assert_eq!(screen.route(), None);
    assert_eq!(ordered(&mut screen, "brws\t\n").len(), 0);
}

#[test]
fn q_ends_it_while_nothing_is_typed_and_ctrl_c_always() {
    assert_eq!(ordered(&mut screen(), "q"), ["quit"]);
    assert_eq!(ordered(&mut screen(), "w1q").len(), 0);
    let mut screen = screen();
    type_in(&mut screen, "w1");
    assert_eq!(screen.press(Key::Interrupt, Instant::now()), Some(Effect::Quit));
}

proptest! {
    #[test]
    fn no_keys_order_more_than_was_confirmed(text in "[a-z0-9.\n\t]{0,60}") {
        let mut screen = screen();
        let asks = ordered(&mut screen, &text);
        let asks = asks.iter().filter(|words| *words != "quit").count();
        let proofs = text.matches(['y', '\n']).count();
        prop_assert!(asks <= proofs && screen.pending.len() <= 3);
    }
}
