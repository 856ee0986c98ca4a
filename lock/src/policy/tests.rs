use keybutton_protocol::{
    cbor::CborError,
    document::{
        Interfaces, Restrictions,
        access::ElementError,
        iteration::IterationError,
        list::List,
        schedule::{Capabilities, Mask, Recurrence, Rule, Rules, Schedule},
    },
};

use super::*;

/// 2030-01-01T09:45:00Z, a Tuesday.
const NOW: UnixTime = UnixTime(1_893_491_100);
const SITE: GroupId = GroupId([7; 16]);

fn rule(capabilities: u8) -> Rule {
    Rule { capabilities: Capabilities(capabilities), allow: None, deny: None }
}

fn access(rules: &[Rule]) -> AccessData {
    AccessData {
        rules: Rules { rules: List::from_slice(rules).unwrap(), schedules: List::new() },
        restrictions: Restrictions { site: Some(SITE), ..Restrictions::default() },
        ..AccessData::default()
    }
}

fn claim(access: &AccessData) -> Claim<'_> {
    Claim {
        signed: UnixTime(NOW.0 - 3_600),
        valid_from: UnixTime(NOW.0 - 3_600),
        valid_until: UnixTime(NOW.0 + 3_600),
        time_required: true,
        access,
        revoked: false,
        stale: false,
        uses: 0,
    }
}

fn situation<'a>(policy: &'a Policy, documents: &'a DocumentRules) -> Situation<'a> {
    Situation {
        now: Some(NOW),
        not_before: NOW,
        group: SITE,
        intent: Some(Intent::Unlock),
        interface: Interface::Ble,
        user_authenticated: false,
        policy,
        documents,
        lockdown: Lockdown::Off,
        privacy: false,
        fault: None,
    }
}

fn reason(
    change: impl FnOnce(&mut AccessData, &mut Policy),
    adjust: impl FnOnce(&mut Claim<'_>, &mut Situation<'_>),
) -> Judgement {
    let (mut data, mut policy) = (access(&[rule(0x0A)]), Policy::default());
    change(&mut data, &mut policy);
    let (mut claim, mut situation) = (claim(&data), situation(&policy, &DocumentRules::PRODUCT));
    adjust(&mut claim, &mut situation);
    decide(&claim, &situation)
}

#[test]
fn a_good_key_is_granted() {
    assert_eq!(reason(|_, _| {}, |_, _| {}), Judgement::GRANTED);
}

#[test]
fn each_reason_alone() {
    type Adjust = fn(&mut Claim<'_>, &mut Situation<'_>);
    type Change = fn(&mut AccessData, &mut Policy);
    let adjusted: [(Reason, Adjust); 10] = [
        (Reason::Revoked, |c, _| c.revoked = true),
        (Reason::StaleDocument, |c, _| c.stale = true),
        (Reason::WrongLock, |_, s| s.group = GroupId([8; 16])),
        (Reason::Expired, |_, s| s.now = Some(UnixTime(NOW.0 + 3_601))),
        (Reason::NotYetValid, |c, _| c.valid_from = UnixTime(NOW.0 + 1)),
        (Reason::ClockUnknown, |_, s| s.now = None),
        (Reason::LockedDown, |_, s| s.lockdown = Lockdown::Site),
        (Reason::Privacy, |_, s| s.privacy = true),
        (Reason::Hardware, |_, s| s.fault = Some(Fault::Motor)),
        (Reason::NoPermission, |_, s| s.intent = Some(Intent::Lock)),
    ];
    for (expected, adjust) in adjusted {
        assert_eq!(reason(|_, _| {}, adjust).reason, expected);
    }
    let changed: [(Reason, Change); 5] = [
        (Reason::NoPermission, |a, _| a.reader_rules = true),
        (Reason::UserAuthRequired, |a, _| a.restrictions.user_authentication = true),
        (Reason::UseLimit, |a, _| a.restrictions.use_limit = Some(0)),
        (Reason::Policy, |a, _| a.restrictions.interfaces = Some(Interfaces::NFC)),
        (Reason::Policy, |_, p| p.interfaces.ble = false),
    ];
    for (expected, change) in changed {
        assert_eq!(reason(change, |_, _| {}).reason, expected);
    }
}

