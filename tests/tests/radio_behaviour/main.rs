//! What every radio does, from `tests/vectors/radio-behaviour.json`, asked of the air's. The language is described in
//! `tests/vectors/README.md`; the desktop's radio is asked the same in the Bluetooth machine, those of Android and of
//! Apple's systems on fakes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod air;

use std::collections::BTreeSet;

use keybutton_tests::radio_behaviour::{listeners, player, script};

/// Makes a test of each case, and one that none was forgotten.
macro_rules! cases {
    ($($test:ident = $name:literal,)+) => {
        $(#[tokio::test(start_paused = true)]
        async fn $test() {
            player::play(&script::case($name), air::AirStand::set().await).await;
        })+

        #[test]
        fn every_case_is_played_that_an_air_can_show() {
            let played = BTreeSet::from([$($name),+]);
            let cases = script::cases();
            let can = |needs: &script::Need| air::CAN.contains(needs);
            let possible: BTreeSet<&str> =
                cases.iter().filter(|case| case.needs.iter().all(can)).map(|case| case.name.as_str()).collect();
            assert_eq!(played, possible);
        }
    };
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_connect_again_from_within_the_report() {
    listeners::connects_again_from_within(air::AirStand::set().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_let_go_once_scan_and_links_have_ended() {
    listeners::is_let_go(air::AirStand::set().await).await;
}

cases! {
    hears_while_scanning = "hears-while-scanning",
    stop_without_a_scan = "stop-without-a-scan",
    no_scan_response_yet = "no-scan-response-yet",
    two_peripherals = "two-peripherals",
    strangers_are_not_heard = "strangers-are-not-heard",
    a_link_from_begin_to_end = "a-link-from-begin-to-end",
    values_keep_their_order = "values-keep-their-order",
    the_locks_first_word = "the-locks-first-word",
    what_was_written_goes_first = "what-was-written-goes-first",
    write_without_a_link = "write-without-a-link",
    refused_then_accepted = "refused-then-accepted",
    given_up = "given-up",
    dropped_by_the_lock = "dropped-by-the-lock",
    out_of_range = "out-of-range",
    one_link_to_a_peripheral = "one-link-to-a-peripheral",
    disconnect_twice = "disconnect-twice",
    two_links = "two-links",
    adapter_off_with_a_link = "adapter-off-with-a-link",
    adapter_off_while_connecting = "adapter-off-while-connecting",
    adapter_off_while_scanning = "adapter-off-while-scanning",
}
