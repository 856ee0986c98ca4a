//! The story of `tests/vectors/story.json`, played by the core against a real `keybutton stage`, one process a scene.
//! The language is described in `tests/vectors/README.md`; the Kotlin and Swift packages play the same file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod judge;
mod listener;
mod phone;
mod player;
mod script;
mod stage;

use std::collections::BTreeSet;

/// Makes a test of each scene, and one that none was forgotten.
macro_rules! scenes {
    ($($test:ident = $name:literal,)+) => {
        $(#[test]
        fn $test() {
            player::play($name);
        })+

        #[test]
        fn every_scene_is_played() {
            let played = BTreeSet::from([$($name),+]);
            let story = script::story();
            let written: BTreeSet<&str> = story.scenes.iter().map(|scene| scene.name.as_str()).collect();
            assert_eq!(played, written);
            assert_eq!(written.len(), story.scenes.len(), "a name is used twice");
        }
    };
}

scenes! {
    first_press = "first-press",
    key_downloaded_by_the_press = "key-downloaded-by-the-press",
    fast_press = "fast-press",
    no_permission = "no-permission",
    refused_by_the_service = "refused-by-the-service",
    revoked = "revoked",
    offline_with_a_key = "offline-with-a-key",
    offline_without_a_key = "offline-without-a-key",
    session_ran_out = "session-ran-out",
    unconfirmed_then_confirmed = "unconfirmed-then-confirmed",
    broken_link_mended = "broken-link-mended",
    cancel_while_asking_the_service = "cancel-while-asking-the-service",
    cancel_while_searching = "cancel-while-searching",
    cancel_while_choosing = "cancel-while-choosing",
    cancel_while_connecting = "cancel-while-connecting",
    cancel_while_proving = "cancel-while-proving",
    cancel_while_opening = "cancel-while-opening",
    throwing_listener = "throwing-listener",
    sign_out_during_a_press = "sign-out-during-a-press",
    press_while_another_runs = "press-while-another-runs",
    bluetooth_off = "bluetooth-off",
    choose_between_two_doors = "choose-between-two-doors",
    lock_says_no = "lock-says-no",
    lock_not_found = "lock-not-found",
    lock_without_the_time = "lock-without-the-time",
    narrow_link = "narrow-link",
}
