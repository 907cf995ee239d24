//! The page.

use axum::response::Html;

const PAGE: &str = "<!doctype html><title>Rooms</title>
<h1>Rooms</h1>
<form><input autofocus> <button>Send</button></form><ul></ul>
<script>
  const [form, input, list] = ['form', 'input', 'ul'].map(name => document.querySelector(name));
  const say = text => list.append(Object.assign(document.createElement('li'), { textContent: text }));
  const room = location.hash.slice(1) || 'harbour';
  const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/rooms/${room}`);
  socket.onopen = () => say(`in the ${room}`);
  socket.onmessage = event => say(event.data);
  socket.onclose = event => say(`closed: ${event.code}. To log in, open /login/yourname`);
  form.onsubmit = event => { event.preventDefault(); socket.send(input.value); input.value = ''; };
</script>";

pub(crate) async fn index() -> Html<&'static str> {
    Html(PAGE)
}
