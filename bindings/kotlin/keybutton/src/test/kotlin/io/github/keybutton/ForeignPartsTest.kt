package io.github.keybutton

import io.github.keybutton.stage.KotlinClock
import io.github.keybutton.stage.KotlinDeviceKey
import io.github.keybutton.stage.KotlinLog
import io.github.keybutton.stage.KotlinVault
import io.github.keybutton.stage.Phone
import io.github.keybutton.stage.Stage
import io.github.keybutton.stage.text
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.Executors
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** Every part of a platform written in Kotlin, in real presses: working, failing as declared, and throwing anything. */
class ForeignPartsTest {
    private val vault = KotlinVault()
    private val deviceKey = KotlinDeviceKey(executor)
    private val log = KotlinLog()
    private val ann = stage.newMember()
    private val front = PressOptions(door = stage.door("Front door"))

    private fun phone(name: String, parts: (Platform) -> Platform = { it }) = Phone(stage, name) {
        parts(
            it.copy(
                http = HttpUrlConnectionHttp(),
                vault = vault,
                deviceKey = deviceKey,
                clock = KotlinClock(),
                log = log,
            ),
        )
    }

    @Test
    fun `a phone made of nothing but Kotlin opens the door`(): Unit = runBlocking {
        phone("All Kotlin").use { phone ->
            assertEquals(ButtonState.Visible, phone.signIn(ann))
            repeat(2) {
                val ended = phone.keys.press(front)
                assertTrue(ended.outcome is Outcome.Opened, "$ended")
            }
            assertTrue(deviceKey.signatures.get() >= 2, "enrolment and the first press were signed")
            assertTrue(vault.entries.isNotEmpty())
            assertTrue(log.lines.any { it.level == LogLevel.INFO && it.part == "press" })
            val secrets = listOf(stage.session(ann).substringAfterLast('.'))
            assertTrue(log.lines.none { line -> secrets.any { it in line.text } }, "no token is logged")
            phone.keys.signOut()
            assertEquals(emptySet<String>(), vault.entries.keys.toSet(), "everything was wiped")
        }
    }

    @Test
    fun `another run finds what the vault has kept`(): Unit = runBlocking {
        phone("First run").use { it.signIn(ann) }
        phone("Second run").use { second ->
            assertTrue(second.keys.button.value is KeyButtonState.Ready)
            assertTrue(second.keys.press(front).outcome is Outcome.Opened)
        }
    }

    @Test
    fun `a key that does not sign, or whose code throws, is a refusal with a remedy`(): Unit = runBlocking {
        phone("Locked phone").use { phone ->
            phone.signIn(ann)
            deviceKey.failure = DeviceKeyException.UserNotAuthenticated()
            assertEquals(ErrorCode.USER_AUTH_REQUIRED, phone.keys.press(front).outcome.code)
            stage.obey("wait-lock", "door" to "Front door", "links" to 0)
            deviceKey.failure = DeviceKeyException.Failed()
            assertEquals(ErrorCode.DEVICE_KEY_FAILED, phone.keys.press(front).outcome.code)
            deviceKey.failure = null
            assertTrue(phone.keys.press(front).outcome is Outcome.Opened)
        }
        val throwing = object : DeviceKey by deviceKey {
            override fun sign(data: AuthenticationData, answer: SignatureAnswer): Unit = error("as told")
        }
        phone("Throwing key") { it.copy(deviceKey = throwing, vault = KotlinVault()) }.use { phone ->
            assertEquals(ErrorCode.DEVICE_KEY_FAILED, assertThrows<KeybuttonException> { phone.signIn(ann) }.code)
        }
    }

