package io.github.keybutton.android

import android.content.Context
import android.content.pm.PackageInfo
import android.content.pm.PackageManager
import android.location.LocationManager
import android.os.Build
import android.provider.Settings

/** What an app asks the member for before the first press, with `requestPermissions`; the library itself never asks. */
object KeybuttonPermissions {
    /** For this phone: two of Bluetooth since Android 12, one of location before. */
    val toAsk: Array<String> get() = PermissionFacts.toAsk(Build.VERSION.SDK_INT).toTypedArray()

    /** What is missing in the manifest of the app, in what the member granted and in the phone's settings. */
    fun missing(context: Context): List<MissingPermission> = permissionFacts(context).missing()
}

internal fun permissionFacts(context: Context): PermissionFacts {
    val info: PackageInfo? = try {
        context.packageManager.getPackageInfo(context.packageName, PackageManager.GET_PERMISSIONS)
    } catch (_: PackageManager.NameNotFoundException) {
        null
    }
    val declared = info?.requestedPermissions.orEmpty().toList()
    val flags = info?.requestedPermissionsFlags ?: IntArray(0)
    val scan = flags.getOrElse(declared.indexOf(PermissionFacts.SCAN)) { 0 }
    return PermissionFacts(
        sdk = Build.VERSION.SDK_INT,
        declared = declared.toSet(),
        granted = declared.filterTo(mutableSetOf()) {
            context.checkSelfPermission(it) == PackageManager.PERMISSION_GRANTED
        },
        neverForLocation = Build.VERSION.SDK_INT >= Build.VERSION_CODES.S &&
            scan and PackageInfo.REQUESTED_PERMISSION_NEVER_FOR_LOCATION != 0,
        locationOn = isLocationOn(context),
    )
}

private fun isLocationOn(context: Context): Boolean {
    if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) {
        return context.getSystemService(LocationManager::class.java)?.isLocationEnabled ?: true
    }
    @Suppress("DEPRECATION")
    val mode = Settings.Secure.getInt(context.contentResolver, Settings.Secure.LOCATION_MODE, Settings.Secure.LOCATION_MODE_OFF)
    @Suppress("DEPRECATION")
    return mode != Settings.Secure.LOCATION_MODE_OFF
}
