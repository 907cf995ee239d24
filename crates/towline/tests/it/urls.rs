//! URLs as browsers read them, and what is wrong with those that are none.

use tokio::io::{AsyncReadExt as _, DuplexStream};
use towline::{Error, ErrorKind};
use url::Url;

use crate::http::header;
use crate::loopback::direct;

async fn request(mut far: DuplexStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") && far.read_buf(&mut bytes).await.unwrap() > 0 {}
    String::from_utf8(bytes).unwrap()
}

/// What is asked for by this URL, and of whom; and the `Authorization`.
async fn asked(url: impl AsRef<str>) -> Result<[String; 3], Error> {
    let (near, far) = tokio::io::duplex(1 << 20);
    let connecting = direct().connect_over(near, url);
    let (error, request) = tokio::join!(async { connecting.await.unwrap_err() }, request(far));
    if request.is_empty() {
        return Err(error);
    }
    let resource = request.split(' ').nth(1).unwrap().to_owned();
    let value = |name| header(&request, name).unwrap_or_default().to_owned();
    Ok([value("host"), resource, value("authorization")])
}

/// What the crate `url` makes of it.
fn expected(url: &str) -> Option<[String; 2]> {
    let mut url = Url::parse(url).ok()?;
    let to = match url.scheme() {
        "ws" | "wss" => None,
        "http" => Some("ws"),
        "https" => Some("wss"),
        _ => return None,
    };
    if let Some(to) = to {
        url.set_scheme(to).ok()?;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let resource = format!("{}{query}", url.path());
    Some([format!("{}{port}", url.host_str()?), resource])
}

const ODD: &[&str] = &[
    // White space, and what is left out.
    " ws://h/a ",
    "\u{1}ws://h/a\u{1f}",
    "ws://h/a b",
    "ws://h/a\tb\r\nc",
    "w\ns://h\t/a",
    "ws:/\n/h/",
    // What can't stand in a path or in a query.
    "ws://h/\"<>`'",
    "ws://h/{a}|[b]\\c",
    "ws://h/a?b c",
    "ws://h/?\"<>`'",
    "ws://h/?{a}|[b]^\\c",
    "ws://h/%7e%zz%/%41?%zz%",
    "ws://h/\u{e9}\u{20ac}\u{1f6a2}?\u{e9}=\u{1f6a2}",
    "ws://h/\u{7f}\u{1}?\u{7f}\u{1}",
    "ws://h/a?b?c",
    "ws://h?b",
    "ws://h/?",
    "ws://h/a;b=c,d:e@f!$&()*+",
    "ws://h/a?q=a;b=c,d:e@f/!$&()*+",
    // Fragments.
    "ws://h/a#b",
    "ws://h#b",
    "ws://h/a?b#c?d",
    "ws://h/#@x",
    // Slashes of both kinds, and none.
    "ws:h/a",
    "ws:/h/a",
    "ws:///h/a",
    "ws://////h/a",
    "ws:\\\\h\\a\\b",
    "ws:/\\h/a",
    "ws://h/a?b\\c",
    "ws://h//a///b",
    // Dots.
    "ws://h/a/./b/../c",
    "ws://h/../../a",
    "ws://h/a/..",
    "ws://h/a/.",
    "ws://h/a/%2e%2E/b/%2e",
    "ws://h/.%2e/a/.../b/..c",
    "ws://h/a\\..\\b",
    "ws://h/a//../b",
    "ws://h/?../a",
    "ws://h/..",
    // Schemes.
    "WS://h/",
    "http://h/a b",
    "HTTPS://h:443/",
    "https://h:80/",
    "ftp://h/",
    "htp://h/",
    "ws+x://h/",
    // Hosts.
    "ws://EXAMPLE.com/",
    "ws://ex%41mple.com/",
    "ws://a_b~!$&'()*+;=.c/",
    "ws://h./",
    "ws://a b/",
    "ws://a<b/",
    "ws://a|b^/",
    "ws://a%20b/",
    "ws://a%00b/",
    "ws://%ff/",
    "ws://a%/",
    "ws://",
    "ws:",
    "ws:///",
    "ws://?a",
    "ws://:80/",
    "ws://user@/",
    "ws://127.1/",
    "ws://0x7f.0.0.1/",
    "ws://017700000001/",
    "ws://2130706433/",
    "ws://0x/",
    "ws://127.0.0.1./",
    "ws://256.0.0.1/",
    "ws://1.2.3.4.5/",
    "ws://4294967296/",
    "ws://a.09/",
    "ws://a.0x/",
    "ws://1.2.3/",
    "ws://[::1]/",
    "ws://[0:0::0:1]:81/",
    "ws://[2001:DB8::1]/",
    "ws://[::1/",
    "ws://[::g]/",
    "ws://[fe80::1%25eth0]/",
    "ws://[::1]x/",
    "ws://x[::1]/",
    // Ports.
    "ws://h:/a",
    "ws://h:80/",
    "ws://h:0080/",
    "ws://h:443/",
    "wss://h:443/",
    "ws://h:0/",
    "ws://h:65535/",
    "ws://h:65536/",
    "ws://h:00065535/",
    "ws://h:-1/",
    "ws://h:80:80/",
    "ws://h:a/",
    // Users.
    "ws://user@h/",
    "ws://user:pass@h/",
    "ws://a@b@h/",
    "ws://a b:c/@h/",
    "ws://@h/",
    "ws://:@h/",
    "ws://:p@h/",
    // Nothing of the kind.
    "",
    "h",
    "/a",
    "//h/a",
    "h:80",
    "1ws://h/",
    "?",
];

#[tokio::test]
async fn odd_urls_are_read_as_browsers_read_them() {
    let mut differing = Vec::new();
    for url in ODD {
        let ours = asked(url).await;
        if let Err(error) = &ours {
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}: {error}");
        }
        let ours = ours.ok().map(|[host, resource, _]| [host, resource]);
        let expected = expected(url);
        if ours != expected {
            differing.push((url, ours, expected));
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
}

/// The crate `url` leaves the caret as it is, which the URL Standard has encoded since 2024. It takes a
/// comma in a host, of which a header could be made that names two. And it writes an address of IPv4
/// within one of IPv6 in hexadecimal digits, for which RFC 5952, section 5, has a better form.
#[tokio::test]
async fn three_things_are_not_as_in_the_crate_url() {
    assert_eq!(asked("ws://h/a^b?^").await.unwrap()[1], "/a%5Eb?^");
    let error = asked("ws://a,b/").await.unwrap_err().to_string();
    assert!(
        error.contains("the host \"a,b\" has a character that a host can't have \",\""),
        "{error}"
    );
    assert_eq!(asked("ws://[::ffff:102:304]/").await.unwrap()[0], "[::ffff:1.2.3.4]");
}

#[tokio::test]
async fn a_url_of_the_crate_url_is_taken_as_it_is() {
    let url = Url::parse("ws://user:pa ss@h:81/a b/../c?d e").unwrap();
    let [host, resource, authorization] = asked(&url).await.unwrap();
    assert_eq!([&*host, &*resource], ["h:81", "/c?d%20e"]);
    assert_eq!(authorization, "Basic dXNlcjpwYSBzcw==");
    assert_eq!(asked(url).await.unwrap()[0], "h:81");
}

#[tokio::test]
async fn a_user_and_a_password_may_have_any_character() {
    for (url, authorization) in [
        ("ws://user:pass@h/", "Basic dXNlcjpwYXNz"),
        ("ws://us er:p\"<>`{}|^[]@h/", "Basic dXMgZXI6cCI8PmB7fXxeW10="),
        ("ws://a@b:c:d@h/", "Basic YUBiOmM6ZA=="),
        ("ws://\u{e9}:%C3%A9%zz@h/", "Basic w6k6w6kleno="),
        ("ws://@h/", ""),
        ("ws://:@h/", ""),
        ("ws://:p@h/", "Basic OnA="),
    ] {
        assert_eq!(asked(url).await.unwrap()[2], authorization, "{url}");
    }
}

#[cfg(feature = "idn")]
#[tokio::test]
async fn names_of_hosts_that_are_not_ascii_are_asked_for_in_ascii() {
    for url in [
        "ws://b\u{fc}cher.example/",
        "ws://B\u{dc}CHER.example:81/",
        "ws://b%C3%BCcher.example/",
        "ws://stra\u{df}e.example/",
        "ws://\u{4f8b}\u{3048}\u{3002}\u{30c6}\u{30b9}\u{30c8}/",
        "ws://\u{ff11}\u{ff12}\u{ff17}.1/",
        "ws://a\u{ff0f}b/",
        "ws://\u{ad}/",
        "ws://\u{202e}a/",
    ] {
        let ours = asked(url).await.ok().map(|[host, resource, _]| [host, resource]);
        assert_eq!(ours, expected(url), "{url}");
    }
}

#[cfg(not(feature = "idn"))]
#[tokio::test]
async fn names_of_hosts_that_are_not_ascii_take_a_feature_which_is_named() {
    let error = asked("ws://user:s3cret@b\u{fc}cher.example/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidUrl);
    assert!(error.to_string().contains("the feature `idn`"), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn an_error_names_the_part_and_its_value() {
    for (url, part) in [
        ("ws://h:70000/", "the port \"70000\" is above 65535"),
        ("ws://h:eighty/", "its port is not a number"),
        ("ws:", "the host is missing"),
        ("ws://:80/", "the host is missing"),
        ("ws://user@:80/", "the host is missing"),
        ("htp://x", "the scheme \"htp\" is not one of \"ws\", \"wss\", \"http\" and \"https\""),
        ("", "the scheme is missing"),
        ("example.com:80", "the scheme is missing"),
        ("//example.com", "the scheme is missing"),
        ("ws://[fe80::1%25eth0]/", "the host \"[fe80::1%25eth0]\" has a zone id"),
        (
            "ws://[::1",
            "the host \"[::1\" is an IPv6 address that does not end in its closing bracket",
        ),
        ("ws://[::g]/", "the host \"[::g]\" is not an IPv6 address"),
        ("ws://300.1.2.3/", "the host \"300.1.2.3\" ends in a number"),
        ("ws://a b/", "the host \"a b\" has a character that a host can't have \" \""),
        ("ws://%ff/", "the host \"%ff\" is not UTF-8 once its percent signs are decoded"),
        ("ws://a%/", "the host \"a%\" has a character that a host can't have \"%\""),
    ] {
        let error = asked(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let long = format!("ws://h/{}", "x".repeat(70_000));
    let error = asked(&long).await.unwrap_err().to_string();
    assert!(error.contains("it has 70007 bytes: the limit is 65534"), "{error}");
    assert!(error.len() < 1000);
}
