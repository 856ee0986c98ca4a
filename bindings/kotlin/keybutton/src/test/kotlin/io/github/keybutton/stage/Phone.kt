package io.github.keybutton.stage

import io.github.keybutton.ButtonState
import io.github.keybutton.Config
import io.github.keybutton.MobileKeys
import io.github.keybutton.Platform
import io.github.keybutton.Radio
import io.github.keybutton.airRadio
import io.github.keybutton.desktop
import java.nio.file.Files

/** A phone on the stage's air. What is not given is the core's own. */
class Phone(
    private val stage: Stage,
    val name: String,
    x: Float = 0f,
    y: Float = 1f,
    parts: (Platform) -> Platform = { it },
) : AutoCloseable {
    private val folder = Files.createTempDirectory("keybutton").toFile()
    private val radio: Radio = airRadio(stage.air, name, x, y)
    private val platform = Platform.desktop(radio, folder)
    val keys = MobileKeys(config(stage, name), parts(platform))

    suspend fun signIn(member: String): ButtonState = keys.signIn(stage.session(member))

    override fun close() {
        keys.close()
        platform.destroy()
        folder.deleteRecursively()
    }

    companion object {
        fun config(stage: Stage, name: String) = Config(stage.serviceUrl, stage.app, name, "linux")
    }
}
