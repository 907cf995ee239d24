//! Closing through the `Sink` ends what is sent, and nothing of what the peer still answers.

use futures_util::{SinkExt, StreamExt as _, stream};
use towline::{
    CloseCause, CloseCode, Config, Connection, ErrorKind, Event, Message, Result, Role, Sender,
};

use crate::support::pair_with_pipe;
use crate::wire::{Far, connect, settle};
use towline_kit::frame;

const COUNT: usize = 1000;

fn questions() -> impl futures_util::Stream<Item = Result<Message>> + Unpin + Send {
    stream::iter((0..COUNT).map(|index| Ok(Message::text(format!("{index}")))))
}

/// A server that answers each message when it has others to do first, and a client.
fn ends() -> (tokio::task::JoinHandle<Connection>, Connection) {
    let (mut server, client) = pair_with_pipe(&Config::server(), &Config::client(), 100);
    let answering = tokio::spawn(async move {
        while let Some(message) = server.recv().await.unwrap() {
            tokio::task::yield_now().await;
            server.send(message).await.unwrap();
        }
        server
    });
    (answering, client)
}

fn assert_all(answers: Vec<Result<Message>>) {
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()).collect();
    assert_eq!(answers.len(), COUNT);
    for (index, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer, Message::text(format!("{index}")));
    }
}

#[tokio::test(start_paused = true)]
async fn all_answers_come_to_a_connection_that_is_split_and_forwarded_to() {
    let (answering, client) = ends();
    let sender = client.sender();
    let (sink, stream) = client.split_by_trait();
    let sending = tokio::spawn(questions().forward(sink));
    assert_all(stream.collect().await);
    sending.await.unwrap().unwrap();
    assert_eq!(sender.wait_closed().await.cause(), CloseCause::Handshake);
    assert!(answering.await.unwrap().closed().unwrap().is_clean());
}

trait SplitByTrait {
    fn split_by_trait(
        self,
    ) -> (stream::SplitSink<Connection, Message>, stream::SplitStream<Connection>);
}

impl SplitByTrait for Connection {
    /// Not by its own method, which is in front of the trait's.
    fn split_by_trait(
        self,
    ) -> (stream::SplitSink<Connection, Message>, stream::SplitStream<Connection>) {
        futures_util::StreamExt::split(self)
    }
}

