use crate::program::{Program, connect, example, hear, printed, soon};
use towline::CloseCode;

#[tokio::test]
async fn the_client_talks_to_the_echo() {
    let echo = Program::start(example!("echo"), &["127.0.0.1:0"]).await;
    let said = printed(example!("client"), &[&echo.url("/")]).await;
    assert!(said.starts_with("Some(Text(\"ship ahoy\"))\n"), "{said}");
    assert!(said.contains("1000"), "{said}");
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_closes_connections_before_the_echo_ends() {
    let mut echo = Program::start(example!("echo"), &["127.0.0.1:0"]).await;
    let mut connection = connect(&echo.url("/")).await;
    connection.send("hi").await.unwrap();
    assert_eq!(hear(&mut connection).await, "hi");
    echo.signal("-INT").await;
    assert_eq!(soon(connection.recv()).await.unwrap(), None);
    assert_eq!(connection.closed().unwrap().code(), CloseCode::GOING_AWAY);
    assert!(soon(echo.process.wait()).await.unwrap().success());
}
