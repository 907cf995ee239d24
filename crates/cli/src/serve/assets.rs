//! The embedded files of the console: its pages, styles and scripts.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use bytes::Bytes;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// What all pages have: the head, and the header with the links between them.
const FRAME: &str = include_str!("../console/page.html");

/// What a page has of its own.
struct Page {
    paths: &'static [&'static str],
    /// The name of its style sheet and its script.
    name: &'static str,
    title: &'static str,
    about: &'static str,
    main: &'static str,
}

/// `/console` is the same page as `/`, for a server that has files of its own.
static PAGES: [Page; 3] = [
    Page {
        paths: &["/", "/console"],
        name: "client",
        title: "Towline console",
        about: "Talk to any WebSocket server",
        main: include_str!("../console/client.html"),
    },
    Page {
        paths: &["/console/server"],
        name: "server",
        title: "Towline server",
        about: "What this server does",
        main: include_str!("../console/server.html"),
    },
    Page {
        paths: &["/console/chat"],
        name: "chat",
        title: "Towline chat",
        about: "A chat with rooms",
        main: include_str!("../console/chat.html"),
    },
];

macro_rules! files {
    ($($kind:ident: $($name:literal)*;)*) => {
        &[$($(($kind, concat!("/console/", $name), include_bytes!(concat!("../console/", $name))),)*)*]
    };
}

/// The files below `/console/`.
const FILES: &[(&str, &str, &[u8])] = files! {
    CSS: "console.css" "client.css" "server.css" "chat.css";
    JS: "theme.js" "access.js" "nav.js" "format.js" "frames.js" "codes.js" "failures.js" "echo.js" "log.js" "chart.js" "plot.js"
        "series.js" "topics.js" "round-trips.js" "client.js" "server.js" "names.js" "chat.js";
};

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let pages = PAGES.iter().flat_map(|page| {
        page.paths.iter().map(move |path| Asset::new(path, HTML, page.at(path).into()))
    });
    let files =
        FILES.iter().map(|(kind, path, bytes)| Asset::new(path, kind, Bytes::from_static(bytes)));
    pages.chain(files).collect()
});

/// A file as it is sent.
pub(crate) struct Asset {
    path: &'static str,
    /// Its media type.
    pub(crate) kind: &'static str,
    pub(crate) bytes: Bytes,
    /// Its entity tag.
    pub(crate) tag: String,
}

/// The file at this path.
pub(crate) fn at(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    fn new(path: &'static str, kind: &'static str, bytes: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self { path, kind, bytes, tag: format!("\"{:016x}\"", hasher.finish()) }
    }
}

impl Page {
    /// The page at one of its paths. It names the other pages and its files relative to itself, so that
    /// it works behind a proxy that adds to the path.
    fn at(&self, path: &str) -> String {
        let (up, console) =
            if path.starts_with("/console/") { ("../", "") } else { ("", "console/") };
        let mut page = FRAME.to_owned();
        for (place, text) in [
            ("{{name}}", self.name),
            ("{{title}}", self.title),
            ("{{about}}", self.about),
            ("{{up}}", up),
            ("{{console}}", console),
            // Last, so that nothing in it is taken for a place.
            ("{{main}}\n", self.main),
        ] {
            page = page.replace(place, text);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_a_page_names_is_there() {
        let names = |text: &str| -> Vec<String> {
            let parts = text.split('"');
            let parts = parts.filter(|part| part.ends_with(".js") || part.ends_with(".css"));
            parts
                .map(|part| part.trim_start_matches("console/").trim_start_matches("./").into())
                .collect()
        };
        let mut named = 0;
        for asset in &*ASSETS {
            for name in names(std::str::from_utf8(&asset.bytes).unwrap()) {
                let path = format!("/console/{name}");
                assert!(at(&path).is_some_and(|asset| asset.kind != HTML), "{path}");
                named += 1;
            }
        }
        assert!(named >= FILES.len());
    }

    #[test]
    fn a_page_names_the_others_from_where_it_is() {
        let links = |path: &str| -> Vec<String> {
            let text = String::from_utf8(at(path).unwrap().bytes.to_vec()).unwrap();
            assert!(!text.contains("{{") && !text.contains("}}"), "{path}");
            let (_, nav) = text.split_once("<nav").unwrap();
            let (nav, _) = nav.split_once("</nav>").unwrap();
            let links = nav.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
            links.map(str::to_owned).collect()
        };
        for path in ["/", "/console"] {
            assert_eq!(links(path), ["console", "console/server", "console/chat"], "{path}");
        }
        for path in ["/console/server", "/console/chat"] {
            assert_eq!(links(path), ["../console", "server", "chat"], "{path}");
        }
    }
}
