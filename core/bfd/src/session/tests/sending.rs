//! RFC 5880 §6.8.2, §6.8.3, §6.8.7, §6.6.

use super::*;

fn is_between(gap: Duration, least_ms: u64, most_ms: u64) -> bool {
    (Duration::from_millis(least_ms)..=Duration::from_millis(most_ms)).contains(&gap)
}

#[test]
fn jitter_takes_0_to_25_percent_off_and_10_to_25_where_one_packet_counts() {
    let interval = ms(1_000);
    for (is_alone, least, most) in [(false, 750_000, 1_000_000), (true, 750_000, 900_000)] {
        assert_eq!(jittered(interval, is_alone, 0), Duration::from_micros(least));
        assert_eq!(jittered(interval, is_alone, u32::MAX), Duration::from_micros(most));
        let mut random = Random::new(1);
        let draws: Vec<_> = (0..10_000).map(|_| jittered(interval, is_alone, random.draw())).collect();
        let mean = draws.iter().sum::<Duration>() / 10_000;
        let middle = Duration::from_micros(u64::midpoint(least, most));
        assert!(mean.abs_diff(middle) < Duration::from_millis(3), "{mean:?}");
    }
    assert_eq!(
        jittered(Interval::from_micros(u32::MAX), false, u32::MAX),
        Duration::from_micros(u32::MAX.into())
    );
}

#[test]
fn a_session_that_is_not_up_sends_no_oftener_than_once_in_a_second() {
    for config in [config(10, 10, 3), config(300, 300, 3)] {
        let mut session = new_session(config);
        let sent = run(&mut session, at(60_000));
        assert!(gaps(&sent).iter().all(|gap| is_between(*gap, 750, 1_000)), "{:?}", gaps(&sent));
        assert!(sent.iter().all(|(_, packet)| packet.desired_min_tx == ms(1_000)));
        session.disable(at(60_000));
        drain(&mut session);
        let sent = run(&mut session, at(120_000));
        assert!(sent.len() >= 60 && gaps(&sent).iter().all(|gap| is_between(*gap, 750, 1_000)));
        let mut session = new_session(config);
        let sent = run_with(&mut session, packet(State::Down), 0, 60_000);
        assert_eq!(session.state(), State::Init);
        assert!(gaps(&sent).iter().all(|gap| is_between(*gap, 750, 1_000)), "{:?}", gaps(&sent));
    }
    let slow = new_session(config(30_000, 300, 3));
    assert_eq!(slow.tx_interval(), Some(ms(30_000)));
}

#[test]
fn packets_go_at_the_slower_of_what_both_sides_can() {
    for (own_tx, peer_rx, mult, least, most) in [
        (300, 300, 3, 225, 300),
        (50, 400, 3, 300, 400),
        (400, 50, 3, 300, 400),
        (100, 100, 1, 75, 90),
        (10, 0, 3, 0, 0),
    ] {
        let mut session = up_session(config(own_tx, 300, mult));
        let says = Control { required_min_rx: ms(peer_rx), ..packet(State::Up) };
        run_with(&mut session, says, 100, 1_000);
        let sent = run_with(&mut session, says, 1_000, 30_000);
        if peer_rx == 0 {
            assert_eq!((sent.len(), session.tx_interval()), (0, None));
            continue;
        }
        assert!(gaps(&sent).iter().all(|gap| is_between(*gap, least, most)), "{:?}", gaps(&sent));
        let spread: alloc::collections::BTreeSet<_> = gaps(&sent).into_iter().collect();
        assert!(spread.len() > 20, "each gap is drawn anew");
    }
}

