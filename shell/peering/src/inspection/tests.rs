use super::*;
use std::future::{pending, ready};
use tokio::task::JoinHandle;

fn name(test: &str) -> String {
    format!("ferrolb/test/{}/inspect/{test}", std::process::id())
}

fn about(topic: Topic) -> Question {
    Question { topic, peer: None }
}

/// A speaker that answers with what it is asked.
fn echo(test: &str) -> (String, JoinHandle<()>) {
    let name = name(test);
    let inspection = Inspection::listen(&name).unwrap();
    let serving = inspection.serve(|question| ready(Ok(format!("{:?}", (question.topic, question.peer)))));
    (name, tokio::spawn(serving))
}

/// What comes back for these octets, whatever they are.
async fn say(name: &str, octets: &[u8]) -> String {
    let mut stream = connect(name).unwrap();
    stream.write_all(octets).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    // Whose question was not read to its end finds the connection reset behind the answer.
    timeout(ANSWER_TIMEOUT, stream.read_to_end(&mut heard)).await.expect("it ends").ok();
    String::from_utf8(heard).unwrap()
}

#[tokio::test]
async fn a_question_has_its_answer_and_the_next_speaker_takes_the_name() {
    let (name, serving) = echo("answer");
    let peer = Some("metallb-system/tor".to_owned());
    let asked = Question { topic: Topic::Advertised, peer };
    assert_eq!(ask(&name, &asked).await.unwrap(), "(Advertised, Some(\"metallb-system/tor\"))");
    assert_eq!(ask(&name, &about(Topic::Recording)).await.unwrap(), "(Recording, None)");
    assert!(Inspection::listen(&name).is_err(), "the name is taken");
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert!(Inspection::listen(&name).is_ok(), "the name is free");
}

#[tokio::test]
async fn where_nobody_listens_it_is_said_what_to_do() {
    let error = ask(&name("nobody"), &about(Topic::Sessions)).await.unwrap_err();
    assert!(matches!(error, AskError::NoSpeaker), "{error:?}");
    assert!(error.to_string().contains("kubectl exec"), "{error}");
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_the_reason_and_the_next_is_answered() {
    let (name, _serving) = echo("refused");
    let long = "x".repeat(2_000);
    for (line, expected) in [
        ("2 sessions\n", "questions of version 1"),
        ("1 secrets\n", "nothing about \"secrets\""),
        ("1 sessions a b\n", "found \"b\" too"),
        ("", "questions of version 1"),
        ("1 sessions", "questions of version 1"),
        (long.as_str(), "questions of version 1"),
    ] {
        let heard = say(&name, line.as_bytes()).await;
        assert!(heard.starts_with("no ") && heard.contains(expected), "{heard}");
    }
    assert_eq!(say(&name, b"\xff\n").await, "", "what is no text has no answer");
    assert_eq!(ask(&name, &about(Topic::Sessions)).await.unwrap(), "(Sessions, None)");
}

#[tokio::test]
async fn a_speaker_says_why_it_gives_no_answer() {
    let name = name("why");
    let inspection = Inspection::listen(&name).unwrap();
    let _serving = tokio::spawn(inspection.serve(|question: Question| {
        ready(match question.topic {
            Topic::Sessions => Err("there is no such peer".to_owned()),
            Topic::Advertised | Topic::Recording => Ok("x".repeat(ANSWER_MAX + 1)),
        })
    }));
    let error = ask(&name, &about(Topic::Sessions)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no such peer");
    let error = ask(&name, &about(Topic::Advertised)).await.unwrap_err().to_string();
    assert!(error.contains("16777217 octets"), "{error}");
}

#[tokio::test]
async fn so_many_are_attended_to_at_once_and_who_goes_makes_room() {
    let name = name("many");
    let inspection = Inspection::listen(&name).unwrap();
    let _serving = tokio::spawn(inspection.serve(|question: Question| async move {
        match question.topic {
            Topic::Sessions => Ok("here".to_owned()),
            Topic::Advertised | Topic::Recording => pending().await,
        }
    }));
    let mut silent: Vec<_> = (0..ASKERS_MAX).map(|_| connect(&name).unwrap()).collect();
    let question = about(Topic::Sessions);
    let mut last = Box::pin(ask(&name, &question));
    let waits = timeout(Duration::from_millis(50), &mut last).await;
    assert!(waits.is_err(), "nobody attends to the last: {waits:?}");
    silent.pop();
    assert_eq!(last.await.unwrap(), "here");
}

#[test]
fn an_answer_that_claims_more_than_the_bound_or_nothing_known_is_not_read() {
    assert_eq!(parse_status("ok 0\n"), Some((true, 0)));
    assert_eq!(parse_status(&format!("no {ANSWER_MAX}\n")), Some((false, ANSWER_MAX)));
    let longer = format!("ok {}\n", ANSWER_MAX + 1);
    for line in ["", "ok 1", "ok\n", "ok x\n", "maybe 1\n", "ok -1\n", &longer] {
        assert_eq!(parse_status(line), None, "{line:?}");
    }
}

#[test]
fn a_name_with_blanks_is_no_second_question() {
    let asked = Question { topic: Topic::Sessions, peer: Some("a\n1 recording".to_owned()) };
    assert_eq!(asked.to_string(), "1 sessions a 1 recording");
    assert!(Question::parse(&format!("{asked}\n")).is_err());
}
