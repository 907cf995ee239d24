//! What programs give for a certificate and a key, and what they are told where it can't be used.

use std::path::PathBuf;

use towline::{ErrorKind, Tls, TlsServer};

use crate::certificates::{Authority, Signed};
use crate::peer::der;

/// On a curve that neither provider of cryptography has.
const SECP256K1: &str = "-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQggSa3X4sFwOT5kgpEfAne
dG+MWaqa+dZ3Nr7GnauLQv2hRANCAARqoHn5oJpaVXFvCm4/sh5vAp9DGBd/fxqP
DkyxKOv2APD/Q+rjRk9BGDKB+IQb2bxzR2YN25D8QivQeXYqqBnU
-----END PRIVATE KEY-----
";

const PKCS12: [u8; 12] = [0x30, 0x82, 0x04, 0, 2, 1, 3, 0x30, 0x82, 3, 0xf0, 6];

fn signed() -> Signed {
    Authority::new("root").server(&["localhost"])
}

fn block(label: &str, content: &str) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n").into_bytes()
}

/// The half of a PEM text.
fn cut(pem: &str) -> Vec<u8> {
    pem.as_bytes()[..pem.len() / 2].to_vec()
}

fn with_bom(pem: &str) -> Vec<u8> {
    [b"\xef\xbb\xbf", pem.as_bytes()].concat()
}

fn key_der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_der().to_vec()
}

#[test]
fn a_byte_order_mark_is_no_reason_to_refuse() {
    let Signed { chain, key } = signed();
    TlsServer::from_pem(&with_bom(&chain), &with_bom(&key)).unwrap();
    let _ = Tls::new().identity_pem(&with_bom(&chain), &with_bom(&key)).unwrap();
    let _ = Tls::new().add_roots_pem(&with_bom(&chain)).unwrap();
}

#[test]
fn what_is_no_key_is_told_with_what_to_do() {
    let Signed { chain, key } = signed();
    let rsa = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nTUlJ";
    for (given, told) in [
        (block("ENCRYPTED PRIVATE KEY", "TUlJ"), "is encrypted"),
        (block("ENCRYPTED PRIVATE KEY", "TUlJ"), "`openssl pkey -in FILE -out key.pem`"),
        (block("RSA PRIVATE KEY", rsa), "`openssl pkey -in FILE -out key.pem`"),
        (key_der(&key), "`openssl pkey -inform DER -in FILE -out key.pem`"),
        (der(&chain), "the wrong way round"),
        (chain.clone().into_bytes(), "the wrong way round"),
        (PKCS12.to_vec(), "`openssl pkcs12 -in FILE -nocerts -nodes -out key.pem`"),
        (block("PKCS12", "TUlJ"), "openssl pkcs12"),
        (cut(&key), "is cut off"),
        (block("OPENSSH PRIVATE KEY", "TUlJ"), "`ssh-keygen -p -m PEM -f FILE`"),
        (block("PUBLIC KEY", "TUlJ"), "there is a PUBLIC KEY"),
        (block("PRIVATE KEY", "no base64!"), "no valid PEM"),
        (b"\xff\xfe-\0-\0".to_vec(), "UTF-16"),
        (b" \r\n".to_vec(), "is empty"),
        (b"ship ahoy".to_vec(), "there is no private key"),
        (SECP256K1.into(), "on a curve that the provider of cryptography can't use"),
    ] {
        let error = TlsServer::from_pem(chain.as_bytes(), &given).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTls);
        let text = error.to_string();
        assert!(text.contains(told), "{told}: {text}");
        assert!(text.contains("private key") && !text.contains('\n'), "{text}");
    }
}

