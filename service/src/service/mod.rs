//! The service itself: what opens it, what it holds, and what every request goes through.

mod audit;
mod calls;
mod changes;
mod claims;
mod devices;
mod keys;
mod setup;
mod sign;
mod view;

use std::{
    collections::HashMap,
    fmt,
    future::{Future, IntoFuture},
    hash::Hash,
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use keybutton_protocol::api::{AppId, OrganizationId, SiteId};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::{
    auth::{AppVerifier, TokenCache, install_provider},
    clock::Clock,
    problem::{Code, Problem},
    signing::{KeyVault, MasterKey, MasterKeyError, SharedSigner, SoftwareVault, VaultError},
    store::{Ack, App, MemberRecord, OpenError, Store, StoreError, Writer, sqlite::Sqlite},
};

pub use self::setup::Bootstrap;
pub(crate) use self::{
    calls::{Hold, MemberCall, OperatorCall},
    changes::{Draft, KEY_HOURS, Scope},
    claims::effective_policy,
    devices::to_api,
    view::OrgView,
};

/// Where the data is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Database {
    /// In a file.
    File(PathBuf),
    /// In memory, gone when the service stops.
    Memory,
}

/// What a service is opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the data is.
    pub database: Database,
    /// The master key. `None`: for a file, the key file beside it (`NAME.key`, made with a new database); in memory, a
    /// fresh one.
    pub master_key: Option<MasterKey>,
    /// The largest body of a request, bytes.
    pub body_limit: usize,
    /// How long a request's body may take to arrive.
    pub body_timeout: Duration,
    /// The clock.
    pub clock: Clock,
}

/// Why a service can't be opened.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The database can't be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// There is no usable master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key vault fails.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A request to the service made by its own host failed.
    #[error("{0}")]
    Refused(String),
}

/// An open access service. Clones share it.
#[derive(Clone)]
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<dyn KeyVault>,
    pub(crate) clock: Clock,
    pub(crate) body_limit: usize,
    pub(crate) body_timeout: Duration,
    writer: Writer,
    tokens: TokenCache,
    apps: Cache<AppId, Arc<AppEntry>>,
    operators: Cache<[u8; 32], Arc<Operator>>,
    organizations: Cache<OrganizationId, Arc<OrgView>>,
    members: Cache<(OrganizationId, String), Arc<MemberEntry>>,
    acks: Cache<SiteId, Arc<Vec<Ack>>>,
    signers: Cache<String, SharedSigner>,
    time_tokens: Cache<SiteId, (u32, Arc<Vec<u8>>)>,
    /// One gate for each organization: what changes rights holds it alone, everything that relies on them shares it. So
    /// no key is issued on rights that a committed change has taken, and what is cached is never older than the store.
    gates: Cache<OrganizationId, Arc<tokio::sync::RwLock<()>>>,
}

/// A Branded App with its parsed key set.
#[derive(Debug)]
pub(crate) struct AppEntry {
    pub(crate) app: App,
    pub(crate) verifier: AppVerifier,
    /// Tells verifications under these settings from earlier ones.
    pub(crate) generation: u64,
}

/// Whose operator key it is.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) organization: OrganizationId,
    pub(crate) key: String,
}

/// A member with the access identifiers their keys go on with.
#[derive(Debug)]
pub(crate) struct MemberEntry {
    pub(crate) record: MemberRecord,
    pub(crate) issued: keys::Issued,
}

/// How long running requests may take to finish once the service is asked to stop.
const SHUTDOWN: Duration = Duration::from_secs(10);

impl Settings {
    /// Settings for a database file; everything else by default.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { database: Database::File(path.into()), ..Self::memory() }
    }

    /// Settings for a database in memory.
    pub fn memory() -> Self {
        Self {
            database: Database::Memory,
            master_key: None,
            body_limit: 64 * 1024,
            body_timeout: Duration::from_secs(15),
            clock: Clock::system(),
        }
    }
}

