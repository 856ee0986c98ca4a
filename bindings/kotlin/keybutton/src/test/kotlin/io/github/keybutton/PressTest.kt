package io.github.keybutton

import io.github.keybutton.stage.Phone
import io.github.keybutton.stage.Stage
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** A member's presses through the whole of the package, against the real service and real locks. */
class PressTest {
    private val phone = Phone(stage, "Ann's phone")
    private val keys = phone.keys
    private val ann = stage.newMember()

    @AfterEach
    fun tidy() {
        phone.close()
        stage.obey("release")
        stage.doors.keys.forEach { stage.obey("reset-knobs", "who" to it) }
    }

    @Test
    fun `the first press opens and the Key Button shows how`(): Unit = runBlocking {
        assertEquals(KeyButtonState.Hidden(HiddenReason.NOT_SIGNED_IN), keys.button.value)
        assertEquals(ButtonState.Visible, phone.signIn(ann))
        assertEquals(KeyButtonState.Ready, keys.button.first { it !is KeyButtonState.Hidden })
        stage.awaitBolt(FRONT, 0)
        val moves = stage.boltMoves(FRONT)
        val phases = mutableListOf<Phase>()
        val ended = keys.press(PressOptions(door = stage.door(FRONT))) { phases += it }
        val opened = ended.outcome as Outcome.Opened
        assertEquals(stage.door(FRONT), ended.door)
        assertEquals(Route.RADIO, ended.route)
        assertTrue(opened.report.openTimeDs > 0u)
        assertEquals(listOf(null, null, opened.report), ended.outcome.run { listOf(code, remedy, report) })
        assertTrue(phases.any { it is Phase.Opening }, "$phases")
        assertEquals(KeyButtonState.Ended(ended), keys.button.value)
        stage.awaitBolt(FRONT, moves + 1)
        assertEquals(moves + 1, stage.boltMoves(FRONT))
        keys.dismiss()
        assertEquals(KeyButtonState.Ready, keys.button.value)
        assertTrue(keys.doors().any { it.id == stage.door(FRONT) })
        assertTrue(keys.supportReport().isNotBlank())
    }

    @Test
    fun `the Key Button follows what the core finds out by itself`(): Unit = runBlocking {
        phone.signIn(ann)
        stage.obey("suspend", "member" to ann)
        // As a renewal in the background does: nobody asked this package.
        keys.core.refresh(ButtonReply(CompletableDeferred()))
        keys.button.first { it == KeyButtonState.Hidden(HiddenReason.MEMBER_SUSPENDED) }
        stage.obey("resume", "member" to ann)
        keys.core.refresh(ButtonReply(CompletableDeferred()))
        keys.button.first { it == KeyButtonState.Ready }
    }

    @Test
    fun `two doors too close to call are the member's to choose between`(): Unit = runBlocking {
        phone.signIn(ann)
        stage.obey("move", "who" to phone.name, "x" to BETWEEN, "y" to 1)
        val offered = CompletableDeferred<List<Candidate>>()
        val ended = keys.press(choose = { doors ->
            offered.complete(doors)
            doors.first { it.name == BACK }.door
        })
        assertEquals(setOf(FRONT, BACK), offered.await().map { it.name }.toSet())
        assertTrue(ended.outcome is Outcome.Opened, "$ended")
        assertEquals(stage.door(BACK), ended.door)
        val running = keys.startPress()
        val question = running.phases.first { it is Phase.Choose } as Phase.Choose
        running.choose(question.v1.first { it.name == FRONT }.door!!)
        assertEquals(stage.door(FRONT), running.await().door)
        assertEquals(ErrorCode.PRESS_CANCELLED, keys.press(choose = { null }).outcome.code)
    }

    @Test
    fun `a door that does not open says why and what to do`(): Unit = runBlocking {
        phone.signIn(ann)
        val ended = keys.press(PressOptions(door = stage.door(SERVER_ROOM)))
        val refused = ended.outcome as Outcome.Refused
        assertEquals(ErrorCode.NO_PERMISSION, refused.code)
        assertEquals(ErrorCode.NO_PERMISSION.remedy(), refused.remedy)
        assertEquals(ErrorCode.NO_PERMISSION.message(), ended.outcome.message)
    }

