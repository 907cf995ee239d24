//! Two versions of a protocol side by side. Old clients speak `chat.v1`, plain text; new ones speak
//! `chat.v2`, JSON. They are in one room and understand each other, since the server has one idea of a
//! message, and turns it into both versions.
//!
//! `cargo example subprotocols`, and in two terminals `cargo run -- connect ws://127.0.0.1:9001/
//! --protocol chat.v1` and the same with `chat.v2`, where a message is `{"text":"hi"}`.

use std::env;

use serde::Deserialize;
use serde_json::json;
use towline::http::StatusCode;
use towline::topics::Topics;
use towline::{Accept, CloseCode, Message, Request, Result, Server};

/// A version of the protocol, the newest one first: the order in which the server prefers them.
#[derive(Debug, Clone, Copy)]
enum Version {
    V2,
    V1,
}

const VERSIONS: [Version; 2] = [Version::V2, Version::V1];

/// What a client says in version 2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    text: String,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "chat.v1",
            Self::V2 => "chat.v2",
        }
    }

    /// The version to speak with this client: the newest that it offers.
    fn choose(request: &Request) -> Option<Self> {
        // Names are compared without regard to ASCII case, and the answer has the client's spelling.
        let chosen = request.choose_protocol(VERSIONS.map(Self::name))?;
        VERSIONS.into_iter().find(|version| chosen.matches(version.name()))
    }

    /// What a client of this version says, or why it makes no sense.
    fn decode(self, message: &Message) -> std::result::Result<String, &'static str> {
        let text = message.as_text().ok_or("send text")?;
        match self {
            Self::V1 => Ok(text.to_owned()),
            Self::V2 => match serde_json::from_str::<Say>(text) {
                Ok(say) => Ok(say.text),
                Err(_) => Err(r#"send {"text": …}"#),
            },
        }
    }

    fn encode(self, from: &str, text: &str) -> Message {
        Message::text(match self {
            Self::V1 => format!("{from}: {text}"),
            Self::V2 => json!({ "from": from, "text": text }).to_string(),
        })
    }
}

async fn talk(request: Request, topics: Topics) -> Result<()> {
    let Some(version) = Version::choose(&request) else {
        // A client without a known version would misunderstand everything. Say what there is.
        let reason = "offer chat.v2 or chat.v1 in Sec-WebSocket-Protocol";
        return request.reject(StatusCode::BAD_REQUEST, reason).await;
    };
    let mut connection = request.accept_with(Accept::new().protocol(version.name())).await?;
    let from = format!("guest-{}", connection.id());
    // A topic for each version, so that a message is encoded once for each, and not for each member.
    topics.topic(version.name())?.join(&connection).await?;
    while let Some(message) = connection.recv().await? {
        match version.decode(&message) {
            Ok(text) => {
                for version in VERSIONS {
                    let topic = topics.topic(version.name())?;
                    topic.publish(version.encode(&from, &text)).await;
                }
            }
            Err(reason) => {
                connection.close(CloseCode::INVALID_DATA, reason).await?;
            }
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut server = Server::bind(&address).await?;
    println!("listening on {}", server.local_addr()?);
    while let Some(request) = server.next_request().await {
        let topics = server.topics();
        tokio::spawn(async move {
            if let Err(error) = talk(request, topics).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}
