use std::sync::Arc;

use super::*;
use crate::store::{Change, Writer, conformance};

#[tokio::test]
async fn a_database_in_memory_conforms() {
    conformance::run(|| async { Sqlite::in_memory().await.unwrap() }).await;
}

#[tokio::test]
async fn a_database_file_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    conformance::run(|| {
        count += 1;
        let path = folder.path().join(format!("{count}.db"));
        async move { Sqlite::open(&path).await.unwrap() }
    })
    .await;
}

#[tokio::test]
async fn events_can_be_neither_changed_nor_removed() {
    let store = Sqlite::in_memory().await.unwrap();
    sqlx::query("INSERT INTO organizations VALUES ('o', 'o', 1, 10, 0)").execute(&store.writer).await.unwrap();
    let insert = "INSERT INTO events (organization, at, kind, actor, data) VALUES ('o', 1, 'k', 'a', '{}')";
    sqlx::query(insert).execute(&store.writer).await.unwrap();
    for sql in ["UPDATE events SET kind = 'x'", "DELETE FROM events"] {
        let error = sqlx::query(sql).execute(&store.writer).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Sqlite::open(&path).await.unwrap();
    store.commit(&[vec![Change::PutMeta("k", vec![1])]]).await.unwrap().pop().unwrap().unwrap();
    store.close().await.unwrap();
    drop(store);
    assert_eq!(Sqlite::open(&path).await.unwrap().meta("k").await.unwrap(), Some(vec![1]));
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_database_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("a.db")).await.unwrap();
    store.commit(&[vec![Change::PutMeta("k", vec![1])]]).await.unwrap().pop().unwrap().unwrap();
    for name in ["a.db", "a.db-wal"] {
        let mode = folder.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn one_service_has_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let _store = Sqlite::open(&path).await.unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("another service uses it"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear member, your door is blue.").unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("letter.txt") && error.to_string().contains("backup"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Dear member, your door is blue.");
}

#[tokio::test]
async fn a_damaged_database_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Sqlite::open(&path).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 3 * 4096);
    bytes[4096..3 * 4096].fill(0xA5);
    std::fs::write(&path, &bytes).unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("a.db"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_truncated_database_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Sqlite::open(&path).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("music.db");
    let pool = SqlitePool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    sqlx::query("CREATE TABLE songs (title TEXT)").execute(&pool).await.unwrap();
    pool.close().await;
    let before = std::fs::read(&path).unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_before_is_taken_over_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let old = open::old_file(&path, 1).await;
    for sql in [
        "INSERT INTO organizations VALUES ('org_a', 'a', 1, 10, 0)",
        "INSERT INTO sites VALUES ('sit_s', 'org_a', 's', 'UTC', zeroblob(16), x'01', 48, 0)",
        "INSERT INTO integrations VALUES ('int_a', 'org_a', 'native', 'doors', 7, 'branded-app')",
        r#"INSERT INTO doors VALUES ('dor_1', 'org_a', 'sit_s', 'int_a', 'Front', 1,
            '{"fast":true,"high_security":false,"sound":true,"open_time_ds":50,"offline_limit_s":3600,"tap_hint":false}')"#,
    ] {
        sqlx::query(sql).execute(&old).await.unwrap();
    }
    old.close().await;
    let store = Sqlite::open(&path).await.unwrap();
    let doors = store.organization(&OrganizationId("org_a".into())).await.unwrap().unwrap().doors;
    let [door] = &doors[..] else { panic!("{doors:?}") };
    assert_eq!(
        (&*door.name, door.locked_down, door.policy.open_time_ds, &door.vendor_door),
        ("Front", true, 50, &None)
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Sqlite::open(&path).await.unwrap();
    let sql = "INSERT INTO _sqlx_migrations VALUES (99, 'later', '2030-01-01', 1, x'00', 1)";
    sqlx::query(sql).execute(&store.writer).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, known: 2, .. }), "{error}");
}

#[tokio::test]
async fn the_writer_commits_what_many_hand_in() {
    let store = Arc::new(Sqlite::in_memory().await.unwrap());
    let writer = Writer::start(store.clone());
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let tasks: Vec<_> = (0..64_u8)
        .map(|n| {
            let writer = writer.clone();
            tokio::spawn(async move {
                writer.commit(vec![Change::PutMeta(NAMES[usize::from(n % 4)], vec![n])]).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for name in NAMES {
        assert!(store.meta(name).await.unwrap().is_some());
    }
}