    @Test
    fun `a call that makes no sense is an exception with a code and words`(): Unit = runBlocking {
        val early = assertThrows<KeybuttonException> { keys.press() }
        assertEquals(ErrorCode.NOT_SIGNED_IN, early.code)
        assertEquals(ErrorCode.NOT_SIGNED_IN.message(), early.message)
        assertEquals(listOf<Any>(Side.APP, Retry.NO, "Sign in to the app."), listOf(early.side, early.retry, early.remedy))
        assertEquals(ErrorCode.SESSION_REJECTED, assertThrows<KeybuttonException> { keys.signIn("nonsense") }.code)
        phone.signIn(ann)
        val unknown = assertThrows<KeybuttonException> { keys.retry("00112233445566778899aabbccddeeff") }
        assertEquals(ErrorCode.INVALID_REQUEST, unknown.code)
        assertEquals(ErrorCode.INVALID_REQUEST, assertThrows<KeybuttonException> { keys.retry("no id") }.code)
        assertThrows<StartException> { MobileKeys(Phone.config(stage, ""), Platform.desktop(quietRadio(), newFolder())) }
    }

    @Test
    fun `a second press is refused while the first one runs`(): Unit = runBlocking {
        phone.signIn(ann)
        stage.obey("hold", "path" to "/v1/")
        val first = keys.startPress(PressOptions(door = stage.door(FRONT)))
        assertEquals(ErrorCode.PRESS_IN_PROGRESS, assertThrows<KeybuttonException> { keys.press() }.code)
        first.cancel()
        first.await()
    }

    @Test
    fun `a cancelled caller hears how the press ended, and so does the Key Button`(): Unit = runBlocking {
        phone.signIn(ann)
        stage.obey("move", "who" to phone.name, "x" to FAR, "y" to FAR)
        val seen = CompletableDeferred<PressOutcome>()
        val searching = CompletableDeferred<Unit>()
        val caller = launch {
            try {
                keys.press { if (it is Phase.Searching) searching.complete(Unit) }
            } catch (cancelled: PressCancelledException) {
                seen.complete(cancelled.outcome)
                throw cancelled
            }
        }
        searching.await()
        caller.cancelAndJoin()
        assertEquals(ErrorCode.PRESS_CANCELLED, seen.await().outcome.code)
        assertEquals(KeyButtonState.Ended(seen.await()), keys.button.value)
    }

    @Test
    fun `signing out ends a running press and hides the Key Button`(): Unit = runBlocking {
        phone.signIn(ann)
        stage.obey("move", "who" to phone.name, "x" to FAR, "y" to FAR)
        val running = keys.startPress()
        running.phases.first { it is Phase.Searching }
        keys.signOut()
        assertEquals(ErrorCode.PRESS_CANCELLED, running.await().outcome.code)
        assertEquals(KeyButtonState.Hidden(HiddenReason.NOT_SIGNED_IN), keys.button.first { it is KeyButtonState.Hidden })
        assertEquals(ErrorCode.NOT_SIGNED_IN, assertThrows<KeybuttonException> { keys.refresh() }.code)
    }

    @Test
    fun `closing ends a running press, whose outcome still comes`(): Unit = runBlocking {
        phone.signIn(ann)
        stage.obey("move", "who" to phone.name, "x" to FAR, "y" to FAR)
        val running = keys.startPress()
        running.phases.first { it is Phase.Searching }
        keys.close()
        assertEquals(ErrorCode.PRESS_CANCELLED, running.await().outcome.code)
        running.cancel()
        keys.close()
        assertThrows<IllegalStateException> { keys.press() }
    }

