package io.github.keybutton

import java.io.File

/**
 * What a desktop has: an encrypted vault and a software device key in [folder], the core's own HTTP, the system's clock.
 * Only the radio has to be chosen.
 *
 * @param vendor opens the doors that a lock maker's own SDK opens.
 * @throws VaultException when the vault in [folder] is damaged or can't be opened; nothing of it is touched.
 */
fun Platform.Companion.desktop(
    radio: Radio,
    folder: File,
    log: LogSink = noLog(),
    vendor: VendorUnlock? = null,
): Platform {
    val vault = fileVault(folder.path)
    val deviceKey = softwareDeviceKey(vault)
    return Platform(radio, coreHttp(), vault, deviceKey, systemClock(), log, nfc = false, vendor = vendor)
}
