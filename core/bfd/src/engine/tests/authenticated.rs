//! RFC 5880 §6.7, §6.8.6.

use super::*;
use crate::authentication::{Authentication, Key};
use alloc::string::ToString;
use ferrolb_wire::bfd::AuthType;

fn sha1(id: u8, secret: &str) -> Config {
    let key = Key::new(id, secret.as_bytes()).unwrap();
    let authentication = Authentication::new(AuthType::MeticulousKeyedSha1, key, None).unwrap();
    Config { authentication: Some(authentication), ..Config::default() }
}

/// An engine with one session, of that discriminator, with a peer at 192.0.2.1.
fn side(local_discr: u32, config: Config) -> Engine {
    let mut engine = Engine::default();
    engine.add(single(2, "192.0.2.1"), session(local_discr, config)).unwrap();
    engine
}

/// What `from` has to say, each packet told to `to`.
fn exchange(from: &mut Engine, to: &mut Engine, ms: u64) -> Vec<Result<NonZeroU32, Discarded>> {
    let told = drain(from);
    told.iter().map(|sent| to.handle_packet(arrival(sent.path), &sent.payload, at(ms))).collect()
}

#[test]
fn sessions_come_up_with_one_secret_and_not_with_two() {
    for (theirs, is_up) in [("secret", true), ("another", false)] {
        let (mut one, mut two) = (side(1, sha1(7, "secret")), side(2, sha1(7, theirs)));
        for ms in 10..20 {
            exchange(&mut one, &mut two, ms);
            exchange(&mut two, &mut one, ms);
        }
        for (engine, local_discr) in [(&one, 1), (&two, 2)] {
            assert_eq!(engine.session(discr(local_discr)).unwrap().state() == State::Up, is_up);
            assert_eq!(engine.discards().contains_key("authentication_mismatch"), !is_up);
        }
    }
}

#[test]
fn a_packet_that_is_said_again_by_another_is_discarded() {
    let (mut one, mut two) = (side(1, sha1(7, "secret")), side(2, sha1(7, "secret")));
    for ms in 10..20 {
        exchange(&mut one, &mut two, ms);
        exchange(&mut two, &mut one, ms);
    }
    one.disable(discr(1), at(20));
    let down = drain(&mut one);
    let told = arrival(single(2, "192.0.2.1"));
    assert_eq!(two.handle_packet(told, &down[0].payload, at(20)), Ok(discr(2)));
    one.enable(discr(1), at(30));
    for ms in 30..40 {
        exchange(&mut one, &mut two, ms);
        exchange(&mut two, &mut one, ms);
    }
    let replayed = two.handle_packet(told, &down[0].payload, at(40)).unwrap_err();
    assert_eq!(replayed.reason(), "authentication_sequence");
    assert_eq!(two.session(discr(2)).unwrap().state(), State::Up);
}

#[test]
fn authentication_can_be_turned_on_and_off_by_configuration() {
    let (mut one, mut two) = (side(1, Config::default()), side(2, Config::default()));
    let configs = [Config::default(), sha1(7, "secret"), sha1(9, "other"), Config::default()];
    for (start, config) in (0..).step_by(100).zip(configs) {
        for (engine, local_discr) in [(&mut one, 1), (&mut two, 2)] {
            drain(engine);
            engine.set_config(discr(local_discr), config, at(start));
            // Something to tell.
            engine.disable(discr(local_discr), at(start));
            engine.enable(discr(local_discr), at(start));
        }
        for ms in start..start + 10 {
            exchange(&mut one, &mut two, ms);
            exchange(&mut two, &mut one, ms);
        }
        for (engine, local_discr) in [(&one, 1), (&two, 2)] {
            assert_eq!(engine.session(discr(local_discr)).unwrap().state(), State::Up, "{config:?}");
        }
    }
}

#[test]
fn who_goes_on_counts_on_and_takes_no_packet_from_before() {
    let config = sha1(7, "secret");
    let (mut one, mut two) = (side(1, config), side(2, config));
    for ms in 10..20 {
        exchange(&mut one, &mut two, ms);
        exchange(&mut two, &mut one, ms);
    }
    two.handle_timeout(at(400));
    let told = drain(&mut two);
    let from = arrival(single(2, "192.0.2.1"));
    assert_eq!(one.handle_packet(from, &told[0].payload, at(400)), Ok(discr(1)));
    let resumption = one.resumption(discr(1)).unwrap().to_string().parse::<Resumption>().unwrap();
    let mut next = Engine::default();
    assert_eq!(next.resume(from.path, &resumption, config, at(500)), Ok(()));
    assert_eq!(exchange(&mut next, &mut two, 500), [Ok(discr(2))]);
    let replayed = next.handle_packet(from, &told[0].payload, at(510)).unwrap_err();
    assert_eq!(replayed.reason(), "authentication_sequence");
    two.handle_timeout(at(800));
    assert_eq!(exchange(&mut two, &mut next, 800), [Ok(discr(1))]);

    let elsewhere = single(3, "192.0.2.1");
    assert_eq!(next.resume(elsewhere, &resumption, config, at(810)), Err(AddError::DiscriminatorTaken));
    assert_eq!(two.resume(from.path, &resumption, config, at(810)), Err(AddError::PathTaken));
    assert_eq!((one.resumption(discr(2)), two.resumption(discr(1))), (None, None));
}
