//! `--static`: the files of a directory.

mod place;

mod kind;

mod range;

mod body;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};

use crate::exit::{Exit, Failure};
use crate::serve::files::body::FileBody;
use crate::serve::files::place::{Place, Segments};
use crate::serve::files::range::Wanted;

/// The body of a page: in memory, or a file.
pub(crate) type Body = Either<Full<Bytes>, FileBody>;

/// A directory whose files are served.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// Without symbolic links.
    root: PathBuf,
}

/// A file that is open.
struct Opened {
    file: File,
    length: u64,
    modified: Option<SystemTime>,
    kind: &'static str,
}

impl Files {
    /// Serves the files of this directory.
    pub(crate) fn of(directory: &Path) -> Result<Self, Failure> {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("--static {}: {why}", directory.display()))
        };
        let root = directory.canonicalize().map_err(|error| wrong(&error))?;
        if !root.is_dir() {
            return Err(wrong(&"not a directory"));
        }
        Ok(Self { root })
    }

    /// Answers a request, or returns `None` if there is no such file.
    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let segments = Segments::of(request.uri().path())?;
        let root = self.root.clone();
        // File systems can be slow.
        let opening = tokio::task::spawn_blocking(move || open(&root, &segments));
        match opening.await.ok()?? {
            Ok(opened) => Some(respond(opened, request.headers())),
            Err(location) => Some(redirect(&location)),
        }
    }
}

/// Opens a file. For a directory without a slash at its end, returns the address with it.
fn open(root: &Path, segments: &Segments) -> Option<Result<Opened, String>> {
    let path = match segments.place(root)? {
        Place::File(path) => path,
        Place::Elsewhere(location) => return Some(Err(location)),
    };
    let file = File::open(&path).ok()?;
    let about = file.metadata().ok()?;
    // It may have been replaced meanwhile.
    about.is_file().then(|| {
        let modified = about.modified().ok();
        Ok(Opened { file, length: about.len(), modified, kind: kind::of(&path) })
    })
}

impl Opened {
    /// A tag that changes with the file, as far as its length and time show.
    fn tag(&self) -> String {
        let since = self.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        format!("\"{:x}-{:x}\"", since.unwrap_or_default().as_nanos(), self.length)
    }
}

fn respond(opened: Opened, asked: &HeaderMap) -> Response<Body> {
    let tag = opened.tag();
    let wanted = match is_current(asked, &tag, opened.modified) {
        true => None,
        false => Some(wanted(asked, &tag, opened.length)),
    };
    let mut response = Response::new(Body::Left(Full::default()));
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(ETAG, &tag);
    if let Some(modified) = opened.modified {
        set(LAST_MODIFIED, &httpdate::fmt_http_date(modified));
    }
    set(CACHE_CONTROL, "no-cache");
    set(ACCEPT_RANGES, "bytes");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    let Some(wanted) = wanted else {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    };
    set(CONTENT_TYPE, opened.kind);
    let length = opened.length;
    match wanted {
        Wanted::All => *response.body_mut() = Body::Right(FileBody::new(opened.file, 0, length)),
        Wanted::Part(first, last) => {
            set(CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            *response.body_mut() = Body::Right(FileBody::new(opened.file, first, last - first + 1));
        }
        Wanted::Nothing => {
            set(CONTENT_RANGE, &format!("bytes */{length}"));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        }
    }
    response
}

fn wanted(asked: &HeaderMap, tag: &str, length: u64) -> Wanted {
    let line = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A part of another version than the client has would be of no use.
    let is_same = line(IF_RANGE).is_none_or(|known| known == tag);
    match line(RANGE) {
        Some(range) if is_same => Wanted::read(range, length),
        _ => Wanted::All,
    }
}

/// Whether the client has this version already (RFC 9110, section 13.2.2).
fn is_current(asked: &HeaderMap, tag: &str, modified: Option<SystemTime>) -> bool {
    if asked.contains_key(IF_NONE_MATCH) {
        let lines = asked.get_all(IF_NONE_MATCH).into_iter().filter_map(|line| line.to_str().ok());
        let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
        return tags.any(|known| known.trim_start_matches("W/") == tag || known == "*");
    }
    let since = asked.get(IF_MODIFIED_SINCE).and_then(|line| line.to_str().ok());
    let since = since.and_then(|date| httpdate::parse_http_date(date).ok());
    // The header has whole seconds.
    let whole =
        |time: SystemTime| time.duration_since(UNIX_EPOCH).as_ref().map(Duration::as_secs).ok();
    match (since, modified) {
        (Some(since), Some(modified)) => whole(modified) <= whole(since),
        _ => false,
    }
}

fn redirect(location: &str) -> Response<Body> {
    let mut response = Response::new(Body::Left(Full::default()));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_tag_decides_before_a_date_does() {
        let at = UNIX_EPOCH + Duration::from_millis(1_500);
        let (tag, date) = ("\"1-2\"", "Thu, 01 Jan 1970 00:00:01 GMT");
        let is_current = |list: &[(HeaderName, &str)]| is_current(&headers(list), tag, Some(at));
        assert!(!is_current(&[]));
        for known in [tag, "W/\"1-2\"", "\"other\", \"1-2\"", "*"] {
            assert!(is_current(&[(IF_NONE_MATCH, known)]), "{known}");
        }
        assert!(!is_current(&[(IF_NONE_MATCH, "\"other\""), (IF_MODIFIED_SINCE, date)]));
        assert!(is_current(&[(IF_MODIFIED_SINCE, date)]));
        let before = "Thu, 01 Jan 1970 00:00:00 GMT";
        assert!(!is_current(&[(IF_MODIFIED_SINCE, before)]));
        assert!(!is_current(&[(IF_MODIFIED_SINCE, "yesterday")]));
    }

    #[test]
    fn a_part_is_one_of_the_version_that_the_client_has() {
        let of = |list: &[(HeaderName, &str)]| wanted(&headers(list), "\"1\"", 100);
        assert_eq!(of(&[(RANGE, "bytes=0-9")]), Wanted::Part(0, 9));
        assert_eq!(of(&[(RANGE, "bytes=0-9"), (IF_RANGE, "\"1\"")]), Wanted::Part(0, 9));
        assert_eq!(of(&[(RANGE, "bytes=0-9"), (IF_RANGE, "\"0\"")]), Wanted::All);
    }
}
