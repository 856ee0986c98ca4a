use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use keybutton_service::{Service, ServiceError, Settings};
use serde_json::Value;

use crate::world::World;

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keybutton-service"));
    command.env_clear().current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts `serve` and waits for the line that says where it listens.
fn serve(mut command: Command) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (child, url)
}

#[tokio::test]
async fn the_binary_bootstraps_serves_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let made = command(folder.path()).args(["bootstrap", "--name", "House", "--database", "a.db"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = String::from_utf8(made.stdout).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("operator key")).unwrap().trim();
    // The address by environment, the database by file.
    std::fs::write(folder.path().join("settings.toml"), "database = \"a.db\"\n").unwrap();
    let mut start = command(folder.path());
    start.args(["serve", "--config", "settings.toml"]).env("KEYBUTTON_LISTEN", "127.0.0.1:0");
    let (mut child, url) = serve(start);
    let world = World::start().await;
    let request = world.http.get(format!("{url}/v1/operator/organization")).bearer_auth(key);
    let organization: Value = world.send(request).await.json();
    assert_eq!(organization["name"], "House");

    let second =
        command(folder.path()).args(["serve", "--database", "a.db", "--listen", "127.0.0.1:0"]).output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && error.contains("a.db") && error.contains("another service"), "{error}");

    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(child.wait().unwrap().success(), "a termination is a good end");
}

#[tokio::test]
async fn mistakes_end_with_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.txt"), "Dear member").unwrap();
    std::fs::write(folder.path().join("settings.toml"), "colour = \"red\"\n").unwrap();
    let fails = |args: &[&str], master: Option<&str>| {
        let mut command = command(folder.path());
        if let Some(key) = master {
            command.env("KEYBUTTON_MASTER_KEY", key);
        }
        let output = command.args(args).output().unwrap();
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let good = "5e".repeat(32);
    let error = fails(&["serve", "--database", "letter.txt"], Some(&good));
    assert!(error.contains("letter.txt") && error.contains("backup"), "{error}");
    let error = fails(&["serve", "--config", "settings.toml"], None);
    assert!(error.contains("settings.toml") && error.contains("colour"), "{error}");
    let error = fails(&["serve", "--database", "a.db"], Some("hunter2"));
    assert!(error.contains("KEYBUTTON_MASTER_KEY") && !error.contains("hunter2"), "{error}");
    let error = fails(&["serve", "--database", "nowhere/a.db"], Some(&good));
    assert!(error.contains("nowhere/a.db"), "{error}");
    let error = fails(&["bootstrap", "--name", "House", "--database", ":memory:"], None);
    assert!(error.contains("--database"), "{error}");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let world = World::start_with(Settings::file(&path)).await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    let before = world.bundle(&tenant, &phone).await.sites.remove(0);
    world.stop().await;
    let world = World::start_with(Settings::file(&path)).await;
    let after = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert_eq!((before.access_id, before.kid, before.ca_key), (after.access_id, after.kid, after.ca_key));
    assert!(lock.opens(&after.document, &phone.public_key(), world.now()));
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    World::start_with(Settings::file(&path)).await.stop().await;
    let key = folder.path().join("a.db.key");
    std::fs::rename(&key, folder.path().join("kept.key")).unwrap();
    let error = Service::open(Settings::file(&path)).await.unwrap_err();
    assert!(error.to_string().contains("a.db.key") && error.to_string().contains("missing"), "{error}");
    std::fs::write(&key, "5e".repeat(32)).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let error = Service::open(Settings::file(&path)).await.unwrap_err();
    assert!(matches!(error, ServiceError::MasterKey(_)), "{error}");
    assert!(error.to_string().contains("another master key"), "{error}");
    std::fs::rename(folder.path().join("kept.key"), &key).unwrap();
    Service::open(Settings::file(&path)).await.unwrap();
}
