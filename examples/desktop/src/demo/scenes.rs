//! The scenes, in the order of the story.

use std::time::Duration;

use keybutton::{
    error::{ErrorCode, KeyError},
    press::PressOptions,
    radio::air::{Cut, Direction, Knobs, Manner},
};
use keybutton_protocol::{api::ButtonState, ids::UnlockId};

use super::{
    report::{DemoReport, Told},
    stage::{ANN, BEN, Door, Stage, Who},
    story::Reporter,
};
use crate::{
    failure::Failure,
    lock_host::LockView,
    phone::{News, Pressing},
    press_report::{LockReport, PressReport},
};

/// How long the press with the cut link waits, and how long the air takes to notice that a link is dead.
const IMPATIENCE: Duration = Duration::from_millis(2_500);
const SUPERVISION: Duration = Duration::from_secs(6);

/// Plays every scene and adds what happened to `report`.
pub(super) async fn play(
    stage: &mut Stage,
    reporter: &mut dyn Reporter,
    report: &mut DemoReport,
) -> Result<(), Failure> {
    let mut play = Play { stage, reporter, report };
    play.key_button().await?;
    play.first_press().await?;
    play.second_press().await?;
    play.no_permission().await?;
    play.revoked().await?;
    play.service_down().await?;
    play.cut_link().await
}

struct Play<'a> {
    stage: &'a mut Stage,
    reporter: &'a mut dyn Reporter,
    report: &'a mut DemoReport,
}