    @Test
    fun `a vault that fails, as declared or not, is said so`(): Unit = runBlocking {
        for (failure in listOf(VaultException.Unavailable("locked"), IllegalStateException("secret words"))) {
            val failing = object : Vault by vault {
                override fun store(name: String, value: ByteArray): Unit = throw failure
            }
            // The air may still have the one before: a name is one phone's at a time.
            phone("Failing vault, ${failure.javaClass.simpleName}") { it.copy(vault = failing) }.use { phone ->
                val error = assertThrows<KeybuttonException> { phone.signIn(ann) }
                assertEquals(ErrorCode.VAULT_UNAVAILABLE, error.code)
            }
        }
        assertTrue(log.lines.none { "secret words" in it.text })
        val unreadable = object : Vault by vault {
            override fun load(name: String): ByteArray? = throw VaultException.Unavailable("locked")
        }
        val error = assertThrows<StartException> { phone("Unreadable vault") { it.copy(vault = unreadable) } }
        assertTrue("locked" in error.message.orEmpty(), "$error")
    }

    @Test
    fun `a log and a network whose code throws hold up nobody`(): Unit = runBlocking {
        val loud = object : LogSink {
            override fun level(): LogLevel = LogLevel.TRACE

            override fun line(line: LogLine): Unit = error("as told")
        }
        phone("Throwing log") { it.copy(log = loud) }.use { phone ->
            phone.signIn(ann)
            assertTrue(phone.keys.press(front).outcome is Outcome.Opened)
        }
        val broken = object : Http {
            override fun send(request: HttpRequest, answer: HttpAnswer): Unit = error("as told")
        }
        phone("Throwing network") { it.copy(http = broken, vault = KotlinVault()) }.use { phone ->
            val error = assertThrows<KeybuttonException> { phone.signIn(ann) }
            assertEquals(Side.NETWORK, error.side, "$error")
        }
    }

    @Test
    fun `a vendor's door is opened by the host, in the vendor's words`(): Unit = runBlocking {
        val vendor = FakeVendor()
        phone("Vendor's phone") { it.copy(vendor = vendor) }.use { phone ->
            val command = arrayOf("door" to "Sauna", "vendor_door" to "lock 4711", "member" to ann)
            val sauna = PressOptions(door = stage.obey("vendor-door", *command).text("id"))
            phone.signIn(ann)
            val opened = phone.keys.press(sauna)
            assertTrue(opened.outcome is Outcome.Opened, "$opened")
            assertEquals(Route.VENDOR, opened.route)
            val asked = vendor.asked.first()
            assertEquals(listOf(opened.press, sauna.door, "lock 4711"), listOf(asked.press, asked.door, asked.vendorDoor))
            vendor.word = { it.refused(ErrorCode.OUTSIDE_SCHEDULE) }
            assertEquals(ErrorCode.OUTSIDE_SCHEDULE, phone.keys.press(sauna).outcome.code)
            vendor.word = { error("as told") }
            assertEquals(ErrorCode.NO_VERDICT, phone.keys.press(sauna).outcome.code, "nobody knows what it did")
            vendor.word = null
            val silent = phone.keys.startPress(sauna)
            assertEquals(silent.id, vendor.asking.receive())
            silent.cancel()
            assertEquals(ErrorCode.CANCELLED_LATE, silent.await().outcome.code)
            assertEquals(silent.id, vendor.cancelled.receive())
        }
    }

    /** A lock maker's SDK that says what it is told to; one that says nothing keeps the answer. */
    private class FakeVendor : VendorUnlock {
        val asked = CopyOnWriteArrayList<VendorRequest>()
        val asking = Channel<UnlockId>(Channel.UNLIMITED)
        val cancelled = Channel<UnlockId>(Channel.UNLIMITED)
        private val kept = CopyOnWriteArrayList<VendorAnswer>()

        @Volatile
        var word: ((VendorAnswer) -> Unit)? = { it.opened() }

        override fun unlock(request: VendorRequest, answer: VendorAnswer) {
            asked += request
            val word = word
            if (word == null) {
                kept += answer
                asking.trySend(request.press)
            } else {
                answer.use(word)
            }
        }

        override fun cancel(press: UnlockId) {
            cancelled.trySend(press)
            kept.forEach { it.close() }
        }
    }

    companion object {
        private lateinit var stage: Stage
        private val executor = Executors.newSingleThreadExecutor()

        @BeforeAll
        @JvmStatic
        fun setStage() {
            stage = Stage()
        }

        @AfterAll
        @JvmStatic
        fun strikeStage() {
            stage.close()
            executor.shutdownNow()
        }
    }
}
