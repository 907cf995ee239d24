use std::time::SystemTime;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use towline::{Client, CloseCode, Connection};

use crate::program::{Program, client, example, hear, refusal, run_with, soon};

const SECRET: &str = "31d4d96e407aad42c9b4fc1b6a0d6b86";

async fn start() -> Program {
    Program::start_with(example!("jwt"), &["127.0.0.1:0"], ("JWT_SECRET", SECRET)).await
}

fn token_by(secret: &str, algorithm: Algorithm, sub: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    token_until(secret, algorithm, sub, now.as_secs().checked_add_signed(seconds).unwrap())
}

fn token_until(secret: &str, algorithm: Algorithm, sub: &str, exp: u64) -> String {
    let claims = json!({ "sub": sub, "exp": exp });
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(algorithm), &claims, &key).unwrap()
}

fn token(sub: &str, seconds: i64) -> String {
    token_by(SECRET, Algorithm::HS256, sub, seconds)
}

fn bearer(token: &str) -> Client {
    client().header("authorization", format!("Bearer {token}"))
}

async fn enter(jwt: &Program, client: &Client) -> Connection {
    let mut connection = soon(client.connect(jwt.url("/"))).await.unwrap();
    connection.send("hi").await.unwrap();
    assert_eq!(hear(&mut connection).await, "ada: hi");
    connection
}

/// Receives until the end, and returns the code and the reason.
async fn end(mut connection: Connection) -> (CloseCode, String) {
    while soon(connection.recv()).await.is_ok_and(|message| message.is_some()) {}
    let closed = connection.closed().unwrap();
    (closed.code(), closed.reason().to_owned())
}

#[tokio::test]
async fn a_token_is_taken_from_the_header_and_from_a_subprotocol() {
    let jwt = start().await;
    let token = token("ada", 600);
    let connection = enter(&jwt, &bearer(&token)).await;
    assert_eq!(connection.protocol(), None);
    let secret = format!("bearer.{token}");
    let connection = enter(&jwt, &client().protocols(["chat.v1", &secret])).await;
    assert_eq!(connection.protocol(), Some("chat.v1"));
    let response = format!("{:?}", connection.response().unwrap());
    assert!(!response.contains(&token), "{response}");
}

#[tokio::test]
async fn any_other_token_is_refused_with_401_and_a_reason() {
    let jwt = start().await;
    // The header {"alg":"none"}, which the token itself may not choose.
    let unsigned = token("ada", 600);
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", unsigned.split('.').nth(1).unwrap());
    for (client, reason) in [
        (client(), "a token is needed"),
        (client().protocols(["chat.v1"]), "a token is needed"),
        (client().header("authorization", "Basic YWRhOmFkYQ=="), "a token is needed"),
        (bearer(&token("ada", -1)), "the token has expired"),
        (client().protocols(["chat.v1", &format!("bearer.{}", token("ada", -1))]), "has expired"),
        (bearer(&token_by("another", Algorithm::HS256, "ada", 600)), "not from here"),
        (bearer(&token_by(SECRET, Algorithm::HS384, "ada", 600)), "not valid"),
        (bearer(&unsigned), "not valid"),
        (bearer("no.token.this"), "not valid"),
        (bearer(""), "a token is needed"),
    ] {
        let (status, said) = refusal(&client, &jwt.url("/")).await;
        assert_eq!(status, 401);
        assert!(said.contains(reason), "{said} instead of {reason}");
    }
    // RFC 6750, section 3.1: an error code only for a request with a token.
    for (client, challenge) in [
        (client(), "Bearer realm=\"chat\""),
        (bearer("no.token.this"), "Bearer realm=\"chat\", error=\"invalid_token\""),
    ] {
        let error = soon(client.connect(jwt.url("/"))).await.unwrap_err();
        assert_eq!(error.response().unwrap().headers()["www-authenticate"], challenge);
    }
}

