//! The pipe itself: standard input and output, or TCP, as lines that are waited for up to a time.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Instant,
};

use super::{
    Endpoint,
    line::{LineError, Lines, Word},
};
use crate::failure::Failure;

/// How many lines may wait unread; a peer that sends more waits.
const BACKLOG: usize = 16;
/// How often an address is tried that is nobody's one moment and somebody's the next.
const TRIES: usize = 5;

/// What came from the other side.
#[derive(Debug)]
pub enum Arrived {
    /// A line.
    Word(Word),
    /// A line that is none, with its number.
    Garbage(u64, LineError),
    /// The other side has closed the pipe.
    Ended,
    /// The pipe has failed.
    Failed(io::Error),
}

/// A pipe to one peer.
pub trait Pipe {
    /// Sends a line.
    ///
    /// # Errors
    ///
    /// When the other side takes no more.
    fn send(&mut self, word: &Word) -> io::Result<()>;

    /// Waits for what comes next; `None` once it is `until`.
    fn receive(&mut self, until: Option<Instant>) -> Option<Arrived>;

    /// Whether a phone counts as in the field from the start, without a word.
    fn begins_by_itself(&self) -> bool {
        true
    }
}

/// Where pipes come from: one, or one after the other.
#[derive(Debug)]
pub enum Pipes {
    /// Standard input and output, until taken.
    Stdio(bool),
    /// A connection, until taken.
    Connected(Option<TcpStream>),
    /// Peers connect here, one is served at a time.
    Listening(TcpListener),
}

impl Pipes {
    /// Opens `stdio` or `tcp:HOST:PORT`.
    ///
    /// # Errors
    ///
    /// When the address can neither be reached nor listened at, or names no pipe.
    pub fn open(endpoint: &Endpoint) -> Result<Self, Failure> {
        match endpoint {
            Endpoint::Stdio => Ok(Self::Stdio(false)),
            Endpoint::Tcp(address) => open_tcp(address),
            Endpoint::Pcsc(_) => Err(Failure::new(
                "apdu-pipe-failed",
                "a PC/SC reader is no pipe to a lock",
                "Give --apdu stdio or --apdu tcp:HOST:PORT.",
            )),
        }
    }

    /// How the pipe came about, for a person; `None` for standard input and output.
    pub fn describe(&self) -> Option<String> {
        let shown =
            |address: io::Result<SocketAddr>| address.map_or_else(|_| "?".into(), |address| address.to_string());
        match self {
            Self::Stdio(_) | Self::Connected(None) => None,
            Self::Connected(Some(stream)) => Some(format!("connected to {}", shown(stream.peer_addr()))),
            Self::Listening(listener) => Some(format!("listening at {}", shown(listener.local_addr()))),
        }
    }

    /// Whether more peers may come after one has gone.
    pub const fn outlive_a_peer(&self) -> bool {
        matches!(self, Self::Listening(_))
    }

    /// Waits for the next peer; `None` when there is no other.
    ///
    /// # Errors
    ///
    /// When the system gives no connection or thread.
    pub fn accept(&mut self) -> Result<Option<StreamPipe>, Failure> {
        match self {
            Self::Stdio(taken) => {
                let free = !std::mem::replace(taken, true);
                free.then(|| StreamPipe::new(io::stdin(), Box::new(io::stdout()), None)).transpose()
            }
            Self::Connected(stream) => stream.take().map(over_tcp).transpose(),
            Self::Listening(listener) => {
                let (stream, _) = listener.accept().map_err(|error| failed(&error))?;
                over_tcp(stream).map(Some)
            }
        }
    }
}

/// A pipe over a pair of streams.
pub struct StreamPipe {
    output: Box<dyn Write + Send>,
    arrived: Receiver<Arrived>,
    /// Dropping the pipe closes the connection under the thread that reads it.
    connection: Option<TcpStream>,
}

impl StreamPipe {
    fn new(
        input: impl Read + Send + 'static,
        output: Box<dyn Write + Send>,
        connection: Option<TcpStream>,
    ) -> Result<Self, Failure> {
        let (sender, arrived) = mpsc::sync_channel(BACKLOG);
        let read = move || {
            let mut lines = Lines::new(BufReader::new(input));
            loop {
                let (arrived, last) = match lines.read() {
                    Ok(Some((_, Ok(word)))) => (Arrived::Word(word), false),
                    Ok(Some((number, Err(error)))) => (Arrived::Garbage(number, error), false),
                    Ok(None) => (Arrived::Ended, true),
                    Err(error) => (Arrived::Failed(error), true),
                };
                if sender.send(arrived).is_err() || last {
                    return;
                }
            }
        };
        thread::Builder::new().name("apdu lines".into()).spawn(read).map_err(|error| failed(&error))?;
        Ok(Self { output, arrived, connection })
    }
}

