//! The access service's address.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Where the access service answers: `https` anywhere, `http` only on the same machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ServiceUrl(String);

/// The address of an access service is not usable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InvalidServiceUrl {
    /// Not `https://HOST[:PORT][/PATH]`.
    #[error("the service's address must look like https://HOST[:PORT][/PATH]")]
    Malformed,
    /// `http` to another machine: session tokens would travel in clear.
    #[error("http:// is allowed to this machine only (127.0.0.1, [::1], localhost); use https://")]
    NotEncrypted,
}

impl ServiceUrl {
    /// The address without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceUrl {
    type Err = InvalidServiceUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidServiceUrl::Malformed)?;
        let rest = rest.trim_end_matches('/');
        let authority = rest.split('/').next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '\\' | '"' | '<' | '>');
        let host = host(authority).ok_or(InvalidServiceUrl::Malformed)?;
        if host.is_empty() || !rest.chars().all(plain) {
            return Err(InvalidServiceUrl::Malformed);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "https" => Ok(Self(format!("https://{rest}"))),
            "http" if is_loopback(host) => Ok(Self(format!("http://{rest}"))),
            "http" => Err(InvalidServiceUrl::NotEncrypted),
            _ => Err(InvalidServiceUrl::Malformed),
        }
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host of `HOST[:PORT]`, brackets of an IPv6 address taken off.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("0"))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "0")),
    };
    port.parse::<u16>().ok().map(|_| host)
}

/// Only names and addresses that never leave the machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn https_anywhere_and_http_here_only() {
        for good in [
            "https://keys.example",
            "https://keys.example:8443/base",
            "http://127.0.0.1:8080",
            "http://[::1]:80",
            "http://localhost",
        ] {
            assert_eq!(good.parse::<ServiceUrl>().unwrap().as_str(), good);
        }
        assert_eq!("HTTPS://a/".parse::<ServiceUrl>().unwrap().as_str(), "https://a");
        for clear in ["http://keys.example", "http://127.0.0.1.keys.example", "http://10.0.0.1", "http://[::2]"] {
            assert_eq!(clear.parse::<ServiceUrl>(), Err(InvalidServiceUrl::NotEncrypted), "{clear}");
        }
        for bad in [
            "",
            "keys.example",
            "ftp://a",
            "https://",
            "https://a b",
            "https://user@a",
            "https://a?x=1",
            "https://a:port",
            "http://localhost@keys.example",
            "https://[::1",
            "https://a\r\nb",
        ] {
            assert_eq!(bad.parse::<ServiceUrl>(), Err(InvalidServiceUrl::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
            if let Ok(url) = text.parse::<ServiceUrl>() {
                prop_assert_eq!(url.as_str().parse::<ServiceUrl>(), Ok(url.clone()));
            }
        }
    }
}
