//! A sample organization, set up through the operator API as any organization is.

use keybutton_protocol::api::{AccessGroupId, AppId, Bytes, DoorId, IntegrationKind, MemberId, SiteId, UnlockMethod};
use keybutton_service::operator::{
    ChangeOrganization, ClaimCodeInfo, CreateDoor, CreateIntegration, CreateMember, CreateSite, DoorInfo, GroupInfo,
    HoldGroup, IntegrationInfo, MemberDetails, MemberInfo, PolicySettings, PutApp, SiteInfo,
};
use serde::{Serialize, de::IgnoredAny};
use serde_json::json;

use crate::{
    failure::Failure, service_client::ServiceClient, service_host::ServiceHost, session::Sample, tokens::TokenIssuer,
};

/// The sample site.
const SITE: &str = "Harbour House";
const ZONE: &str = "Europe/Amsterdam";

/// Every day of the week.
pub const EVERY_DAY: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The days from Monday to Friday.
pub const WORKING_DAYS: [&str; 5] = ["mon", "tue", "wed", "thu", "fri"];

/// The body of a call that leaves everything to its defaults.
#[derive(Serialize)]
struct Defaults {}

/// An organization with one site, as its operator and its app's identity provider see it.
#[derive(Debug)]
pub struct Organization {
    name: String,
    app: AppId,
    site: SiteId,
    integration: String,
    operator: ServiceClient,
    operator_key: String,
    tokens: TokenIssuer,
}

/// A door to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DoorWish {
    /// Its name.
    pub name: String,
    /// How long it stays open, tenths of a second.
    pub open_time_ds: u16,
    /// The fast phase is allowed.
    pub fast: bool,
}

impl DoorWish {
    /// An ordinary door.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), open_time_ds: 30, fast: true }
    }
}

impl Organization {
    /// Makes the organization at a service of this process: its operator key, a site, an integration that opens with
    /// the Branded App, and the app with a key set made for the occasion. Mobile access is off.
    pub async fn found(service: &ServiceHost, name: &str) -> Result<Self, Failure> {
        let bootstrap = service.bootstrap(name).await?;
        let operator = ServiceClient::new(service.url())?.with_operator_key(&bootstrap.operator_key);
        let tokens = TokenIssuer::generate("https://login.harbour.example", "keybutton")?;
        let app = AppId(format!("app.{}", bootstrap.organization.0));
        let body = PutApp {
            name: name.to_owned(),
            enabled: true,
            issuer: tokens.issuer().to_owned(),
            audience: tokens.audience().to_owned(),
            jwks: tokens.key_set(),
        };
        operator.put::<IgnoredAny>(&format!("/v1/operator/apps/{app}"), &body).await?;
        let site = CreateSite { name: SITE.to_owned(), zone: ZONE.to_owned(), key_hours: None };
        let site: SiteInfo = operator.post("/v1/operator/sites", &site).await?;
        let integration = CreateIntegration {
            kind: IntegrationKind::Native,
            name: "Keybutton locks".to_owned(),
            connected: None,
            unlock_method: Some(UnlockMethod::BrandedApp),
        };
        let integration: IntegrationInfo = operator.post("/v1/operator/integrations", &integration).await?;
        Ok(Self {
            name: name.to_owned(),
            app,
            site: site.id,
            integration: integration.id,
            operator,
            operator_key: bootstrap.operator_key,
            tokens,
        })
    }

    /// Goes on with an organization made before.
    pub fn resume(service: &ServiceClient, sample: &Sample) -> Result<Self, Failure> {
        Ok(Self {
            name: sample.organization.clone(),
            app: sample.app.clone(),
            site: sample.site.clone(),
            integration: sample.integration.clone(),
            operator: service.with_operator_key(&sample.operator_key),
            operator_key: sample.operator_key.clone(),
            tokens: sample.tokens()?,
        })
    }

