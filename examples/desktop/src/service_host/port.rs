use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::failure::Failure;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A port of the loopback interface that stays ours while nobody listens at it: whoever connects is refused.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    held: Option<TcpSocket>,
}

impl Port {
    /// Picks a free port and holds it.
    pub fn reserve() -> Result<Self, Failure> {
        let (address, socket) = bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self { address, held: Some(socket) })
    }

    /// Begins to listen. The port is held no more: the listener has it.
    pub fn listen(&mut self) -> Result<TcpListener, Failure> {
        let socket = match self.held.take() {
            Some(socket) => socket,
            None => bind(self.address)?.1,
        };
        socket.listen(BACKLOG).map_err(|error| failed(self.address, &error))
    }

    /// Holds the port once its listener has gone.
    pub fn hold(&mut self) -> Result<(), Failure> {
        if self.held.is_none() {
            self.held = Some(bind(self.address)?.1);
        }
        Ok(())
    }
}

fn bind(address: SocketAddr) -> Result<(SocketAddr, TcpSocket), Failure> {
    let bound = || {
        let socket = TcpSocket::new_v4()?;
        // Connections of the listener before may linger. Windows would let others take the port with this.
        socket.set_reuseaddr(cfg!(unix))?;
        socket.bind(address)?;
        Ok((socket.local_addr()?, socket))
    };
    bound().map_err(|error| failed(address, &error))
}

fn failed(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::new(
        "listen-failed",
        format_args!("the port of {address} can't be used: {error}"),
        "Start again: another free port is picked.",
    )
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_held_port_refuses_connections_and_is_listened_at_again() {
        let mut port = Port::reserve().unwrap();
        for _ in 0..3 {
            let refused = TcpStream::connect(port.address).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let listener = port.listen().unwrap();
            let (connected, accepted) = tokio::join!(TcpStream::connect(port.address), listener.accept());
            drop((connected.unwrap(), accepted.unwrap(), listener));
            port.hold().unwrap();
        }
    }
}
