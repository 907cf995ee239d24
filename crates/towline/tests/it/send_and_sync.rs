//! What tasks and threads may share.

use towline::topics::{Incoming, Topic, Topics, TopicsEvents};
use towline::{
    Client, Connection, Connections, Error, Events, Proxy, Receiver, Request, Sender, Server,
    ServerBuilder, ServerHandle, Transport, Upgraded,
};

const fn is_shared<T: Send + Sync + 'static>() {}

const _: () = {
    is_shared::<Client>();
    is_shared::<Connection>();
    is_shared::<Connections>();
    is_shared::<Error>();
    is_shared::<Events>();
    is_shared::<Proxy>();
    is_shared::<Receiver>();
    is_shared::<Request>();
    is_shared::<Sender>();
    is_shared::<Server>();
    is_shared::<ServerBuilder>();
    is_shared::<ServerHandle>();
    is_shared::<Transport>();
    is_shared::<Upgraded>();
    is_shared::<Incoming>();
    is_shared::<Topic>();
    is_shared::<Topics>();
    is_shared::<TopicsEvents>();
};

const fn is_sent<T: Send>(_: &T) {}

/// So are their futures, which tasks are made of.
#[expect(dead_code, reason = "it is to compile")]
fn futures(
    server: &'static mut Server,
    first: Request,
    second: Request,
    connections: Connections,
    connection: &Connection,
    topic: &Topic,
    incoming: &Incoming,
) {
    is_sent(&server.next_request());
    is_sent(&server.next_connection());
    is_sent(&first.accept());
    is_sent(&second.reject(http::StatusCode::NOT_FOUND, ""));
    is_sent(&connections.broadcast("").into_future());
    is_sent(&topic.join(connection));
    is_sent(&topic.publish("text"));
    is_sent(&topic.publish_except(connection, vec![0]));
    is_sent(&incoming.deliver("topic", "text"));
    is_sent(&Client::new().connect(""));
    is_sent(&Client::new().dial(""));
    is_sent(&Client::new().connect_request(http::Request::new(())));
}