    @Test
    fun `a listener that throws holds up nobody but itself`(): Unit = runBlocking {
        phone.signIn(ann)
        Phone(stage, "Ann's other phone").use { other ->
            other.signIn(ann)
            val heard = CompletableFuture<PressOutcome>()
            CoreKeys(Phone.config(stage, "raw"), Platform.desktop(airRadio(stage.air, "raw", 0f, 1f), newFolder())).use { core ->
                core.signIn(stage.session(ann), ThrowingAnswer)
                ThrowingAnswer.called.get(WAIT_S, TimeUnit.SECONDS)
                core.press(PressOptions(door = stage.door(FRONT)), ThrowingListener(heard)).close()
                assertTrue(heard.get(WAIT_S, TimeUnit.SECONDS).outcome is Outcome.Opened)
            }
        }
        val thrown = assertThrows<IllegalArgumentException> {
            keys.press(PressOptions(door = stage.door(FRONT))) { throw IllegalArgumentException("as told") }
        }
        assertEquals("as told", thrown.message)
        val state = keys.button.value as KeyButtonState.Ended
        assertTrue(state.outcome.outcome is Outcome.Opened, "the door had its say: $state")
    }

    @Test
    fun `nearby tells the doors in range for as long as it is collected`(): Unit = runBlocking {
        phone.signIn(ann)
        val doors = keys.nearby().first { doors -> doors.size == stage.doors.size }
        assertEquals(FRONT, doors.first().name)
        val blocked = CompletableDeferred<ErrorCode>()
        val collecting = launch { keys.nearby(onBlocked = { blocked.complete(it) }).collect {} }
        stage.obey("radio", "who" to phone.name, "on" to false)
        assertEquals(ErrorCode.BLUETOOTH_OFF, blocked.await())
        collecting.cancelAndJoin()
        stage.obey("radio", "who" to phone.name, "on" to true)
        keys.signOut()
        assertEquals(ErrorCode.NOT_SIGNED_IN, assertThrows<KeybuttonException> { keys.nearby().first() }.code)
    }

    @Test
    fun `devices are listed and revoked, the doctor finds what is wrong`(): Unit = runBlocking {
        phone.signIn(ann)
        Phone(stage, "Lost phone").use { lost ->
            lost.signIn(ann)
            val device = keys.devices().first { it.name == "Lost phone" }
            keys.revokeDevice(device.id)
            assertTrue(keys.devices().none { it.id == device.id })
            lost.keys.refresh().let { assertEquals(ButtonState.Hidden(HiddenReason.DEVICE_NOT_ENROLLED), it) }
        }
        assertEquals(ButtonState.Visible, keys.refresh())
        assertEquals(emptyList<Check>(), keys.doctor().filter { it.result is CheckResult.Failed })
        stage.obey("radio", "who" to phone.name, "on" to false)
        val radio = keys.doctor().first { it.name == CheckName.RADIO }
        assertEquals(CheckResult.Failed(ErrorCode.BLUETOOTH_OFF), radio.result)
    }

    @Test
    fun `phases are a flow that several may collect`(): Unit = runBlocking {
        phone.signIn(ann)
        val running = keys.startPress(PressOptions(door = stage.door(FRONT)))
        val early = async { running.phases.toList() }
        running.await()
        assertEquals(early.await(), running.phases.toList())
        assertEquals(running.id, running.await().press)
    }

    private object ThrowingAnswer : ButtonAnswer {
        val called = CompletableFuture<Unit>()

        override fun succeed(value: ButtonState) {
            called.complete(Unit)
            error("as told")
        }

        override fun fail(error: KeyException) {
            called.completeExceptionally(error)
        }
    }

    private class ThrowingListener(private val heard: CompletableFuture<PressOutcome>) : PressListener {
        override fun onPhase(phase: Phase) = error("as told")

        override fun onOutcome(outcome: PressOutcome) {
            heard.complete(outcome)
            error("as told")
        }
    }

    companion object {
        private const val FRONT = "Front door"
        private const val BACK = "Back door"
        private const val SERVER_ROOM = "Server room"
        private const val BETWEEN = 2
        private const val FAR = 1000
        private const val WAIT_S = 60L
        private lateinit var stage: Stage

        @BeforeAll
        @JvmStatic
        fun setStage() {
            stage = Stage()
        }

        @AfterAll
        @JvmStatic
        fun strikeStage() = stage.close()

        private fun quietRadio() = airRadio(stage.air, "quiet", 0f, 0f)

        private fun newFolder() = java.nio.file.Files.createTempDirectory("keybutton").toFile().apply { deleteOnExit() }
    }
}
