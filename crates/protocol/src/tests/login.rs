//! `start-ok` and what comes of it.

use super::{
    frames,
    script::{ALL_CAPABILITIES, Script},
};
use crate::{Config, Credentials, Event};

const REFUSED: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.";

fn logging_in(capabilities: &[&str]) -> Script {
    let mut script = Script::started();
    script.sends(&frames::start_ok("PLAIN", b"\0bob\0wrong", capabilities));
    assert_eq!(script.event_text(), "login bob by PLAIN");
    script
}

#[test]
fn the_password_is_handed_to_the_owner() {
    let mut script = Script::started();
    script.sends(&frames::start_ok("PLAIN", b"\0bob\0s3cret", &[]));
    let Event::Login(Credentials::Password {
        mechanism,
        user,
        password,
    }) = script.event()
    else {
        panic!("a login")
    };
    assert_eq!((mechanism.as_str(), user.as_str()), ("PLAIN", "bob"));
    assert_eq!(password.expose(), b"s3cret");
}

#[test]
fn amqplain_is_offered_too() {
    let response = b"\x05LOGINS\0\0\0\x03bob\x08PASSWORDS\0\0\0\x01x";
    let mut script = Script::started();
    script.sends(&frames::start_ok("AMQPLAIN", response, &[]));
    assert_eq!(script.event_text(), "login bob by AMQPLAIN");
}

#[test]
fn nothing_is_read_while_the_owner_checks() {
    let mut script = logging_in(&[]);
    assert!(!script.connection.wants_input());
    script
        .sends(&frames::tune_ok(2_047, 131_072, 0))
        .expect_quiet();
    assert!(!script.input.is_empty());
}

#[test]
fn a_refused_login_is_explained_to_those_who_can_take_it() {
    let mut script = logging_in(ALL_CAPABILITIES);
    script.connection.refuse_login("PLAIN", script.now);
    script.poll();
    script.expect_close(403, REFUSED, 0, 0).expect_quiet();
    // The end comes after three seconds, so that guessing stays slow; close-ok does not hasten it.
    script
        .advance(1.0)
        .sends(&frames::connection_close_ok())
        .expect_quiet();
    script.advance(1.9).expect_quiet();
    script.advance(0.1);
    assert_eq!(script.event_text(), "closed");
    assert!(script.connection.is_finished() && script.connection.may_linger());
}

#[test]
fn a_refused_login_is_silent_towards_others() {
    let mut script = logging_in(&["connection.blocked"]);
    script.connection.refuse_login("PLAIN", script.now);
    script.poll().expect_quiet();
    script.advance(2.9).expect_quiet();
    script.advance(0.1);
    assert_eq!(script.event_text(), "closed");
    assert!(!script.connection.may_linger());
}

#[test]
fn unknown_mechanisms_are_dropped_in_silence() {
    for mechanism in ["EXTERNAL", "ANONYMOUS", "plain", "", "RABBIT-CR-DEMO"] {
        let mut script = Script::started();
        script.sends(&frames::start_ok(mechanism, b"\0a\0b", ALL_CAPABILITIES));
        script.expect_silent_drop();
    }
}

#[test]
fn malformed_responses_are_dropped_in_silence() {
    let malformed: [(&str, &[u8]); 5] = [
        ("PLAIN", b""),
        ("PLAIN", b"authzid\0guest\0guest"),
        ("PLAIN", b"\0guest\0guest\0"),
        ("AMQPLAIN", b"\x05LOGINS\0\0\0\x03bob"),
        ("AMQPLAIN", b"\0guest\0guest"),
    ];
    for (mechanism, response) in malformed {
        let mut script = Script::started();
        script.sends(&frames::start_ok(mechanism, response, ALL_CAPABILITIES));
        script.expect_silent_drop();
    }
}

#[test]
fn a_name_that_nobody_can_have_is_a_refused_login() {
    let mut script = Script::started();
    script.sends(&frames::start_ok("PLAIN", b"\0\xff\0x", ALL_CAPABILITIES));
    assert_eq!(script.event_text(), format!("failed: 403 {REFUSED}"));
    script.expect_close(403, REFUSED, 0, 0).expect_quiet();
}

#[test]
fn external_and_anonymous_work_where_they_are_offered() {
    let mechanisms = ["EXTERNAL", "ANONYMOUS"];
    for mechanism in mechanisms {
        let offered = mechanisms.iter().map(ToString::to_string).collect();
        let mut script = Script::with_config(Config {
            mechanisms: offered,
            ..Config::default()
        });
        script.sends(frames::PROTOCOL_HEADER).expect_start();
        script.sends(&frames::start_ok(mechanism, b"", &[]));
        assert_eq!(script.event_text(), format!("login by {mechanism}"));
    }
}

#[test]
fn answers_without_a_question_do_nothing() {
    let mut script = Script::started();
    script.connection.accept_login(script.now);
    script.connection.refuse_login("PLAIN", script.now);
    script.connection.accept_open();
    script.connection.accept_secret();
    script.connection.accept_close(script.now);
    script.connection.accept_channel_close(1);
    script.poll().expect_quiet();
    script.sends(&frames::start_ok("PLAIN", b"\0bob\0x", &[]));
    assert_eq!(script.event_text(), "login bob by PLAIN");
}

#[test]
fn a_new_secret_waits_for_the_owner() {
    let mut script = Script::running();
    script.sends(&[frames::update_secret(b"t0ken"), frames::ack(1, 3)].concat());
    assert_eq!(script.event_text(), "secret t0ken: it expires");
    script.expect_quiet();
    assert!(!script.connection.wants_input());
    script.connection.accept_secret();
    script.poll();
    assert!(format!("{:?}", script.next_connection_method()).starts_with("UpdateSecretOk"));
    assert_eq!(script.event_text(), "channel 1 ack 3 false");
}

#[test]
fn a_refused_secret_ends_the_connection() {
    let mut script = Script::running();
    script.sends(&frames::update_secret(b"t0ken"));
    assert_eq!(script.event_text(), "secret t0ken: it expires");
    let text = "New secret was refused by one of the backends";
    let error = crate::ConnectionError::not_allowed(text).at(10, 70);
    script.connection.close(&error, script.now);
    script.poll();
    script.expect_close(530, &format!("NOT_ALLOWED - {text}"), 10, 70);
    script.sends(&frames::connection_close_ok());
    assert_eq!(script.event_text(), "closed");
}
