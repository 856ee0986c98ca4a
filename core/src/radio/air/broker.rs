//! The broker: runs a medium in real time for participants in this and other processes.

use std::{collections::HashMap, io, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::{Duration, Instant},
};

use super::{
    AirError, Participant,
    control::Role,
    medium::{Medium, Micros, Outbox, PartId},
    wire::{self, FromBroker, ToBroker, VERSION},
};

/// How much a participant may be behind before the broker waits for it.
const LOCAL_BUFFER: usize = 64 * 1024;

/// How long a connection may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How a broker runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BrokerOptions {
    /// Where the simulated randomness starts.
    pub seed: u64,
}

/// Runs an air until it is dropped. Create it inside a Tokio runtime.
#[derive(Debug)]
pub struct Broker {
    endpoint: Endpoint,
    tasks: JoinSet<()>,
}

/// Where an air can be joined.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A broker on the loopback interface, in this or another process.
    Tcp(SocketAddr),
    /// A broker of this process, without a socket.
    Local(LocalEndpoint),
}

/// The way to a broker of this process.
#[derive(Clone, Debug)]
pub struct LocalEndpoint(mpsc::UnboundedSender<Stream>);

impl Broker {
    /// Starts a broker that listens on `address`, which should be on the loopback interface: the air has no
    /// authentication. Port 0 picks a free port.
    pub async fn listen(address: SocketAddr, options: BrokerOptions) -> Result<Self, AirError> {
        let listener = TcpListener::bind(address).await?;
        let endpoint = Endpoint::Tcp(listener.local_addr()?);
        let (mut broker, streams) = Self::start(options);
        broker.endpoint = endpoint;
        broker.tasks.spawn(accept(listener, streams));
        Ok(broker)
    }

    /// Starts a broker for this process alone.
    pub fn local(options: BrokerOptions) -> Self {
        Self::start(options).0
    }

    /// Where to join.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The loopback address, where the broker listens on one.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.endpoint {
            Endpoint::Tcp(address) => Some(*address),
            Endpoint::Local(_) => None,
        }
    }

    fn start(options: BrokerOptions) -> (Self, mpsc::UnboundedSender<Stream>) {
        let (streams, incoming) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(Hub::new(options).run(incoming));
        (Self { endpoint: Endpoint::Local(LocalEndpoint(streams.clone())), tasks }, streams)
    }
}

impl Endpoint {
    /// Joins and is welcomed.
    pub(super) async fn join(&self, role: Role, who: &Participant) -> Result<Stream, AirError> {
        let mut stream = self.open().await?;
        let hello = ToBroker::Hello {
            version: VERSION,
            role,
            name: who.name.clone(),
            position: who.position,
            knobs: Box::new(who.knobs.clone()),
        };
        wire::send(&mut stream.writer, &hello).await?;
        match wire::receive(&mut stream.reader).await? {
            FromBroker::Welcome => Ok(stream),
            FromBroker::Refused { why } => Err(AirError::Refused(why)),
            _ => Err(AirError::UnexpectedAnswer),
        }
    }

    async fn open(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(address) => Stream::tcp(TcpStream::connect(address).await?),
            Self::Local(LocalEndpoint(streams)) => {
                let (near, far) = tokio::io::duplex(LOCAL_BUFFER);
                let gone = || io::Error::new(io::ErrorKind::NotConnected, "the broker has stopped");
                streams.send(Stream::local(far)).map_err(|_| gone())?;
                Ok(Stream::local(near))
            }
        }
    }
}

/// A byte stream between a participant and the broker.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

pub(super) type Reader = Box<dyn ReadHalf>;
pub(super) type Writer = Box<dyn WriteHalf>;

pub(super) trait ReadHalf: AsyncRead + Send + Unpin + std::fmt::Debug {}
impl<T: AsyncRead + Send + Unpin + std::fmt::Debug> ReadHalf for T {}
pub(super) trait WriteHalf: AsyncWrite + Send + Unpin + std::fmt::Debug {}
impl<T: AsyncWrite + Send + Unpin + std::fmt::Debug> WriteHalf for T {}

impl Stream {
    fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader: Box::new(reader), writer: Box::new(writer) })
    }

    fn local(stream: DuplexStream) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: Box::new(reader), writer: Box::new(writer) }
    }
}

