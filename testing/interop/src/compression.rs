//! The compression settings of a suite.

use std::str::FromStr;

use anyhow::{Context as _, Error, bail};
use towline::{Compression, Config, Deflate};

/// Settings, joined by commas: `send-takeover`, `receive-takeover`, `send-bits=N`,
/// `receive-bits=N`, `level=N`. Every message is compressed, however short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings(Deflate);

impl FromStr for Settings {
    type Err = Error;

    fn from_str(settings: &str) -> Result<Self, Error> {
        let mut deflate = Deflate::server().threshold(1);
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let number = || value.parse().with_context(|| format!("{setting:?}"));
            deflate = match name {
                "send-takeover" => deflate.send_context_takeover(true),
                "receive-takeover" => deflate.receive_context_takeover(true),
                "send-bits" => deflate.send_window_bits(number()?),
                "receive-bits" => deflate.receive_window_bits(number()?),
                "level" => deflate.level(number()?),
                _ => bail!("unknown setting: {setting:?}"),
            };
        }
        Ok(Self(deflate))
    }
}

/// Returns `config` with that compression, if any.
pub(crate) fn with(config: Config, settings: Option<Settings>) -> Config {
    config.compression(settings.map(|settings| Compression::from(settings.0)))
}