impl Play<'_> {
    /// The operator lets the member in, and the Key Button says at each step why it is not there yet.
    async fn key_button(&mut self) -> Result<(), Failure> {
        self.reporter.scene("The Key Button appears");
        let ann = self.stage.phone(Who::Ann);
        let state = ann.sign_in(self.stage.organization().token(ANN)?).await;
        self.button(state, "Ann signs in to the app", "unknown-member")?;

        let member = self.stage.organization().add_member(ANN).await?;
        let state = self.stage.phone(Who::Ann).refresh().await;
        self.button(state, "the operator adds Ann", "module-disabled")?;

        self.stage.organization().set_module(true).await?;
        let state = self.stage.phone(Who::Ann).refresh().await;
        self.button(state, "the operator switches mobile access on", "no-access-group")?;

        self.stage.organization().grant(&member, self.stage.group()?).await?;
        self.reporter.fact("the operator gives Ann the access group Members: the front door, at any hour");
        Ok(())
    }

    async fn first_press(&mut self) -> Result<(), Failure> {
        self.reporter.scene("First press: nothing is on the phone yet");
        let told = Told { downloaded: true, ..Told::OPENED };
        self.press("first-press", Who::Ann, Door::Front, told).await?;
        Ok(())
    }

    async fn second_press(&mut self) -> Result<(), Failure> {
        self.reporter.scene("Second press: lock and phone know each other");
        let told = Told { fast: true, round_trips: Some(1), ..Told::OPENED };
        self.press("second-press", Who::Ann, Door::Front, told).await?;
        Ok(())
    }

    async fn no_permission(&mut self) -> Result<(), Failure> {
        self.reporter.scene("A door that Ann has no right to");
        let told = Told { reason: Some("no-permission"), ..Told::REFUSED };
        self.press("no-permission", Who::Ann, Door::Server, told).await?;
        Ok(())
    }

    /// The lock has no network, and neither has the revoked phone: another member's phone brings the news.
    async fn revoked(&mut self) -> Result<(), Failure> {
        self.reporter.scene("A revoked key at a lock without a network");
        let member = self.stage.organization().add_member(BEN).await?;
        self.stage.organization().grant(&member, self.stage.group()?).await?;
        let ben = self.stage.phone(Who::Ben);
        ben.sign_in(self.stage.organization().token(BEN)?).await?;
        self.reporter.fact("Ben joins, signs in, and his phone downloads its key");
        ben.set_online(false);
        self.stage.organization().revoke_member(&member).await?;
        self.reporter.fact("Ben's phone loses its network; the operator revokes his devices");
        self.stage.phone(Who::Ann).refresh().await?;
        self.reporter.fact("Ann's phone hears of it, and carries it to the lock with her next press");
        let told = Told { round_trips: None, ..Told::OPENED };
        self.press("carrier", Who::Ann, Door::Front, told).await?;
        let told = Told { reason: Some("revoked"), round_trips: None, ..Told::REFUSED };
        self.press("revoked", Who::Ben, Door::Front, told).await?;
        Ok(())
    }

    async fn service_down(&mut self) -> Result<(), Failure> {
        self.reporter.scene("The access service is down");
        self.stage.stop_service().await?;
        self.reporter.fact("the service has stopped; the key on the phone is good for two days");
        let told = Told { fast: true, round_trips: Some(1), ..Told::OPENED };
        self.press("service-down", Who::Ann, Door::Front, told).await?;
        Ok(())
    }

    /// Nobody but the lock knows whether it opened; asking again under the same press id is safe.
    async fn cut_link(&mut self) -> Result<(), Failure> {
        self.reporter.scene("The link is cut after \"open\" was sent");
        // Initiate and the answer to AUTH0 go through: in the fast phase the lock has all it needs.
        let cut = Cut { direction: Direction::ToLock, after: 2, manner: Manner::Silent, links: Some(1) };
        self.stage
            .air()
            .set_knobs(ANN, Knobs { cut: Some(cut), supervision_timeout: SUPERVISION, ..Knobs::default() })
            .await?;
        let told = Told { outcome: "unconfirmed", reason: Some("no-verdict"), round_trips: None, ..Told::OPENED };
        let options = PressOptions { deadline: IMPATIENCE, ..self.stage.options(Door::Front)? };
        let before = self.stage.rested(Door::Front).await?;
        let pressing = self.stage.phone(Who::Ann).press(options)?;
        let id = self.follow("cut-link", Who::Ann, Door::Front, pressing, before, told).await?;

        self.reporter.fact("the app asks again, with the same press id");
        let before = self.stage.view(Door::Front)?;
        let pressing = self.stage.phone(Who::Ann).retry(id)?;
        // The lock repeats its verdict to the phone, not its light to the street.
        let told =
            Told { light: None, bolt_moves: 0, replayed: true, fast: true, round_trips: Some(1), ..Told::OPENED };
        self.follow("same-press-again", Who::Ann, Door::Front, pressing, before, told).await?;
        Ok(())
    }

    async fn press(&mut self, scene: &'static str, who: Who, door: Door, told: Told) -> Result<UnlockId, Failure> {
        let before = self.stage.rested(door).await?;
        let pressing = self.stage.phone(who).press(self.stage.options(door)?)?;
        self.follow(scene, who, door, pressing, before, told).await
    }

    /// Sees a press through, at both ends, and compares it with what is told.
    async fn follow(
        &mut self,
        scene: &'static str,
        who: Who,
        door: Door,
        mut pressing: Pressing,
        before: LockView,
        told: Told,
    ) -> Result<UnlockId, Failure> {
        let outcome = loop {
            match pressing.next().await? {
                News::Phase(phase) => self.reporter.phase(&phase),
                News::Outcome(outcome) => break outcome,
            }
        };
        // The bolt starts before the lock's answer leaves, so what is to move has been told to by now.
        let after = self.stage.settled(door, &before, told.light.is_some()).await?;
        let mut press = PressReport::new(&outcome, who.name(), Some(door.name().to_owned()));
        press.scene = Some(scene);
        press.lock = Some(LockReport::between(&before, &after));
        let differences = told.differences(&press);
        self.reporter.press(&press, &differences);
        self.report.differences.extend(differences);
        self.report.presses.push(press);
        Ok(outcome.press)
    }

    fn button(&mut self, state: Result<ButtonState, Failure>, what: &str, told: &str) -> Result<(), Failure> {
        let seen = match state {
            Ok(ButtonState::Visible) => "visible".to_owned(),
            Ok(ButtonState::Hidden(reason)) => KeyError::from(reason).code().entry().name.to_owned(),
            Err(failure) if failure.code == told => failure.code,
            Err(failure) => return Err(failure),
        };
        let message = ErrorCode::from_name(&seen).map_or("", ErrorCode::message);
        self.reporter.fact(&format!("{what}: the Key Button is hidden ({seen}). {message}"));
        if seen != told {
            self.report.differences.push(format!("{what}: the Key Button says {seen}, told is {told}"));
        }
        self.report.key_button.push(seen);
        Ok(())
    }
}
