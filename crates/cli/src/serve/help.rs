//! The text at the end of `towline serve --help`.

/// How the modes are used.
pub(crate) const DETAILS: &str = "\
Commands of --exec get an empty environment, except for the variables that --exec-env lists and
TOWLINE_REMOTE_ADDRESS, TOWLINE_PATH, TOWLINE_QUERY, TOWLINE_PROTOCOL and TOWLINE_CONNECTION. Their
input ends with the connection; SIGTERM follows after a second, SIGKILL after --exec-grace. When the
command ends, the connection is closed with 1000, or with 1011 if its status is not zero.

Examples:
  towline serve
  towline serve --listen 0.0.0.0:8080 --origin https://app.example --compress
  towline serve --mode chat
  towline serve --mode broadcast --static ./site
  towline serve --mode topics --metrics
  towline serve --proxy tcp://127.0.0.1:5900 --static ./novnc
  towline serve --tls-self-signed --exec python3 -u answer.py
  towline serve --exec tail -n 0 -F app.log";