impl Pipe for StreamPipe {
    fn send(&mut self, word: &Word) -> io::Result<()> {
        // One write: a line is never seen in halves by a peer that reads what is there.
        self.output.write_all(format!("{word}\n").as_bytes())?;
        self.output.flush()
    }

    fn receive(&mut self, until: Option<Instant>) -> Option<Arrived> {
        match until {
            None => Some(self.arrived.recv().unwrap_or(Arrived::Ended)),
            Some(until) => match self.arrived.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(arrived) => Some(arrived),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Arrived::Ended),
            },
        }
    }
}

impl std::fmt::Debug for StreamPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamPipe").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Drop for StreamPipe {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn over_tcp(stream: TcpStream) -> Result<StreamPipe, Failure> {
    let copy = || stream.try_clone().map_err(|error| failed(&error));
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    StreamPipe::new(copy()?, Box::new(copy()?), Some(stream))
}

/// Connects to whoever listens at `address`; listens there when nobody does. So it does not matter which side is
/// started first, and both sides may be this program.
fn open_tcp(address: &str) -> Result<Pipes, Failure> {
    let addresses: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| unreachable(address, format_args!("is no address: {error}")))?
        .collect();
    if addresses.iter().all(|address| address.port() == 0) {
        let listener = TcpListener::bind(&addresses[..]);
        return listener.map(Pipes::Listening).map_err(|error| unreachable(address, error));
    }
    let mut last = None;
    for _ in 0..TRIES {
        match TcpStream::connect(&addresses[..]) {
            // A port that is nobody's may be given to the very socket that tries to reach it.
            Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => {}
            Ok(stream) => return Ok(Pipes::Connected(Some(stream))),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(unreachable(address, error)),
        }
        match TcpListener::bind(&addresses[..]) {
            Ok(listener) => return Ok(Pipes::Listening(listener)),
            // Somebody has begun to listen in between.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some(error),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                return Err(unreachable(address, "nobody listens there, and it is no address of this machine"));
            }
            Err(error) => return Err(unreachable(address, error)),
        }
    }
    Err(unreachable(address, last.map_or_else(|| "it is in use".to_owned(), |error| error.to_string())))
}

fn unreachable(address: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(
        "apdu-pipe-failed",
        format_args!("{address}: {why}"),
        "Start the other side, or give another address; with port 0 a free one is listened at.",
    )
}

fn failed(error: &io::Error) -> Failure {
    Failure::new("apdu-pipe-failed", format_args!("the pipe failed: {error}"), "Start both sides again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Result<Pipes, Failure> {
        Pipes::open(&Endpoint::Tcp(address.to_owned()))
    }

    fn address(pipes: &Pipes) -> String {
        let Pipes::Listening(listener) = pipes else { panic!("{pipes:?}") };
        listener.local_addr().unwrap().to_string()
    }

    #[test]
    fn the_first_listens_and_the_second_connects() {
        let mut first = tcp("127.0.0.1:0").unwrap();
        let address = address(&first);
        assert_eq!(first.describe(), Some(format!("listening at {address}")));
        let mut second = tcp(&address).unwrap();
        assert_eq!(second.describe(), Some(format!("connected to {address}")));
        let mut there = second.accept().unwrap().unwrap();
        let mut here = first.accept().unwrap().unwrap();
        there.send(&Word::Apdu(vec![0x90, 0])).unwrap();
        assert!(matches!(here.receive(None), Some(Arrived::Word(Word::Apdu(apdu))) if apdu == [0x90, 0]));
        assert!(here.receive(Some(Instant::now())).is_none());
        drop(there);
        assert!(matches!(here.receive(None), Some(Arrived::Ended)));
        assert!(second.accept().unwrap().is_none());
        assert!(first.outlive_a_peer());

        // A free port that is known beforehand: whoever comes first listens there.
        drop((here, first));
        let again = tcp(&address).unwrap();
        assert_eq!(self::address(&again), address);
    }

    #[test]
    fn a_reader_is_no_pipe_to_a_lock() {
        assert_eq!(Pipes::open(&Endpoint::Pcsc(None)).unwrap_err().code, "apdu-pipe-failed");
    }
}
