use crate::program::{Program, connect, example, hear, printed};

#[tokio::test]
async fn a_page_and_websockets_are_on_one_port() {
    let mounted = Program::start(example!("mounted"), &["127.0.0.1:0"]).await;
    let page = mounted.get("/").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<h1>Ship ahoy</h1>"), "{page}");
    let mut connection = connect(&mounted.url("/")).await;
    connection.send("hi").await.unwrap();
    assert_eq!(hear(&mut connection).await, "hi");
}

#[tokio::test]
async fn hypers_client_opens_a_websocket() {
    let mounted = Program::start(example!("mounted"), &["127.0.0.1:0"]).await;
    let said = printed(example!("hyper_client"), &[&mounted.url("/")]).await;
    assert!(said.starts_with("Some(Text(\"ship ahoy\"))\n"), "{said}");
}
