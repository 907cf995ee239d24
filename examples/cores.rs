//! A chat on many cores: a thread for each, with its own runtime and its own server on the same port, and
//! topics that all share. `cargo example cores`, and in two or more terminals `cargo run
//! -- connect ws://127.0.0.1:9001/harbour`.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::thread;

use towline::http::StatusCode;
use towline::topics::Topics;
use towline::{Request, Result, Server};

/// A topic is made when it is asked for. So clients must not choose its name freely.
const ROOMS: [&str; 2] = ["/harbour", "/sea"];

async fn talk(request: Request, topics: Topics) -> Result<()> {
    if !ROOMS.contains(&request.path()) {
        return request.reject(StatusCode::NOT_FOUND, "try /harbour or /sea").await;
    }
    let mut connection = request.accept().await?;
    // The members of a room can be on any thread.
    let room = topics.topic(connection.path())?;
    room.join(&connection).await?;
    while let Some(message) = connection.recv().await? {
        room.publish(message).await;
    }
    Ok(())
}

async fn serve(mut server: Server, topics: Topics) {
    while let Some(request) = server.next_request().await {
        let topics = topics.clone();
        // Stays on this thread.
        tokio::spawn(async move {
            if let Err(error) = talk(request, topics).await {
                eprintln!("{error}");
            }
        });
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// What a thread says: that it listens, or why it has ended.
type Outcome = std::result::Result<(), Failure>;

fn run(address: &str, topics: Topics, outcomes: &Sender<Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let builder = Server::builder().topics(topics.clone());
        // The kernel gives each new connection to one of the threads.
        let server = builder.reuse_port(true).bind(address).await?;
        outcomes.send(Ok(()))?;
        serve(server, topics).await;
        Err("a server has ended".into())
    })
}

fn main() -> Outcome {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let topics = Topics::new();
    let (outcomes, outcome) = mpsc::channel();
    let threads = thread::available_parallelism()?.get();
    for _ in 0..threads {
        let (address, topics, outcomes) = (address.clone(), topics.clone(), outcomes.clone());
        thread::spawn(move || {
            // Nothing that it has touched is used afterwards.
            let ended = catch_unwind(AssertUnwindSafe(|| run(&address, topics, &outcomes)));
            let ended = ended.unwrap_or_else(|_| Err("a thread has panicked".into()));
            // The program ends if one thread does: the others would not get all connections.
            let _ = outcomes.send(ended);
        });
    }
    for _ in 0..threads {
        outcome.recv()??;
    }
    println!("listening on {address}, with {threads} threads");
    outcome.recv()?
}
