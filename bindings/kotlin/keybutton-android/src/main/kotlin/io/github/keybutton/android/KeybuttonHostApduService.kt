package io.github.keybutton.android

import android.app.KeyguardManager
import android.nfc.cardemulation.HostApduService
import android.os.Bundle

/**
 * Lets a lock's reader ask this phone by NFC. The app declares it in its own manifest, with the application identifiers
 * in `@xml/keybutton_aids`; the README of this package has the lines. Its commands go to the keys that were handed to
 * [KeybuttonTap.attach]; without any the reader is told that there is no such application.
 */
open class KeybuttonHostApduService : HostApduService() {
    override fun processCommandApdu(commandApdu: ByteArray, extras: Bundle?): ByteArray? =
        KeybuttonTap.desk.command(commandApdu, isUnlocked(), ::sendResponseApdu)

    override fun onDeactivated(reason: Int) = KeybuttonTap.desk.fieldLost()

    /** Whoever holds an unlocked phone has shown who they are. */
    private fun isUnlocked(): Boolean = getSystemService(KeyguardManager::class.java)?.isDeviceLocked == false
}
