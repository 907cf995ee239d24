//! Who a request is from. A real app has sessions in place of a name in a cookie.

use axum::extract::{Path, Request};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};

/// The user, as an extension of requests. Connections have it among their data.
#[derive(Debug, Clone)]
pub(crate) struct User(pub(crate) String);

/// Lets requests through that have the cookie, and tells the handler who it is.
pub(crate) async fn authenticate(mut request: Request, next: Next) -> Response {
    let Some(name) = name_in(request.headers()) else {
        return (StatusCode::UNAUTHORIZED, "log in at /login/NAME").into_response();
    };
    request.extensions_mut().insert(User(name));
    next.run(request).await
}

fn name_in(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    let name = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("name="))?;
    Some(name.to_owned())
}

pub(crate) async fn login(Path(name): Path<String>) -> Response {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return (StatusCode::BAD_REQUEST, "a name has letters and digits only").into_response();
    }
    let cookie = format!("name={name}; Path=/; HttpOnly; SameSite=Strict");
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}
