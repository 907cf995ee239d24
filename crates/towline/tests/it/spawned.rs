//! What makes a connection borrows nothing, so it can be a task.

use http::Request;
use towline::{Client, Connection, Result};

use crate::loopback::{Loopback, direct};

fn is_a_task(future: impl Future<Output = Result<Connection>> + Send + 'static) -> impl Send {
    future
}

#[tokio::test]
async fn a_client_of_one_expression_connects_beside_another() {
    let server = Loopback::accepting().await;
    let url = server.url("/a");
    let request = Request::get(server.url("/b")).body(()).unwrap();
    let (first, second) = tokio::join!(direct().connect(&url), direct().connect_request(request));
    assert!(first.unwrap().is_open() && second.unwrap().is_open());
}

#[tokio::test]
async fn connecting_can_be_spawned_and_outlives_the_client_and_the_url() {
    let server = Loopback::accepting().await;
    let connecting = {
        let (client, url) = (direct(), server.url("/"));
        tokio::spawn(client.connect(&url))
    };
    assert!(connecting.await.unwrap().unwrap().is_open());

    let client = Client::new();
    let (near, far) = (tokio::io::duplex(10).0, tokio::io::duplex(10).0);
    let url = String::from("ws://h/");
    let _via = is_a_task(client.connect_via(near, &url));
    let _over = is_a_task(client.connect_over(far, &url));
    drop((client, url));
}

/// What is set later is for later connections.
#[tokio::test]
async fn a_connection_that_is_being_made_goes_on_as_its_client_was() {
    let server = Loopback::accepting().await;
    let client = direct().header("x-first", "1");
    let connecting = client.connect(server.url("/"));
    let client = client.header("x-second", "2");
    connecting.await.unwrap();
    client.connect(server.url("/")).await.unwrap();
    let said = server.said();
    assert!(said[0].contains("X-First: 1") && !said[0].contains("X-Second"), "{said:?}");
    assert!(said[1].contains("X-First: 1") && said[1].contains("X-Second: 2"), "{said:?}");
}
