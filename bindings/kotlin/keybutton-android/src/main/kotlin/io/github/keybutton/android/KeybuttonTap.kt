package io.github.keybutton.android

import io.github.keybutton.MobileKeys
import io.github.keybutton.TapLink
import io.github.keybutton.tap

/** Which keys answer a lock's reader that asks by NFC through [KeybuttonHostApduService]. */
object KeybuttonTap {
    internal val desk = TapDesk()

    /**
     * Has [keys] answer readers from now on: the press that is going on, or one that begins for the reader and shows on
     * the Key Button. Call it in `Application.onCreate`, for Android starts the app for a reader.
     *
     * @throws io.github.keybutton.KeybuttonException `unsupported-device` where the platform says that there is no NFC.
     */
    fun attach(keys: MobileKeys) = desk.attach { respond -> LinkPort(keys.tap(respond)) }

    /** Readers are told again that there is no such application. */
    fun detach() = desk.detach()

    private class LinkPort(private val link: TapLink) : TapPort {
        override fun command(apdu: ByteArray, userAuthenticated: Boolean) = link.apdu(apdu, userAuthenticated)

        override fun fieldLost() = link.fieldLost()
    }
}
