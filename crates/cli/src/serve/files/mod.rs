//! `--static`: the files of a directory.

mod place;

mod kind;

mod range;

mod body;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};

use crate::exit::{Exit, Failure};
use crate::serve::files::body::FileBody;
use crate::serve::files::place::{Place, Segments};
use crate::serve::files::range::Wanted;
use crate::serve::pages::{is_known, is_read, only_read};

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
    /// If HTTP has a form for it.
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
        let segments = Segments::of(request.uri().path())?;
        let root = self.root.clone();
        // File systems can be slow.
        let opening = tokio::task::spawn_blocking(move || open(&root, &segments));
        let opened = opening.await.ok()??;
        if !is_read(request) {
            return Some(only_read().map(Body::Left));
        }
        Some(match (opened, request.uri().query()) {
            (Ok(opened), _) => respond(opened, request.method(), request.headers()),
            (Err(location), Some(query)) => redirect(&format!("{location}?{query}")),
            (Err(location), None) => redirect(&location),
        })
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
        let modified = about.modified().ok().filter(|time| is_date(*time));
        Ok(Opened { file, length: about.len(), modified, kind: kind::of(&path) })
    })
}

/// The seconds since 1970 at the end of the year 9999. Later times have no form in HTTP.
const LATEST: u64 = 253_402_300_799;

/// Whether HTTP has a form for a time, which a file can have from before 1970, too.
fn is_date(time: SystemTime) -> bool {
    time.duration_since(UNIX_EPOCH).is_ok_and(|since| since.as_secs() <= LATEST)
}

impl Opened {
    /// A tag that changes with the file, as far as its length and time show.
    fn tag(&self) -> String {
        let since = self.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        format!("\"{:x}-{:x}\"", since.unwrap_or_default().as_nanos(), self.length)
    }
}

fn respond(opened: Opened, method: &Method, asked: &HeaderMap) -> Response<Body> {
    let tag = opened.tag();
    let wanted = match is_current(asked, &tag, opened.modified) {
        true => None,
        // Parts are for GET alone (RFC 9110, section 14.2).
        false if *method == Method::HEAD => Some(Wanted::All),
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
    if let Some(is_known) = is_known(asked, tag) {
        return is_known;
    }
    let since = asked.get(IF_MODIFIED_SINCE).and_then(|line| line.to_str().ok());
    let since = since.and_then(|date| httpdate::parse_http_date(date).ok());
    // The header has whole seconds.
    let whole =
        |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
    match (since.and_then(whole), modified.and_then(whole)) {
        (Some(since), Some(modified)) => modified <= since,
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
    use std::time::Duration;

    use http::header::IF_NONE_MATCH;

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
        // A file without a date, or from before 1970, has changed for all that is known.
        let asked = headers(&[(IF_MODIFIED_SINCE, date)]);
        for odd in [None, Some(UNIX_EPOCH - Duration::from_secs(1))] {
            assert!(!super::is_current(&asked, tag, odd));
        }
    }

    #[test]
    fn a_time_outside_of_http_is_no_date() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(is_date(at(0)) && is_date(at(LATEST)));
        assert_eq!(httpdate::fmt_http_date(at(LATEST)), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert!(!is_date(at(LATEST + 1)) && !is_date(at(0) - Duration::from_nanos(1)));
    }

    #[test]
    fn a_part_is_one_of_the_version_that_the_client_has() {
        let of = |list: &[(HeaderName, &str)]| wanted(&headers(list), "\"1\"", 100);
        assert_eq!(of(&[(RANGE, "bytes=0-9")]), Wanted::Part(0, 9));
        assert_eq!(of(&[(RANGE, "bytes=0-9"), (IF_RANGE, "\"1\"")]), Wanted::Part(0, 9));
        assert_eq!(of(&[(RANGE, "bytes=0-9"), (IF_RANGE, "\"0\"")]), Wanted::All);
    }
}