#[test]
fn l_no_clock() {
    assert_eq!(reason(|_, _| {}, |_, s| s.now = None), Judgement::with(Reason::ClockUnknown, 1));
    let not_needed = |c: &mut Claim<'_>, s: &mut Situation<'_>| {
        c.time_required = false;
        s.now = None;
    };
    assert_eq!(reason(|_, _| {}, not_needed), Judgement::GRANTED);
    let certainly_over = |c: &mut Claim<'_>, s: &mut Situation<'_>| {
        not_needed(c, s);
        s.not_before = UnixTime(NOW.0 + 3_601);
    };
    assert_eq!(reason(|_, _| {}, certainly_over).reason, Reason::Expired);
}

#[test]
fn l_expired_and_l_early_include_both_ends() {
    let at = |now: u32| {
        reason(
            |_, _| {},
            |c, s| {
                c.signed = UnixTime(0);
                s.now = Some(UnixTime(now));
            },
        )
    };
    assert_eq!(at(NOW.0 - 3_601).reason, Reason::NotYetValid);
    assert_eq!(at(NOW.0 - 3_600), Judgement::GRANTED);
    assert_eq!(at(NOW.0 + 3_600), Judgement::GRANTED);
    assert_eq!(at(NOW.0 + 3_601).reason, Reason::Expired);
}

#[test]
fn a_fresh_key_is_good_at_a_clock_that_is_a_little_behind() {
    let behind = reason(
        |_, _| {},
        |c, s| {
            c.signed = UnixTime(NOW.0 + 200);
            c.valid_from = c.signed;
            s.now = Some(NOW);
        },
    );
    assert_eq!(behind, Judgement::GRANTED);
}

#[test]
fn l_capability() {
    let secure_only = |a: &mut AccessData, _: &mut Policy| a.rules.rules = List::from_slice(&[rule(1)]).unwrap();
    assert_eq!(reason(secure_only, |_, _| {}).reason, Reason::NoPermission);
    assert_eq!(reason(secure_only, |_, s| s.intent = Some(Intent::Lock)), Judgement::GRANTED);
    assert_eq!(reason(|a, _| a.rules.rules = List::new(), |_, _| {}).reason, Reason::NoPermission);
}

#[test]
fn l_deny_schedule() {
    let day = Schedule { start: UnixTime(NOW.0 - 86_400), end: None, recurrence: None, utc: true };
    let both = |a: &mut AccessData, _: &mut Policy| {
        a.rules.schedules = List::from_slice(&[day, day]).unwrap();
        a.rules.rules = List::from_slice(&[Rule { allow: Some(Mask(1)), deny: Some(Mask(2)), ..rule(8) }]).unwrap();
    };
    assert_eq!(reason(both, |_, _| {}).reason, Reason::OutsideSchedule);
}

#[test]
fn a_schedule_without_a_clock_is_clock_unknown() {
    let weekly = |a: &mut AccessData, _: &mut Policy| {
        let recurrence = Some(Recurrence::weekly(12 * 3_600, 0x1F));
        let schedule = Schedule { start: UnixTime(NOW.0 - 86_400 * 3), end: None, recurrence, utc: true };
        a.rules.schedules = List::from_slice(&[schedule]).unwrap();
        a.rules.rules = List::from_slice(&[Rule { allow: Some(Mask(1)), ..rule(8) }]).unwrap();
    };
    assert_eq!(reason(weekly, |_, _| {}), Judgement::GRANTED);
    let blind = |c: &mut Claim<'_>, s: &mut Situation<'_>| {
        c.time_required = false;
        s.now = None;
    };
    assert_eq!(reason(weekly, blind).reason, Reason::ClockUnknown);
}