#[tokio::test(start_paused = true)]
async fn all_answers_come_to_halves_of_which_one_is_forwarded_to() {
    let (answering, client) = ends();
    let (sender, receiver) = client.split();
    let other = sender.clone();
    let sending = tokio::spawn(questions().forward(sender));
    assert_all(receiver.collect().await);
    sending.await.unwrap().unwrap();
    assert_eq!(other.wait_closed().await.cause(), CloseCause::Handshake);
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_answers_come_after_everything_was_sent_and_the_sink_closed() {
    let (mut server, mut client) = pair_with_pipe(&Config::server(), &Config::client(), 1 << 20);
    let answering = tokio::spawn(async move {
        while let Some(message) = server.recv().await.unwrap() {
            server.send(message).await.unwrap();
        }
    });
    client.send_all(&mut questions()).await.unwrap();
    SinkExt::close(&mut client).await.unwrap();
    // It is closing, and can be closed again.
    SinkExt::close(&mut client).await.unwrap();
    assert!(!client.is_open());
    let mut answers = Vec::new();
    while let Some(answer) = client.recv().await.unwrap() {
        answers.push(Ok(answer));
    }
    assert_all(answers);
    assert_eq!(client.closed().unwrap().cause(), CloseCause::Handshake);
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_answers_come_to_the_receiver_of_a_sender_that_was_closed() {
    let (answering, client) = ends();
    let (mut sender, mut receiver) = client.split();
    let sending = tokio::spawn(async move {
        sender.send_all(&mut questions()).await.unwrap();
        SinkExt::close(&mut sender).await.unwrap();
        sender
    });
    let mut answers = Vec::new();
    while let Some(event) = receiver.next_event().await.unwrap() {
        if let Event::Message(message) = event {
            answers.push(Ok(message));
        }
    }
    assert_all(answers);
    let sender = sending.await.unwrap();
    assert_eq!(sender.wait_closed().await.cause(), CloseCause::Handshake);
    answering.await.unwrap();
}

/// The close frame is out then; the peer's is not waited for.
#[tokio::test(start_paused = true)]
async fn a_sink_is_closed_when_its_close_frame_is_written() {
    for role in [Role::Server, Role::Client] {
        let (mut connection, far) = connect(role, &Config::server());
        far.stalls();
        connection.send("before").await.unwrap();
        let mut sender = connection.sender();
        let closing = tokio::spawn(async move { SinkExt::close(&mut sender).await });
        settle().await;
        assert!(!closing.is_finished());
        far.flows();
        settle().await;
        assert!(closing.is_finished());
        closing.await.unwrap().unwrap();
        let heard = far.hears();
        assert_eq!((heard[0].text(), heard[1].close().code().get()), ("before", 1000));
        far.says(frame().text("an answer"));
        far.says(frame().close(1000, ""));
        far.ends();
        assert_eq!(connection.recv().await.unwrap(), Some("an answer".into()));
        assert_eq!(connection.recv().await.unwrap(), None);
        assert!(connection.wait_closed().await.is_clean());
    }
}

/// The ways for a connection to fail.
async fn fails(connection: &Sender, far: &Far, way: usize) {
    match way {
        0 => connection.abort(CloseCode::GOING_AWAY, ""),
        1 => far.fails_writes(std::io::ErrorKind::BrokenPipe),
        _ => far.fails(std::io::ErrorKind::ConnectionReset),
    }
    connection.wait_closed().await;
}

#[tokio::test(start_paused = true)]
async fn to_wait_for_a_flush_that_will_never_come_is_an_error() {
    for role in [Role::Server, Role::Client] {
        for (way, len) in [(0, 4), (0, 8 << 10), (1, 4), (1, 8 << 10), (2, 4), (2, 8 << 10)] {
            let (connection, far) = connect(role, &Config::server());
            let (mut sender, mut receiver) = connection.split();
            tokio::spawn(
                async move { while receiver.recv().await.is_ok_and(|it| it.is_some()) {} },
            );
            far.stalls();
            let other = sender.clone();
            sender.feed(vec![1; len].into()).await.unwrap();
            let flushing = tokio::spawn(async move { sender.flush().await });
            settle().await;
            assert!(!flushing.is_finished());
            fails(&other, &far, way).await;
            let flushed = flushing.await.unwrap();
            assert!(
                flushed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Closed),
                "{role:?}, way {way}, {len} bytes: {flushed:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn to_close_a_sink_whose_close_frame_is_lost_is_an_error() {
    for role in [Role::Server, Role::Client] {
        for (way, len) in [(0, 4), (0, 8 << 10), (1, 4), (1, 8 << 10), (2, 4), (2, 8 << 10)] {
            let (connection, far) = connect(role, &Config::server());
            let (mut sender, mut receiver) = connection.split();
            tokio::spawn(
                async move { while receiver.recv().await.is_ok_and(|it| it.is_some()) {} },
            );
            far.stalls();
            let other = sender.clone();
            sender.feed(vec![1; len].into()).await.unwrap();
            let closing = tokio::spawn(async move { SinkExt::close(&mut sender).await });
            settle().await;
            assert!(!closing.is_finished());
            fails(&other, &far, way).await;
            let closed = closing.await.unwrap();
            assert!(
                closed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Closed),
                "{role:?}, way {way}, {len} bytes: {closed:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn to_flush_what_was_lost_is_an_error() {
    for role in [Role::Server, Role::Client] {
        for (way, len) in [(0, 4), (0, 8 << 10), (1, 4), (1, 8 << 10), (2, 4), (2, 8 << 10)] {
            let (connection, far) = connect(role, &Config::server());
            let (mut sender, mut receiver) = connection.split();
            tokio::spawn(
                async move { while receiver.recv().await.is_ok_and(|it| it.is_some()) {} },
            );
            far.stalls();
            sender.feed(vec![1; len].into()).await.unwrap();
            settle().await;
            fails(&sender, &far, way).await;
            let flushed = sender.flush().await;
            assert!(
                flushed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Closed),
                "{role:?}, way {way}, {len} bytes: {flushed:?}"
            );
        }
    }
}
