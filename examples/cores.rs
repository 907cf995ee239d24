//! A chat on many cores: a thread for each, with its own runtime and its own server on the same port, and
//! topics that all share. `cargo example cores`, and in two or more terminals `cargo run
//! -- connect ws://127.0.0.1:9001/harbour`.

use std::error::Error;
use std::sync::mpsc::{self, Sender};
use std::thread;

use towline::topics::Topics;
use towline::{Request, Result, Server};

async fn talk(request: Request, topics: Topics) -> Result<()> {
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

fn run(address: &str, topics: Topics, listens: Sender<()>) -> std::result::Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let builder = Server::builder().topics(topics.clone());
        // The kernel gives each new connection to one of the threads.
        let server = builder.reuse_port(true).bind(address).await?;
        listens.send(())?;
        serve(server, topics).await;
        Ok(())
    })
}

fn main() -> std::result::Result<(), Failure> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let topics = Topics::new();
    let (listens, listening) = mpsc::channel();
    let threads: Vec<_> = (0..thread::available_parallelism()?.get())
        .map(|_| {
            let (address, topics, listens) = (address.clone(), topics.clone(), listens.clone());
            thread::spawn(move || run(&address, topics, listens))
        })
        .collect();
    drop(listens);
    if listening.iter().take(threads.len()).count() == threads.len() {
        println!("listening on {address}, with {} threads", threads.len());
    }
    for thread in threads {
        thread.join().map_err(|_| "a thread has panicked")??;
    }
    Ok(())
}