#[test]
fn reasons_come_in_the_order_of_section_17() {
    let worst = |c: &mut Claim<'_>, s: &mut Situation<'_>| {
        (c.revoked, c.stale, c.uses) = (true, true, 9);
        (s.lockdown, s.privacy, s.fault) = (Lockdown::Door, true, Some(Fault::Jammed));
        (s.group, s.now, s.intent) = (GroupId([8; 16]), Some(UnixTime(u32::MAX)), Some(Intent::HoldOpen));
    };
    let cures: [fn(&mut Claim<'_>, &mut Situation<'_>, &mut AccessData, &mut Policy); 10] = [
        |c, _, _, _| c.revoked = false,
        |c, _, _, _| c.stale = false,
        |_, s, _, _| s.group = SITE,
        |_, s, _, _| s.now = Some(NOW),
        |_, _, a, _| a.reader_rules = false,
        |_, _, a, _| a.restrictions.use_limit = None,
        |_, _, a, _| a.restrictions.user_authentication = false,
        |_, _, _, p| p.intents = IntentPolicy::Any,
        |_, s, _, _| s.lockdown = Lockdown::Off,
        |_, s, _, _| s.privacy = false,
    ];
    let expected = [
        Reason::Revoked,
        Reason::StaleDocument,
        Reason::WrongLock,
        Reason::Expired,
        Reason::NoPermission,
        Reason::UseLimit,
        Reason::UserAuthRequired,
        Reason::Policy,
        Reason::LockedDown,
        Reason::Privacy,
        Reason::Hardware,
    ];
    for (cured, expected) in expected.iter().enumerate() {
        let mut data = access(&[rule(0x02)]);
        data.reader_rules = true;
        data.restrictions.use_limit = Some(9);
        data.restrictions.user_authentication = true;
        let mut policy = Policy { intents: IntentPolicy::MomentaryOnly, ..Policy::default() };
        let (base, rules, first) = (data, DocumentRules::PRODUCT, Policy::default());
        let (mut c, mut s) = (claim(&base), situation(&first, &rules));
        worst(&mut c, &mut s);
        for cure in &cures[..cured] {
            cure(&mut c, &mut s, &mut data, &mut policy);
        }
        let (c, s) = (Claim { access: &data, ..c }, Situation { policy: &policy, ..s });
        assert_eq!(decide(&c, &s).reason, *expected);
    }
}

#[test]
fn locking_and_syncing_are_served_under_lockdown() {
    let down = |intent: Intent| {
        reason(
            |a, _| a.rules.rules = List::from_slice(&[rule(0x0B)]).unwrap(),
            |_, s| {
                s.intent = Some(intent);
                s.lockdown = Lockdown::Site;
                s.privacy = true;
            },
        )
    };
    assert_eq!(down(Intent::Lock), Judgement::GRANTED);
    assert_eq!(down(Intent::Sync), Judgement::GRANTED);
    assert_eq!(down(Intent::Status).reason, Reason::LockedDown);
    assert_eq!(down(Intent::HoldOpen).reason, Reason::LockedDown);
}

#[test]
fn interop_does_without_our_extensions() {
    let (mut data, policy) = (access(&[]), Policy::default());
    data.restrictions.site = None;
    let situation = situation(&policy, &DocumentRules::INTEROP);
    assert_eq!(decide(&claim(&data), &situation), Judgement::GRANTED);
}

#[test]
fn document_errors_have_their_reasons() {
    for (error, expected) in [
        (DocumentError::UnknownIssuer, (Reason::NotTrusted, 1)),
        (DocumentError::Signature, (Reason::NotTrusted, 2)),
        (DocumentError::DeviceKey, (Reason::NotTrusted, 3)),
        (DocumentError::Digest, (Reason::BadData, 3)),
        (DocumentError::DocType, (Reason::BadData, 4)),
        (DocumentError::Iteration(IterationError::Stale), (Reason::StaleDocument, 0)),
        (DocumentError::Iteration(IterationError::Jump), (Reason::BadData, 7)),
        (DocumentError::Iteration(IterationError::Missing), (Reason::BadData, 7)),
        (DocumentError::Mso(CborError::Unexpected), (Reason::BadData, 3)),
        (DocumentError::Element(ElementError::Version), (Reason::BadData, 8)),
    ] {
        let judged = of_document_error(error);
        assert_eq!((judged.reason, judged.detail), expected);
    }
}
