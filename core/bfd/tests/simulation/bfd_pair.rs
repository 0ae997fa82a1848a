//! Two sessions, with everything between them that can go wrong, in the order that an input says.

use std::time::Duration;

use ferrolb_bfd::{Config, Engine, Event};
use ferrolb_wire::bfd::State;

use crate::choices::Choices;
use crate::driver::Target;
use crate::link::{BOTH, End, Link, SECOND, config};

/// Seed, delays, two configurations of two intervals and a multiplier; then for each disturbance the end,
/// which, what it takes, and how long it lasts.
const CORPUS: [&[u8]; 5] = [
    &[0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 8, 20],
    &[1, 2, 1, 0, 0, 0, 2, 2, 1, 0, 4, 1, 0, 1, 60, 1, 6, 40, 30, 0, 8, 10],
    &[2, 3, 0, 0, 2, 1, 0, 1, 0, 1, 1, 90, 0, 7, 10, 1, 3, 1, 1, 1, 50, 0, 8, 10],
    &[3, 4, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 40, 1, 2, 30, 1, 2, 30, 0, 6, 250, 90, 1, 8, 10],
    &[4, 5, 0, 1, 0, 0, 0, 1, 0, 1, 5, 60, 0, 6, 3, 50, 1, 5, 60, 0, 7, 10, 0, 8, 10],
];

/// More than it takes two sessions to forget what was and to come up.
const LONG: Duration = Duration::from_secs(15);

#[test]
fn whatever_happens_silence_is_noticed_in_time_and_nothing_else_is_taken_for_it() {
    let corpus = CORPUS.map(<[u8]>::to_vec).into();
    let target = Target { name: "bfd_pair", corpus, octets_max: 100, executions: 1_500 };
    target.run(|input| {
        let mut choices = Choices::new(input);
        let mut link = Link::new(choices.word());
        link.delay_us = choices.one_of(&[50..1_000, 50..20_000]);
        for end in BOTH {
            let config = timing(&mut choices);
            link.begin(end, 1, config);
        }
        let mut downs = Vec::new();
        while !choices.is_empty() {
            let end = choices.one_of(&BOTH);
            disturb(&mut link, end, &mut choices);
            // From nothing to 8 s, mostly short.
            let quarters = u64::from(choices.octet());
            link.run(Duration::from_millis(quarters * quarters / 8));
            downs.extend(std::mem::take(&mut link.told).into_iter().filter_map(|told| match told.event {
                Event::Down { why, .. } => Some(why.reason()),
                Event::Up { .. } => None,
            }));
        }
        heal(&mut link);
        format!("{:?}", downs.split_off(downs.len().saturating_sub(3)))
    });
}

/// Intervals and multipliers that leave room for the delays.
fn timing(choices: &mut Choices<'_>) -> Config {
    let [tx, rx] = [(); 2].map(|()| choices.one_of(&[50, 300, 1_000]));
    config(tx, rx, choices.one_of(&[3, 5]))
}

fn disturb(link: &mut Link, end: End, choices: &mut Choices<'_>) {
    let which = choices.octet() % 9;
    if which != 2 {
        wake(link, end);
    }
    match which {
        0 => link.loss_per_mille = choices.one_of(&[0, 100, 500]),
        1 => {
            link.cut.insert(end);
        }
        2 if link.is_stopped(end) => link.resume(end),
        2 => link.stop(end),
        3 => {
            let config = timing(choices);
            link.crash(end);
            link.begin(end, 1, config);
        }
        4 => {
            let config = timing(choices);
            link.configure(end, config);
        }
        5 if link.session(end).state() == State::AdminDown => link.change_each(end, Engine::enable),
        5 => link.change_each(end, Engine::disable),
        6 => replace(link, end, Duration::from_millis(choices.octet().into())),
        7 => be_silent(link),
        _eight => heal(link),
    }
}

/// Another process goes on where that at `end` ends, or begins anew.
fn replace(link: &mut Link, end: End, gap: Duration) {
    let config = link.session(end).config();
    let sessions = link.hand_over(end);
    link.run(gap);
    if sessions.is_empty() {
        link.begin(end, 1, config);
    } else {
        link.take_over(end, sessions);
    }
}

/// Nobody hears anything for the longer of the two Detection Times: neither is up after it.
fn be_silent(link: &mut Link) {
    BOTH.into_iter().for_each(|end| wake(link, end));
    link.cut = BOTH.into();
    link.run(link.delay_max());
    let times = BOTH.map(|end| link.session(end).detection_time());
    link.run(times.into_iter().flatten().max().unwrap_or_default());
    assert!(BOTH.into_iter().all(|end| link.session(end).state() != State::Up));
    link.cut.clear();
}

/// Everything works again: both come up, agree, and stay so.
fn heal(link: &mut Link) {
    link.loss_per_mille = 0;
    link.cut.clear();
    for end in BOTH {
        wake(link, end);
        if link.session(end).state() == State::AdminDown {
            link.change_each(end, Engine::enable);
        }
    }
    link.run(LONG);
    assert!(link.is_up());
    for end in BOTH {
        let [own, peer] = [end, end.other()].map(|end| link.session(end));
        assert_eq!(own.detection_time(), Some(peer.peer_detection_time()));
    }
    link.told.clear();
    link.run(5 * SECOND);
    assert_eq!(link.told, []);
}

fn wake(link: &mut Link, end: End) {
    if link.is_stopped(end) {
        link.resume(end);
    }
}
