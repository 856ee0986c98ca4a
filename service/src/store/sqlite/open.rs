//! Opening a database: never changes a file that is damaged, foreign or newer.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Read,
    path::{Path, PathBuf},
    sync::Mutex,
};

use sqlx::{
    Connection, SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{OpenError, Sqlite};

/// Marks a database file as ours: "KBSV".
const APPLICATION_ID: i32 = 0x4B42_5356;

/// Every SQLite file begins with it.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

const READERS: u32 = 4;

/// A schema step: its number, its name, its SQL.
type Step = (i64, &'static str, &'static str);

/// Every schema step, in order.
const MIGRATIONS: &[Step] = &[
    (1, "first", include_str!("../../../migrations/0001_first.sql")),
    (2, "vendor doors", include_str!("../../../migrations/0002_vendor_doors.sql")),
];

pub(super) async fn file(path: &Path) -> Result<Sqlite, OpenError> {
    let unavailable = |reason: String| OpenError::Unavailable { path: path.to_owned(), reason };
    let lock = lock(path).map_err(unavailable)?;
    let exists = check_magic(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // What was answered outlives a power cut too; groups of writes share the wait for the disk.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    if exists {
        // The journal mode is left alone until the file is known to be ours.
        let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path))
            .await
            .map_err(|error| classify(path, &error))?;
        check(&mut connection, path).await?;
        connection.close().await.map_err(|error| classify(path, &error))?;
    } else {
        make_private(path).map_err(|error| unavailable(error.to_string()))?;
    }
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await
        .map_err(|error| classify(path, &error))?;
    migrate(&writer, path, MIGRATIONS).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options.create_if_missing(false).read_only(true))
        .await
        .map_err(|error| classify(path, &error))?;
    Ok(Sqlite { writer, readers, path: Some(path.to_owned()), lock: Mutex::new(Some(lock)) })
}

pub(super) async fn memory() -> Result<Sqlite, OpenError> {
    let path = PathBuf::from(":memory:");
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
    // A database in memory lives and dies with its one connection.
    let pool = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(|error| classify(&path, &error))?;
    migrate(&pool, &path, MIGRATIONS).await?;
    Ok(Sqlite { writer: pool.clone(), readers: pool, path: None, lock: Mutex::new(None) })
}

/// Makes the file for its owner alone: it says who may open what, and when they did. SQLite's side files follow its mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Takes the lock file beside the database.
fn lock(path: &Path) -> Result<File, String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(|error| error.to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err("another service uses it".to_owned()),
        Err(TryLockError::Error(error)) => Err(error.to_string()),
    }
}

/// Whether there is a database in the file; a file of anything else is refused.
fn check_magic(path: &Path) -> Result<bool, OpenError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(OpenError::Unavailable { path: path.to_owned(), reason: error.to_string() }),
    };
    let mut head = Vec::new();
    let read = file.by_ref().take(16).read_to_end(&mut head);
    match read {
        Ok(0) => Ok(false),
        Ok(_) if head == MAGIC => Ok(true),
        Ok(_) => Err(OpenError::Damaged { path: path.to_owned(), reason: "it is not an SQLite database".to_owned() }),
        Err(error) => Err(OpenError::Unavailable { path: path.to_owned(), reason: error.to_string() }),
    }
}

async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| classify(path, &error);
    // The quick check leaves out that indexes match their tables: the full one takes minutes on a large database.
    let found: String =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await.map_err(failed)?;
    if found != "ok" {
        return Err(OpenError::Damaged { path: path.to_owned(), reason: found });
    }
    let application: i32 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(failed)?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *connection).await.map_err(failed)?;
    if application != APPLICATION_ID {
        return if application == 0 && tables == 0 {
            Ok(())
        } else {
            Err(OpenError::Foreign { path: path.to_owned() })
        };
    }
    let found: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await.map_err(failed)?;
    let known = MIGRATIONS.last().map_or(0, |(version, _, _)| *version);
    match found {
        Some(found) if found > known => Err(OpenError::Newer { path: path.to_owned(), found, known }),
        _ => Ok(()),
    }
}

async fn migrate(pool: &SqlitePool, path: &Path, steps: &[Step]) -> Result<(), OpenError> {
    let failed = |reason: String| OpenError::Migration { path: path.to_owned(), reason };
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}")))
        .execute(pool)
        .await
        .map_err(|error| classify(path, &error))?;
    let migrations = steps
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations).run(pool).await.map_err(|error| failed(error.to_string()))
}

/// Makes a file as the service did that knew the first `steps` only.
#[cfg(test)]
pub(super) async fn old_file(path: &Path, steps: usize) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    migrate(&pool, path, &MIGRATIONS[..steps]).await.unwrap();
    pool
}

/// Tells damage from everything else by SQLite's own codes: 11 is a malformed image, 26 not a database.
fn classify(path: &Path, error: &sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match error {
        sqlx::Error::Database(inner) => {
            let code = inner.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default() & 0xFF;
            let reason = inner.message().to_owned();
            if matches!(code, 11 | 26) {
                OpenError::Damaged { path, reason }
            } else {
                OpenError::Unavailable { path, reason }
            }
        }
        other => OpenError::Unavailable { path, reason: other.to_string() },
    }
}
