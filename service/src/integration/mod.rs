//! How an organization's doors are driven.

pub mod native;
pub mod vendor;

use keybutton_protocol::api::{IntegrationKind, UnlockMethod};

/// Integrations connected from this moment on (1 December 2023, 00:00 UTC) begin with `branded app`; earlier ones with
/// `native methods`.
pub const BRANDED_APP_SINCE: u32 = 1_701_388_800;

/// What an integration can do.
pub const fn capabilities(kind: IntegrationKind) -> &'static [&'static str] {
    match kind {
        IntegrationKind::Native => native::CAPABILITIES,
        IntegrationKind::Vendor => vendor::CAPABILITIES,
    }
}

/// The unlock method an integration begins with.
pub const fn default_unlock_method(connected: u32) -> UnlockMethod {
    if connected < BRANDED_APP_SINCE { UnlockMethod::NativeMethods } else { UnlockMethod::BrandedApp }
}

/// Whether a member added now is confirmed at once: users are managed only under `branded app`.
///
/// With several integrations one that still uses its native methods keeps new users unconfirmed.
pub fn confirmed_at_creation(methods: impl IntoIterator<Item = UnlockMethod>) -> bool {
    methods.into_iter().all(|method| method == UnlockMethod::BrandedApp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_changes_on_the_first_of_december_2023() {
        assert_eq!(default_unlock_method(BRANDED_APP_SINCE - 1), UnlockMethod::NativeMethods);
        assert_eq!(default_unlock_method(BRANDED_APP_SINCE), UnlockMethod::BrandedApp);
        let date: jiff::Timestamp = "2023-12-01T00:00:00Z".parse().unwrap();
        assert_eq!(date.as_second(), i64::from(BRANDED_APP_SINCE));
    }

    #[test]
    fn one_native_integration_keeps_new_users_unconfirmed() {
        assert!(confirmed_at_creation([]));
        assert!(confirmed_at_creation([UnlockMethod::BrandedApp]));
        assert!(!confirmed_at_creation([UnlockMethod::BrandedApp, UnlockMethod::NativeMethods]));
    }
}
