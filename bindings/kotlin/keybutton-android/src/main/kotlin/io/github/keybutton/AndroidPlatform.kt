package io.github.keybutton

import android.content.Context
import android.content.pm.PackageManager
import io.github.keybutton.android.AndroidKeyStoreDeviceKey
import io.github.keybutton.android.AndroidRadio
import io.github.keybutton.android.AndroidVault
import io.github.keybutton.android.KeybuttonPermissions
import io.github.keybutton.android.MissingPermission

/**
 * What an Android phone has: its Bluetooth, its key store, and its own HTTP with the app's network security
 * configuration. Make one for the whole app; each part may be replaced.
 *
 * @param vendor opens the doors that a lock maker's own SDK opens.
 */
fun Platform.Companion.android(
    context: Context,
    radio: Radio = AndroidRadio(context),
    http: Http = HttpUrlConnectionHttp(),
    vault: Vault = AndroidVault(context),
    deviceKey: DeviceKey = AndroidKeyStoreDeviceKey(context),
    log: LogSink = noLog(),
    vendor: VendorUnlock? = null,
): Platform {
    val nfc = context.packageManager.hasSystemFeature(PackageManager.FEATURE_NFC_HOST_CARD_EMULATION)
    return Platform(radio, http, vault, deviceKey, systemClock(), log, nfc, vendor)
}

/** What the doctor found on a phone. */
data class AndroidFindings(
    /** What the core checked. */
    val checks: List<Check>,
    /** The permissions and settings that are missing, with what to do about each. */
    val permissions: List<MissingPermission>,
)

/** As [MobileKeys.doctor], and names the permissions that are missing: in the app's manifest, or not granted. */
suspend fun MobileKeys.doctor(context: Context): AndroidFindings =
    AndroidFindings(doctor(), KeybuttonPermissions.missing(context))
