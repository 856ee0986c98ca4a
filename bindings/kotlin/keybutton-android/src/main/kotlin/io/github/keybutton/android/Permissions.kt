package io.github.keybutton.android

/** A permission, or a setting, without which doors don't open over Bluetooth. */
data class MissingPermission(
    /** The permission's name; `null` where a setting of the phone is in the way. */
    val permission: String?,
    /** What the app's developer, or the member, has to do. */
    val remedy: String,
    /** The radio can't work at all; otherwise it only hears nothing. */
    val stopsRadio: Boolean,
)

/** What is known of permissions: the app's manifest, what the member granted, and the phone. */
internal data class PermissionFacts(
    val sdk: Int,
    /** The permissions in the merged manifest that count on this phone. */
    val declared: Set<String>,
    val granted: Set<String>,
    /** `BLUETOOTH_SCAN` is declared with `neverForLocation`. */
    val neverForLocation: Boolean,
    /** Location is switched on in the phone's settings. */
    val locationOn: Boolean,
) {
    /** What is missing, the most serious first. */
    fun missing(): List<MissingPermission> = if (sdk >= ANDROID_12) missingNow() else missingBefore12()

    private fun missingNow() = buildList {
        for (permission in listOf(SCAN, CONNECT)) require(permission, stopsRadio = true)
        // Without the flag a scan result counts as a place, and is held back from apps that may not know places.
        if (SCAN in granted && !neverForLocation) {
            if (FINE !in granted) {
                add(
                    MissingPermission(
                        FINE,
                        "Declare $SCAN with android:usesPermissionFlags=\"neverForLocation\", or declare and ask for $FINE.",
                        stopsRadio = false,
                    ),
                )
            } else {
                requireLocationOn()
            }
        }
    }

    private fun missingBefore12() = buildList {
        for (permission in listOf(OLD_BLUETOOTH, OLD_ADMIN)) require(permission, stopsRadio = true)
        val place = if (sdk >= ANDROID_10) FINE else COARSE
        if (FINE !in granted) require(place, stopsRadio = true)
        requireLocationOn()
    }

    private fun MutableList<MissingPermission>.require(permission: String, stopsRadio: Boolean) {
        if (permission in granted) return
        val remedy = if (permission in declared) {
            "Ask the member for $permission, or have them allow it in the phone's settings."
        } else {
            "Declare $permission in the app's manifest."
        }
        add(MissingPermission(permission, remedy, stopsRadio))
    }

    private fun MutableList<MissingPermission>.requireLocationOn() {
        if (!locationOn) {
            add(MissingPermission(null, "Switch location on in the phone's settings: Android hears no lock without.", stopsRadio = false))
        }
    }

    companion object {
        const val SCAN = "android.permission.BLUETOOTH_SCAN"
        const val CONNECT = "android.permission.BLUETOOTH_CONNECT"
        const val FINE = "android.permission.ACCESS_FINE_LOCATION"
        const val COARSE = "android.permission.ACCESS_COARSE_LOCATION"
        const val OLD_BLUETOOTH = "android.permission.BLUETOOTH"
        const val OLD_ADMIN = "android.permission.BLUETOOTH_ADMIN"
        private const val ANDROID_10 = 29
        private const val ANDROID_12 = 31

        /** What an app asks the member for at run time on a phone of API level [sdk]. */
        fun toAsk(sdk: Int): List<String> = when {
            sdk >= ANDROID_12 -> listOf(SCAN, CONNECT)
            sdk >= ANDROID_10 -> listOf(FINE)
            else -> listOf(COARSE)
        }
    }
}
