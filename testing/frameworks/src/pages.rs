//! The pages of the guide that have programs in frameworks, compiled as documentation tests.

#[doc = include_str!("../../../docs/frameworks.md")]
struct Frameworks;

#[doc = include_str!("../../../docs/http-clients.md")]
struct HttpClients;