#[test]
fn a_shorter_interval_of_the_peers_counts_from_the_last_packet() {
    let mut session = up_session(config(10, 300, 3));
    let slow = Control { required_min_rx: ms(10_000), desired_min_tx: ms(10_000), ..packet(State::Up) };
    tell(&mut session, slow, at(100));
    let last = session.sent.unwrap().0;
    // Passed already: at once.
    tell(&mut session, Control { required_min_rx: ms(20), ..slow }, at(200));
    let (due, timer) = session.poll_timeout().unwrap();
    assert!(due <= last + Duration::from_millis(20) && due < at(200) && timer == Timer::Transmit, "{due}");
    session.handle_timeout(at(200));
    assert_eq!(drain(&mut session).len(), 1);
    // Not passed yet: when it has.
    tell(&mut session, slow, at(201));
    tell(&mut session, Control { required_min_rx: ms(100), ..slow }, at(210));
    let (due, _) = session.poll_timeout().unwrap();
    assert!(is_between(due.saturating_since(at(200)), 75, 100), "{due}");
    // A longer one counts at once too.
    tell(&mut session, Control { required_min_rx: ms(400), ..slow }, at(220));
    let (due, _) = session.poll_timeout().unwrap();
    assert!(is_between(due.saturating_since(at(200)), 300, 400), "{due}");
}

#[test]
fn a_change_of_state_is_told_between_the_periodic_packets() {
    let mut session = new_session(Config::default());
    let told = tell(&mut session, packet(State::Down), at(1));
    assert_eq!(told.iter().map(|packet| packet.state).collect::<Vec<_>>(), [State::Init]);
    assert_eq!(told[0].your_discriminator, Some(discr(9)));
    assert_eq!(tell(&mut session, packet(State::Down), at(2)), [], "nothing new");
    let told = tell(&mut session, packet(State::Up), at(3));
    assert_eq!(told.iter().map(|packet| packet.state).collect::<Vec<_>>(), [State::Up]);
    let told = tell(&mut session, packet(State::AdminDown), at(4));
    assert_eq!(told.iter().map(|packet| packet.state).collect::<Vec<_>>(), [State::Down]);
}

#[test]
fn a_passive_session_says_nothing_before_it_hears_and_after_it_hears_no_more() {
    let mut session = Session::new(discr(7), passive(), 42, at(0));
    assert_eq!((session.poll_transmit(), session.poll_timeout()), (None, None));
    session.handle_timeout(at(5_000));
    assert_eq!(session.poll_transmit(), None);
    let told = tell(&mut session, packet(State::Down), at(6_000));
    assert_eq!((told.len(), told[0].state), (1, State::Init));
    assert!(!run_with(&mut session, packet(State::Init), 6_010, 9_000).is_empty());
    assert_eq!(session.state(), State::Up);
    let heard = session.detection_due().unwrap() - session.detection_time().unwrap();
    run(&mut session, at(20_000));
    assert_eq!(session.state(), State::Down);
    assert_eq!(session.sent.map(|(sent, _)| sent < heard + Duration::from_millis(900)), Some(true));
    assert_eq!(session.poll_timeout(), None);
    session.disable(at(20_000));
    assert_eq!(session.poll_transmit(), None);
}

#[test]
fn a_passive_session_that_is_polled_first_sends_periodically_too() {
    let mut session = Session::new(discr(7), passive(), 42, at(0));
    let told = tell(&mut session, Control { is_poll: true, ..packet(State::Down) }, at(10));
    assert_eq!(told.iter().map(|packet| packet.is_final).collect::<Vec<_>>(), [true]);
    assert!(session.transmit_due().is_some_and(|due| due <= at(1_010)));
}

#[test]
fn a_peer_that_wants_no_periodic_packets_is_told_only_news_and_finals() {
    let mut session = up_session(Config::default());
    let says = Control { required_min_rx: Interval::ZERO, ..packet(State::Up) };
    tell(&mut session, says, at(100));
    assert_eq!(run_with(&mut session, says, 150, 10_000), []);
    let told = tell(&mut session, Control { is_poll: true, ..says }, at(10_000));
    assert_eq!(told.iter().map(|packet| packet.is_final).collect::<Vec<_>>(), [true]);
    let told = tell(&mut session, Control { state: State::Down, ..says }, at(10_010));
    assert_eq!(told.iter().map(|packet| packet.state).collect::<Vec<_>>(), [State::Down]);
    tell(&mut session, packet(State::Down), at(10_020));
    assert!(session.tx_interval().is_some(), "it wants them again");

    let mut session = up_session(Config::default());
    tell(&mut session, says, at(100));
    let told = configure(&mut session, config(400, 300, 3), at(110));
    assert_eq!(
        told.iter().map(|packet| (packet.is_poll, packet.desired_min_tx)).collect::<Vec<_>>(),
        [(true, ms(400))]
    );
}

