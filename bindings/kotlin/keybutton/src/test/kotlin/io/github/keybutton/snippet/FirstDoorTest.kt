package io.github.keybutton.snippet

import io.github.keybutton.Platform
import io.github.keybutton.Radio
import io.github.keybutton.airRadio
import io.github.keybutton.desktop
import io.github.keybutton.stage.Stage
import java.io.File
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Runs the lines that the documents show, with a phone on the simulated air in place of an Android device. */
class FirstDoorTest {
    @Test
    fun `the lines of the documents open a door`(@TempDir folder: File): Unit = runBlocking {
        Stage().use { stage ->
            val shown = mutableListOf<String>()
            val context = Context(airRadio(stage.air, "phone", 0f, 1f), folder)
            firstDoor(stage.app, stage.serviceUrl, stage.session("Ann"), context) { shown += it }
            assertEquals(listOf("Open"), shown)
            stage.awaitBolt("Front door", 1)
            assertEquals(1, stage.boltMoves("Front door"))
        }
    }

    @Test
    fun `a newcomer writes ten lines at most`() {
        assertTrue(FIRST_DOOR_LINES in 1..MOST, "$FIRST_DOOR_LINES lines")
    }

    private companion object {
        const val MOST = 10
    }
}

/** Stands for Android's. */
internal class Context(val radio: Radio, val folder: File)

/** Stands for the Android package's. */
internal fun Platform.Companion.android(context: Context): Platform = desktop(context.radio, context.folder)