#[test]
fn no_error_quotes_a_key_whose_line_breaks_are_lost() {
    let Signed { chain, key } = signed();
    let secret = key.lines().nth(1).unwrap();
    for separator in ["\\n", " ", ""] {
        let broken = key.replace('\n', separator).into_bytes();
        for (chain, key) in [(chain.as_bytes(), &broken[..]), (&broken, key.as_bytes())] {
            let error = TlsServer::from_pem(chain, key).unwrap_err();
            let texts = [format!("{error}"), format!("{error:?}"), format!("{error:#?}")];
            for text in texts {
                // Nor as the numbers of its bytes.
                let bytes = format!(
                    "{}, {}, {}",
                    secret.as_bytes()[0],
                    secret.as_bytes()[1],
                    secret.as_bytes()[2]
                );
                assert!(!text.contains(&secret[..8]) && !text.contains(&bytes), "{text}");
            }
            assert!(std::error::Error::source(&error).is_none());
        }
        let error = TlsServer::from_pem(chain.as_bytes(), &broken).unwrap_err();
        assert!(error.to_string().contains("lines of their own"), "{error}");
    }
}

#[test]
fn what_is_no_certificate_is_told_with_what_to_do() {
    let Signed { chain, key } = signed();
    for (given, told) in [
        (der(&chain), "`openssl x509 -inform DER -in FILE -out chain.pem`"),
        (key_der(&key), "the wrong way round"),
        (key.clone().into_bytes(), "the wrong way round"),
        (PKCS12.to_vec(), "`openssl pkcs12 -in FILE -nokeys -out chain.pem`"),
        (cut(&chain), "is cut off"),
        ([chain.as_bytes(), &cut(&chain)].concat(), "is cut off"),
        (block("PKCS7", "TUlJ"), "`openssl pkcs7 -in FILE -print_certs -out chain.pem`"),
        (block("TRUSTED CERTIFICATE", "TUlJ"), "`openssl x509 -in FILE -out chain.pem`"),
        (block("CERTIFICATE REQUEST", "TUlJ"), "have an authority sign it"),
        (block("CERTIFICATE", "no base64!"), "no valid PEM"),
        (b"\xfe\xff\0-".to_vec(), "UTF-16"),
        (Vec::new(), "is empty"),
        (vec![0x30], "there is no certificate"),
        (b"ship ahoy".to_vec(), "there is no certificate"),
    ] {
        for error in [
            TlsServer::from_pem(&given, key.as_bytes()).unwrap_err(),
            Tls::new().add_roots_pem(&given).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidTls);
            let text = error.to_string();
            assert!(text.contains(told), "{told}: {text}");
            assert!(text.contains("certificate") && !text.contains('\n'), "{text}");
        }
    }
}

/// A directory, gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("towline-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn hold(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_error_names_the_one_file_that_it_is_about() {
    let (Signed { chain, key }, directory) = (signed(), Directory::new("named"));
    let (good_chain, good_key) = (directory.hold("a.pem", &chain), directory.hold("b.pem", &key));
    let bad = directory.hold("bad.pem", block("ENCRYPTED PRIVATE KEY", "TUlJ"));
    let shown = bad.display().to_string();
    let error = TlsServer::from_pem_files(&good_chain, &bad).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{shown}: the private key is encrypted")), "{error}");
    assert!(error.contains(&format!("`openssl pkey -in {shown} -out key.pem`")), "{error}");
    assert!(!error.contains("a.pem"), "{error}");
    let error = TlsServer::from_pem_files(&bad, &good_key).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{shown}: there is a private key and no")), "{error}");
    assert!(!error.contains("b.pem"), "{error}");
}

/// A pipe has nobody at its other end when it is read again.
#[cfg(unix)]
#[test]
fn only_regular_files_are_read_again() {
    let (Signed { chain, key }, directory) = (signed(), Directory::new("pipes"));
    let both = directory.hold("both.pem", chain + &key);
    let link = directory.0.join("link.pem");
    std::os::unix::fs::symlink(&both, &link).unwrap();
    let tls = TlsServer::from_pem_files(&link, &link).unwrap();
    tls.reload().unwrap();
    let pipe = directory.0.join("pipe.pem");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for other in [pipe.as_path(), std::path::Path::new("/dev/zero"), &directory.0] {
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(other, &link).unwrap();
        let error = tls.reload().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTls);
        let text = error.to_string();
        assert!(text.contains("link.pem") && text.contains("not a regular file"), "{text}");
    }
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&both, &link).unwrap();
    tls.reload().unwrap();
}