#[tokio::test]
async fn a_secret_that_can_be_guessed_is_refused() {
    for secret in ["", "31d4d96e407aad42", &SECRET[1..]] {
        let output = run_with(example!("jwt"), &["127.0.0.1:0"], ("JWT_SECRET", secret)).await;
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(&format!("{} bytes", secret.len())), "{error}");
        assert!(error.contains("openssl rand -hex 32"), "{error}");
    }
}

/// Two connections, if the machine is fast enough to make them while a token of so many seconds is valid. The
/// first has a fresh one since.
async fn begin(jwt: &Program, seconds: i64) -> Option<(Connection, Connection)> {
    let brief = bearer(&token("ada", seconds));
    let mut kept = soon(brief.connect(jwt.url("/"))).await.ok()?;
    kept.send(format!("token {}", token("ada", 600))).await.ok()?;
    let renewed = soon(kept.recv()).await.ok()??;
    assert_eq!(renewed.as_text(), Some("renewed"));
    Some((kept, soon(brief.connect(jwt.url("/"))).await.ok()?))
}

#[tokio::test]
async fn a_connection_ends_with_its_token_unless_it_gets_a_fresh_one() {
    let jwt = start().await;
    let mut begun = None;
    for seconds in [2, 4, 8, 16, 32] {
        begun = begin(&jwt, seconds).await;
        if begun.is_some() {
            break;
        }
    }
    let (mut kept, ended) = begun.expect("32 seconds are enough");
    assert_eq!(end(ended).await, (CloseCode::new(3000), "the token has expired".into()));
    // Its own token had expired by then.
    kept.send("still here").await.unwrap();
    assert_eq!(hear(&mut kept).await, "ada: still here");
}

/// The server waits until the client reads. It must not wait for that when the token expires.
#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_its_token_too() {
    let mut jwt = start().await;
    let connection = enter(&jwt, &bearer(&token("ada", 600))).await;
    connection.send(format!("token {}", token("ada", 2))).await.unwrap();
    // More than all buffers hold, so the server is stuck in the middle of it.
    let flood = async {
        let long = "x".repeat(1 << 20);
        while connection.send(long.as_str()).await.is_ok() {}
        std::future::pending().await
    };
    tokio::select! {
        () = flood => {}
        line = jwt.line_with("expired") => assert_eq!(line, "a token of ada has expired"),
    }
}

#[tokio::test]
async fn a_token_may_expire_at_any_time() {
    let jwt = start().await;
    for exp in [u64::MAX, u64::from(u32::MAX), 1 << 40, 1 << 62] {
        enter(&jwt, &bearer(&token_until(SECRET, Algorithm::HS256, "ada", exp))).await;
    }
}

#[tokio::test]
async fn a_fresh_token_has_to_be_valid_and_of_the_same_user() {
    let jwt = start().await;
    for (fresh, reason) in [
        (token("eve", 600), "that is another user's token"),
        (token("ada", -1), "the token has expired"),
    ] {
        let connection = enter(&jwt, &bearer(&token("ada", 600))).await;
        connection.send(format!("token {fresh}")).await.unwrap();
        assert_eq!(end(connection).await, (CloseCode::new(3000), reason.to_owned()));
    }
}

#[tokio::test]
async fn the_page_gets_a_token_and_the_terminal_a_command() {
    let mut jwt = start().await;
    let command = jwt.line().await;
    let printed = command.split("Bearer ").nth(1).unwrap().trim_end_matches('\'');
    enter(&jwt, &bearer(printed)).await;
    let response = jwt.get("/token").await;
    assert!(response.contains("cache-control: no-store"), "{response}");
    let token = response.rsplit("\r\n").next().unwrap();
    let secret = format!("bearer.{token}");
    enter(&jwt, &client().protocols(["chat.v1", &secret])).await;
    assert!(jwt.get("/").await.contains("`bearer.${await token()}`"));
}