    /// What [`Organization::resume`] needs.
    pub fn sample(&self) -> Sample {
        Sample {
            organization: self.name.clone(),
            app: self.app.clone(),
            site: self.site.clone(),
            integration: self.integration.clone(),
            operator_key: self.operator_key.clone(),
            issuer: self.tokens.issuer().to_owned(),
            audience: self.tokens.audience().to_owned(),
            token_key: Bytes::from(self.tokens.pkcs8()),
        }
    }

    /// Calls as the operator.
    pub fn client(&self) -> &ServiceClient {
        &self.operator
    }

    /// The Branded App.
    pub fn app(&self) -> &AppId {
        &self.app
    }

    /// Its site.
    pub fn site(&self) -> &SiteId {
        &self.site
    }

    /// A session token for a member, as the app's identity provider issues it.
    pub fn token(&self, subject: &str) -> Result<String, Failure> {
        self.tokens.token(subject)
    }

    /// A session token that is good for `lifetime_s` seconds, a negative number of them for one that ran out, or as
    /// long as any. The identity provider's clock is `ahead_s` seconds ahead of this machine's.
    pub fn token_for(&self, subject: &str, lifetime_s: Option<i64>, ahead_s: u32) -> Result<String, Failure> {
        self.tokens.token_for(subject, lifetime_s, ahead_s)
    }

    /// Switches mobile access on or off.
    pub async fn set_module(&self, on: bool) -> Result<(), Failure> {
        let change = ChangeOrganization { module_enabled: Some(on), ..ChangeOrganization::default() };
        self.operator.patch::<IgnoredAny>("/v1/operator/organization", &change).await.map(drop)
    }

    /// Adds a door.
    pub async fn add_door(&self, wish: DoorWish) -> Result<DoorId, Failure> {
        let policy = PolicySettings {
            fast: Some(wish.fast),
            open_time_ds: Some(wish.open_time_ds),
            ..PolicySettings::default()
        };
        let integration = Some(self.integration.clone());
        let door = CreateDoor { site: self.site.clone(), integration, name: wish.name, policy, vendor_door: None };
        let made: DoorInfo = self.operator.post("/v1/operator/doors", &door).await?;
        Ok(made.id)
    }

    /// Adds a door that a vendor's own SDK opens, with an integration of its own.
    pub async fn add_vendor_door(&self, name: &str, vendor_door: &str) -> Result<DoorId, Failure> {
        let wish = json!({ "kind": "vendor", "name": name });
        let integration: serde_json::Value = self.operator.post("/v1/operator/integrations", &wish).await?;
        let id = &integration["id"];
        let door = json!({ "site": self.site, "integration": id, "name": name, "vendor_door": vendor_door });
        let made: DoorInfo = self.operator.post("/v1/operator/doors", &door).await?;
        Ok(made.id)
    }

    /// Finds a door by its name, where there is one.
    pub async fn find_door(&self, name: &str) -> Result<Option<DoorId>, Failure> {
        let doors: Vec<DoorInfo> = self.operator.get("/v1/operator/doors").await?;
        Ok(doors.into_iter().find(|door| door.name.eq_ignore_ascii_case(name)).map(|door| door.id))
    }

    /// Finds an access group by its name, where there is one.
    pub async fn find_group(&self, name: &str) -> Result<Option<AccessGroupId>, Failure> {
        let groups: Vec<GroupInfo> = self.operator.get("/v1/operator/groups").await?;
        Ok(groups.into_iter().find(|group| group.group.name.eq_ignore_ascii_case(name)).map(|group| group.id))
    }

    /// Finds a member by name, where there is one.
    pub async fn find_member(&self, name: &str) -> Result<Option<MemberId>, Failure> {
        let members: Vec<MemberInfo> = self.operator.get("/v1/operator/members").await?;
        Ok(members.into_iter().find(|member| member.name.eq_ignore_ascii_case(name)).map(|member| member.id))
    }

