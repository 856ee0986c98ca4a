//! Where the other side of the pipe is.

use std::{fmt, str::FromStr};

/// What `--apdu` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Commands and responses over standard input and output.
    Stdio,
    /// A TCP connection: to whoever listens at this address, or awaited there when nobody does.
    Tcp(String),
    /// A PC/SC reader, by name or the first one there is. For a lock, and only with the feature `pcsc`.
    Pcsc(Option<String>),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let tcp = |address: &str| {
            let (host, port) = address.rsplit_once(':').filter(|(host, _)| !host.is_empty())?;
            let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let whole = unbracketed.is_some() || !host.contains(':');
            (whole && port.parse::<u16>().is_ok()).then(|| Self::Tcp(address.to_owned()))
        };
        match text.split_once(':') {
            None if text == "stdio" => Ok(Self::Stdio),
            None if text == "pcsc" => Ok(Self::Pcsc(None)),
            Some(("pcsc", name)) if !name.is_empty() => Ok(Self::Pcsc(Some(name.to_owned()))),
            Some(("tcp", address)) => {
                tcp(address).ok_or_else(|| "after tcp: comes HOST:PORT, such as tcp:127.0.0.1:7816".to_owned())
            }
            _ => Err("one of stdio, tcp:HOST:PORT, pcsc, pcsc:READER".to_owned()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio => f.write_str("stdio"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Pcsc(None) => f.write_str("pcsc"),
            Self::Pcsc(Some(name)) => write!(f, "pcsc:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_read_as_they_are_written() {
        for text in ["stdio", "tcp:127.0.0.1:7816", "tcp:[::1]:0", "tcp:localhost:65535", "pcsc", "pcsc:ACS ACR122U 00"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in ["", "stdin", "tcp", "tcp:", "tcp:7816", "tcp::7816", "tcp:localhost:65536", "tcp:::1:2", "pcsc:"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
