//! Joining, leaving, and what is left after.

use futures_util::FutureExt as _;
use towline::topics::Topics;
use towline::{CloseCode, ErrorKind, Message, Server};

use crate::topics::{connection, member, texts, topic};
use crate::wire::settle;

#[tokio::test(start_paused = true)]
async fn a_member_gets_what_is_published_after_it_joined_and_before_it_leaves() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let (first, at_first) = member(&topic).await;
    topic.publish("one").await;
    // Not delivered yet, and published before this one joins.
    let (second, at_second) = connection();
    topic.join(&second.sender()).now_or_never().unwrap().unwrap();
    topic.publish("two").await;
    assert_eq!(texts(&at_first).await, ["one", "two"]);
    assert_eq!(texts(&at_second).await, ["two"]);
    assert_eq!((topic.len(), topic.contains(&first), topic.contains(&second)), (2, true, true));
    topic.publish("three").await;
    // Not delivered yet, and not delivered after it has left.
    assert!(topic.leave(&second));
    assert!(!topic.leave(&second));
    assert_eq!(texts(&at_first).await, ["three"]);
    assert!(texts(&at_second).await.is_empty());
    assert_eq!((topic.len(), topic.contains(&second)), (1, false));
    assert_eq!(topic.members()[0].id, first.id());
    assert_eq!(topic.senders()[0].info().id, first.id());
}

#[tokio::test(start_paused = true)]
async fn joining_twice_is_once() {
    let topics = Topics::new();
    let (connection, far) = connection();
    assert!(topic(&topics).join(&connection).await.unwrap());
    assert!(!topic(&topics).join(&connection).await.unwrap());
    assert!(!topic(&topics).join(&connection.sender()).await.unwrap());
    topic(&topics).publish("once").await;
    assert_eq!(texts(&far).await, ["once"]);
    assert_eq!(topic(&topics).len(), 1);
    assert!(topic(&topics).leave(&connection));
    assert!(topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_get_it_but_the_author() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let (author, at_author) = member(&topic).await;
    let (_other, at_other) = member(&topic).await;
    topic.publish_except(&author, "said").await;
    topic.publish(vec![1, 2, 3]).await;
    settle().await;
    assert_eq!(at_author.hears().len(), 1);
    let heard = at_other.hears();
    assert_eq!(heard[0].text(), "said");
    assert_eq!(&heard[1].payload[..], [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_member_leaves_when_its_connection_closes_however_it_does() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let (closing, _far) = member(&topic).await;
    let (aborted, _far2) = member(&topic).await;
    let (dropped, _far3) = member(&topic).await;
    let (lost, far4) = member(&topic).await;
    let (_stays, far5) = member(&topic).await;
    closing.start_close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(topic.len(), 4);
    aborted.abort(CloseCode::NORMAL, "");
    assert_eq!(topic.len(), 3);
    drop(dropped);
    assert_eq!(topic.len(), 2);
    far4.fails_writes(std::io::ErrorKind::ConnectionReset);
    topic.publish("all that are left").await;
    assert_eq!(texts(&far5).await, ["all that are left"]);
    assert_eq!(topic.len(), 1);
    let error = topic.join(&closing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(topic.join(&lost).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(topic.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_gone_with_its_last_member_and_handle() {
    let topics = Topics::new();
    let mut kept = Vec::new();
    for number in 0..100 {
        let topic = topics.topic(format!("room/{number}")).unwrap();
        kept.push(member(&topic).await);
        topic.publish("hello").await;
    }
    settle().await;
    assert_eq!(topics.len(), 100);
    assert_eq!(topics.names().len(), 100);
    assert!(topics.get("room/99").is_some() && topics.get("room/100").is_none());
    kept.truncate(10);
    settle().await;
    assert_eq!(topics.len(), 10);
    let handle = topics.topic("room/0").unwrap();
    kept.clear();
    assert_eq!(topics.names()[..], [handle.name().into()]);
    drop(handle);
    assert!(topics.is_empty());
    let stats = topics.stats();
    assert_eq!((stats.topics, stats.members), (0, 0));
    assert_eq!((stats.published, stats.delivered, stats.skipped), (100, 100, 0));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_any_string_up_to_the_limit() {
    let topics = Topics::new();
    for name in ["", "room/*", "a.>", "räume", "a b\n", &"x".repeat(512)] {
        let topic = topics.topic(name).unwrap();
        assert_eq!(topic.name(), name);
    }
    let error = topics.topic("x".repeat(513)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTopic);
    assert!(error.to_string().contains("513") && error.to_string().contains("512"), "{error}");
    assert!(topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_in_many_topics() {
    let topics = Topics::new();
    let (connection, far) = connection();
    let all: Vec<_> = (0..200).map(|name| topics.topic(format!("{name}")).unwrap()).collect();
    for topic in &all {
        topic.join(&connection).await.unwrap();
    }
    for topic in all.iter().step_by(2) {
        assert!(topic.leave(&connection));
    }
    let mut expected = Vec::new();
    for topic in &all {
        topic.publish(topic.name()).await;
        expected.extend(topic.contains(&connection).then(|| topic.name().to_owned()));
    }
    let mut heard = texts(&far).await;
    heard.sort();
    expected.sort();
    assert_eq!((heard.len(), heard), (100, expected));
    drop(all);
    assert_eq!(topics.stats().members, 100);
    drop(connection);
    assert!(topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_has_topics_of_its_own_or_those_that_it_is_given() {
    let one = Server::builder().build_handle();
    let other = Server::builder().build();
    let topic = one.topics().topic("a").unwrap();
    assert_eq!((one.topics().len(), other.topics().len()), (1, 0));
    let third = Server::builder().topics(one.topics()).build();
    assert_eq!(third.topics().names()[..], [topic.name().into()]);
    // What is published to nobody is no error.
    topic.publish(Message::text("nobody")).await;
    assert_eq!((topic.stats().published, topic.stats().delivered), (1, 0));
}
