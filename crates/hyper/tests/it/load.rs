use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use towline::{Client, CloseCode, Message, Server};

use crate::support::{FRONTS, Raw, echo, serve, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_come_at_once() {
    const EACH: usize = 150;
    for front in FRONTS {
        let server = Server::builder().max_pending_requests(8).build();
        let address = serve(&server, front).await;
        let bare = echo(server);
        let sockets = (0..EACH).map(|index| async move {
            let url = format!("ws://{address}/{index}");
            let mut client = Client::new().connect(url).await.unwrap();
            for round in 0..20 {
                client.send(format!("{index}:{round}")).await.unwrap();
            }
            for round in 0..20 {
                let message = client.recv().await.unwrap();
                assert_eq!(message, Some(Message::text(format!("{index}:{round}"))));
            }
            assert!(client.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
        });
        let pages = (0..EACH).map(|index| async move {
            let mut client = Raw::connect(address).await;
            for _ in 0..3 {
                client.request(&format!("GET /{index}"), &[]).await;
                let body = client.response().await.body;
                assert!(body.starts_with(&format!("page /{index} ")), "{body}");
            }
        });
        soon(async { tokio::join!(join_all(sockets), join_all(pages)) }).await;
        assert_eq!(bare.load(Ordering::Relaxed), EACH, "{front:?}");
    }
}