#[test]
fn a_poll_is_answered_at_once_whatever_else_holds_packets_back() {
    let poll = |state| Control { is_poll: true, ..packet(state) };
    let is_final = |told: &[Control]| told.iter().filter(|packet| packet.is_final).count() == 1;
    let mut session = new_session(Config::default());
    for (state, time) in [(State::Up, 1), (State::Down, 2), (State::Down, 3), (State::Up, 4), (State::Up, 5)]
    {
        let told = tell(&mut session, poll(state), at(time));
        assert!(is_final(&told), "{state:?} at {time}");
        assert!(told.iter().all(|packet| !(packet.is_final && packet.is_poll)));
    }
    for silencing in [
        Control { required_min_rx: Interval::ZERO, ..poll(State::Up) },
        Control { is_demand: true, ..poll(State::Up) },
        Control { required_min_rx: ms(60_000), ..poll(State::Up) },
    ] {
        let mut session = up_session(Config::default());
        assert!(is_final(&tell(&mut session, silencing, at(20))));
        assert!(is_final(&tell(&mut session, silencing, at(21))));
    }
}

#[test]
fn answers_to_polls_hold_up_no_periodic_packet() {
    let mut session = up_session(Config::default());
    let poll = Control { is_poll: true, ..packet(State::Up) };
    let sent = run_with(&mut session, poll, 50, 10_000);
    let periodic: Vec<_> = sent.into_iter().filter(|(_, packet)| !packet.is_final).collect();
    assert!(gaps(&periodic).iter().all(|gap| is_between(*gap, 225, 300)), "{:?}", gaps(&periodic));
    assert!(periodic.len() > 30);
}

#[test]
fn a_peer_in_demand_mode_gets_periodic_packets_only_for_a_poll_sequence() {
    let mut session = up_session(Config::default());
    let demand = Control { is_demand: true, ..packet(State::Up) };
    tell(&mut session, demand, at(100));
    assert_eq!(run_with(&mut session, demand, 150, 10_000), []);
    // §6.6: any news is polled for, until Final.
    let told = configure(&mut session, config(300, 300, 5), at(10_000));
    assert_eq!(
        told.iter().map(|packet| (packet.is_poll, packet.detect_mult.get())).collect::<Vec<_>>(),
        [(true, 5)]
    );
    let sent = run_with(&mut session, demand, 10_000, 12_000);
    assert!(sent.len() > 5 && sent.iter().all(|(_, packet)| packet.is_poll));
    tell(&mut session, Control { is_final: true, ..demand }, at(12_000));
    assert_eq!(run_with(&mut session, demand, 12_050, 20_000), []);
    configure(&mut session, config(400, 300, 5), at(20_000));
    session.handle_timeout(at(20_000));
    assert_eq!(drain(&mut session).iter().map(|packet| packet.is_poll).collect::<Vec<_>>(), [true]);
    tell(&mut session, Control { is_final: true, ..demand }, at(20_000));
    // Demand mode ends with the bit, and with Up.
    assert!(!run_with(&mut session, packet(State::Up), 20_000, 21_000).is_empty());
    tell(&mut session, demand, at(21_000));
    tell(&mut session, Control { state: State::Down, ..demand }, at(21_010));
    assert!(session.tx_interval().is_some());
    // Silence counts as ever: it is not this side that is in Demand mode.
    let mut session = up_session(Config::default());
    tell(&mut session, demand, at(100));
    run(&mut session, at(1_000));
    assert_eq!(session.state(), State::Down);
}

#[test]
fn this_side_never_asks_for_demand_mode_and_for_echo_packets_only_where_it_is_to() {
    let mut session = up_session(Config::default());
    let says = Control { is_poll: true, is_demand: true, required_min_echo_rx: ms(50), ..packet(State::Up) };
    let sent = run_with(&mut session, says, 50, 3_000);
    assert!(!sent.is_empty());
    for (_, packet) in sent {
        assert_eq!((packet.is_demand, packet.required_min_echo_rx), (false, Interval::ZERO));
        assert!(!packet.is_control_plane_independent);
    }
}