async fn accept(listener: TcpListener, streams: mpsc::UnboundedSender<Stream>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(stream) = Stream::tcp(stream) else { continue };
                if streams.send(stream).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the air's broker can't accept a connection");
                // Out of file descriptors, most likely: give the connections that are there time to close.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The one task that owns the medium.
struct Hub {
    medium: Medium,
    started: Instant,
    writers: HashMap<PartId, mpsc::UnboundedSender<FromBroker>>,
    tasks: JoinSet<()>,
}

enum HubInput {
    Joined { role: Role, who: Participant, stream: Stream },
    Frame(PartId, ToBroker),
    Gone(PartId),
}

impl Hub {
    fn new(options: BrokerOptions) -> Self {
        Self {
            medium: Medium::new(options.seed),
            started: Instant::now(),
            writers: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    async fn run(mut self, mut incoming: mpsc::UnboundedReceiver<Stream>) {
        let (inputs, mut from_tasks) = mpsc::unbounded_channel();
        loop {
            let mut out = Outbox::new();
            let deadline = self.medium.deadline().map(|at| self.started + Duration::from_micros(at));
            tokio::select! {
                // What was sent before a connection event must be seen before it.
                biased;
                Some(stream) = incoming.recv() => {
                    self.tasks.spawn(greet(stream, inputs.clone()));
                }
                Some(input) = from_tasks.recv() => self.input(input, &inputs, &mut out),
                () = sleep_until(deadline) => self.medium.on_time(self.now(), &mut out),
                Some(_) = self.tasks.join_next() => {}
            }
            for (to, frame) in out {
                if let Some(writer) = self.writers.get(&to) {
                    // A participant whose connection just broke is reported as gone by its reader.
                    let _ = writer.send(frame);
                }
            }
        }
    }

    fn input(&mut self, input: HubInput, inputs: &mpsc::UnboundedSender<HubInput>, out: &mut Outbox) {
        match input {
            HubInput::Joined { role, who, stream } => self.joined(role, who, stream, inputs),
            HubInput::Frame(from, frame) => self.medium.handle(self.now(), from, frame, out),
            HubInput::Gone(id) => {
                self.writers.remove(&id);
                self.medium.leave(self.now(), id, out);
            }
        }
    }

    fn joined(&mut self, role: Role, who: Participant, stream: Stream, inputs: &mpsc::UnboundedSender<HubInput>) {
        let (writer, frames) = mpsc::unbounded_channel();
        let name = who.name.clone();
        match self.medium.join(role, who) {
            Some(id) => {
                let _ = writer.send(FromBroker::Welcome);
                self.writers.insert(id, writer);
                self.tasks.spawn(read_frames(stream.reader, id, inputs.clone()));
            }
            None => {
                let _ = writer.send(FromBroker::Refused { why: format!("the name {name} is taken") });
            }
        }
        self.tasks.spawn(write_frames(stream.writer, frames));
    }

    fn now(&self) -> Micros {
        Micros::try_from(self.started.elapsed().as_micros()).unwrap_or(Micros::MAX / 4)
    }
}

/// Waits for a new connection's hello and hands it to the hub.
async fn greet(mut stream: Stream, inputs: mpsc::UnboundedSender<HubInput>) {
    let hello = tokio::time::timeout(HELLO_TIMEOUT, wire::receive(&mut stream.reader)).await;
    let refusal = match hello {
        Ok(Ok(ToBroker::Hello { version: VERSION, role, name, position, knobs })) => {
            let who = Participant { name, position, knobs: *knobs };
            let _ = inputs.send(HubInput::Joined { role, who, stream });
            return;
        }
        Ok(Ok(ToBroker::Hello { version, .. })) => format!("version {version} is not spoken here, {VERSION} is"),
        Ok(Ok(_)) => "a hello has to come first".to_owned(),
        Ok(Err(_)) | Err(_) => return,
    };
    let _ = wire::send(&mut stream.writer, &FromBroker::Refused { why: refusal }).await;
}

async fn read_frames(mut reader: Reader, id: PartId, inputs: mpsc::UnboundedSender<HubInput>) {
    loop {
        match wire::receive(&mut reader).await {
            Ok(frame) => {
                if inputs.send(HubInput::Frame(id, frame)).is_err() {
                    return;
                }
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    tracing::warn!(%error, "a participant of the air sent something that is no message");
                }
                let _ = inputs.send(HubInput::Gone(id));
                return;
            }
        }
    }
}

async fn write_frames(mut writer: Writer, mut frames: mpsc::UnboundedReceiver<FromBroker>) {
    while let Some(frame) = frames.recv().await {
        if wire::send(&mut writer, &frame).await.is_err() {
            return;
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
