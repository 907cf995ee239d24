//! A client that can take 100 messages a second, and says once a second how far it is.

use std::error::Error;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio::net::TcpSocket;
use towline::Client;

#[derive(Deserialize)]
#[serde(untagged)]
enum Says {
    Price { number: u64, price: u64, at: u64 },
    Missed { missed: u64 },
}

pub(crate) async fn run(url: &str) -> Result<(), Box<dyn Error>> {
    // Little room in the socket: a client with much room gets prices that are old by then.
    let uri: towline::http::Uri = url.parse()?;
    let host = uri.authority().ok_or("the URL has no host")?.as_str();
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4 << 10)?;
    let stream = socket.connect(host.parse()?).await?;
    let mut connection = Client::new().connect_via(stream, url).await?;

    // The numbers are the server's: any sum or difference of them can overflow.
    let (mut last, mut told, mut passed) = (None, 0_u64, 0_u64);
    for received in 1_u64.. {
        let Some(message) = connection.recv().await? else { return Ok(()) };
        match serde_json::from_str(message.as_text().unwrap_or_default())? {
            Says::Missed { missed } => told = told.saturating_add(missed),
            Says::Price { number, price, at } => {
                let expected = last.replace(number).map_or(number, |last| last.saturating_add(1));
                passed = passed.saturating_add(number.saturating_sub(expected));
                if received % 100 == 1 {
                    let age = since_1970().saturating_sub(Duration::from_millis(at));
                    println!(
                        "price {price}, number {number}, {} ms old; {passed} missed, told of {told}",
                        age.as_millis()
                    );
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