    /// Finds a door by its name.
    pub async fn door(&self, name: &str) -> Result<DoorId, Failure> {
        let doors: Vec<DoorInfo> = self.operator.get("/v1/operator/doors").await?;
        let found = doors.iter().find(|door| door.name.eq_ignore_ascii_case(name));
        found.map(|door| door.id.clone()).ok_or_else(|| {
            let known = doors.iter().map(|door| door.name.as_str()).collect::<Vec<_>>().join(", ");
            Failure::new(
                "unknown-door",
                format_args!("there is no door called {name}"),
                format_args!("Doors: {known}."),
            )
        })
    }

    /// Makes a code that claims a lock for a door.
    pub async fn claim_code(&self, door: &DoorId) -> Result<String, Failure> {
        let path = format!("/v1/operator/doors/{door}/claim-code");
        let made: ClaimCodeInfo = self.operator.post(&path, &Defaults {}).await?;
        Ok(made.claim_code)
    }

    /// Adds a member whose session tokens carry the same name.
    pub async fn add_member(&self, name: &str) -> Result<MemberId, Failure> {
        let member = CreateMember { name: name.to_owned(), subject: Some(name.to_owned()), confirmed: Some(true) };
        let made: MemberInfo = self.operator.post("/v1/operator/members", &member).await?;
        Ok(made.id)
    }

    /// Adds an access group that opens doors around the clock.
    pub async fn add_group(&self, name: &str, doors: &[DoorId]) -> Result<AccessGroupId, Failure> {
        self.put_group(&json!({ "name": name, "doors": doors })).await
    }

    /// Adds an access group that opens doors on these days, in the site's time.
    pub async fn add_weekly_group(
        &self,
        name: &str,
        doors: &[DoorId],
        days: &[&str],
        from: &str,
        until: &str,
    ) -> Result<AccessGroupId, Failure> {
        let weekly = json!([{ "days": days, "from": from, "until": until }]);
        self.put_group(&json!({ "name": name, "doors": doors, "schedule": { "weekly": weekly } })).await
    }

    async fn put_group(&self, group: &serde_json::Value) -> Result<AccessGroupId, Failure> {
        let made: GroupInfo = self.operator.post("/v1/operator/groups", group).await?;
        Ok(made.id)
    }

    /// Gives a member an access group, from now on and without end.
    pub async fn grant(&self, member: &MemberId, group: &AccessGroupId) -> Result<(), Failure> {
        self.hold(member, group, &HoldGroup::default()).await
    }

    /// Gives a member an access group as of a moment, Unix seconds, without end.
    pub async fn grant_since(&self, member: &MemberId, group: &AccessGroupId, since: u32) -> Result<(), Failure> {
        self.hold(member, group, &HoldGroup { valid_from: Some(since), ..HoldGroup::default() }).await
    }

    /// Takes an access group away from a member.
    pub async fn take(&self, member: &MemberId, group: &AccessGroupId) -> Result<(), Failure> {
        self.operator.delete::<IgnoredAny>(&format!("/v1/operator/members/{member}/groups/{group}")).await.map(drop)
    }

    async fn hold(&self, member: &MemberId, group: &AccessGroupId, hold: &HoldGroup) -> Result<(), Failure> {
        let path = format!("/v1/operator/members/{member}/groups/{group}");
        self.operator.put::<IgnoredAny>(&path, hold).await.map(drop)
    }

    /// Revokes every device of a member, and with them the keys on it. Returns how many.
    pub async fn revoke_member(&self, member: &MemberId) -> Result<usize, Failure> {
        let details: MemberDetails = self.operator.get(&format!("/v1/operator/members/{member}")).await?;
        for device in &details.devices {
            self.operator.delete::<IgnoredAny>(&format!("/v1/operator/devices/{}", device.id)).await?;
        }
        Ok(details.devices.len())
    }
}