impl Service {
    /// Opens the service: database, master key, caches. Needs a Tokio runtime.
    pub async fn open(settings: Settings) -> Result<Self, ServiceError> {
        install_provider();
        let (store, master_key): (Arc<dyn Store>, MasterKey) = match &settings.database {
            Database::File(path) => {
                let fresh = !path.metadata().is_ok_and(|metadata| metadata.len() > 0);
                let key_file = PathBuf::from(format!("{}.key", path.display()));
                // Before the database, so that a missing key is told before anything is made.
                let key = match &settings.master_key {
                    Some(key) => key.clone(),
                    None => MasterKey::from_file(&key_file, fresh)?,
                };
                (Arc::new(Sqlite::open(path).await?), key)
            }
            Database::Memory => {
                let key = settings.master_key.clone().map_or_else(MasterKey::generate, Ok)?;
                (Arc::new(Sqlite::in_memory().await?), key)
            }
        };
        Self::with_parts(store, Arc::new(SoftwareVault::new(master_key)), &settings).await
    }

    /// Opens the service over a store and a key vault of the host's own.
    pub async fn with_parts(
        store: Arc<dyn Store>,
        vault: Arc<dyn KeyVault>,
        settings: &Settings,
    ) -> Result<Self, ServiceError> {
        let inner = Inner {
            writer: Writer::start(store.clone()),
            store,
            vault,
            clock: settings.clock.clone(),
            body_limit: settings.body_limit,
            body_timeout: settings.body_timeout,
            tokens: TokenCache::default(),
            apps: Cache::default(),
            operators: Cache::default(),
            organizations: Cache::default(),
            members: Cache::default(),
            acks: Cache::default(),
            signers: Cache::default(),
            time_tokens: Cache::default(),
            gates: Cache::default(),
        };
        let service = Self { inner: Arc::new(inner) };
        if let Err(error) = service.check_vault().await {
            service.close().await?;
            return Err(error);
        }
        Ok(service)
    }

    /// The routes, to be served by the host.
    pub fn router(&self) -> axum::Router {
        crate::routes::router(self.clone())
    }

    /// Serves on a listener until `shutdown` completes; lets running requests finish, for 10 s at most, and closes the
    /// store.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        // Answers are small and each is written at once.
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no-delay can't be set");
            }
        });
        let (told, stopping) = tokio::sync::oneshot::channel();
        let shutdown = async move {
            shutdown.await;
            let _ = told.send(());
        };
        let overdue = async {
            match stopping.await {
                Ok(()) => tokio::time::sleep(SHUTDOWN).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            served = axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).into_future() => served?,
            () = overdue => tracing::warn!("requests that were still running were cut off"),
        }
        self.close().await.map_err(io::Error::other)
    }

    /// Closes the store; the service must not be used any more.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.store.close().await
    }

    pub(crate) fn now(&self) -> u32 {
        self.inner.clock.now()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.store
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Code::Conflict.into(),
            StoreError::Gone => Code::NotFound.into(),
            StoreError::Database(_) | StoreError::Corrupt(_) => {
                tracing::error!(%error, "store failed; if it reports damage, stop the service and restore the database");
                Code::Internal.into()
            }
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Envelope => Code::AuditUnreadable.into(),
            VaultError::Sealed | VaultError::Failed => {
                tracing::error!(%error, "key vault failed");
                Code::Internal.into()
            }
        }
    }
}

/// A map that many read and few write.
pub(crate) struct Cache<K, V> {
    map: RwLock<HashMap<K, V>>,
}

/// The most entries of one cache; a full one starts over.
const CACHE_CAPACITY: usize = 100_000;

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= CACHE_CAPACITY {
            map.clear();
        }
        map.insert(key, value);
    }

    pub(crate) fn get_or_put(&self, key: K, make: impl FnOnce() -> V) -> V {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        map.entry(key).or_insert_with(make).clone()
    }

    pub(crate) fn retain(&self, mut keep: impl FnMut(&K) -> bool) {
        self.map.write().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { map: RwLock::new(HashMap::new()) }
    }
}
