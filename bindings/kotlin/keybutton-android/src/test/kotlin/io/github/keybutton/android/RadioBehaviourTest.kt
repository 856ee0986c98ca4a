package io.github.keybutton.android

import io.github.keybutton.Advertisement
import io.github.keybutton.NoHandle
import io.github.keybutton.RadioEvents
import io.github.keybutton.RadioException
import io.github.keybutton.RadioState
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.junit.runners.Parameterized
import java.io.File

/** What every radio does: tests/vectors/radio-behaviour.json, played on a phone that does what it is told. */
@RunWith(Parameterized::class)
class RadioBehaviourTest(@Suppress("unused") private val name: String, private val steps: List<JsonObject>) {
    private val phone = FakePhone().apply { answers = false }
    private val radio = RadioDriver(phone, phone.serial, AndroidRadio.USUAL_MTU)
    private val peers = mutableMapOf<String, Peer>()
    private val reports = Reports()
    private val received = mutableMapOf<String, Int>()

    @Test
    fun play() {
        steps.forEachIndexed { index, step ->
            phone.serial.run()
            try {
                when {
                    "command" in step -> command(step)
                    "peer" in step -> peer(step)
                    "expect" in step -> expect(step)
                    else -> error("no such step")
                }
            } catch (failure: Throwable) {
                throw AssertionError("step $index, $step: ${failure.message}", failure)
            }
        }
        phone.serial.run()
        for ((stream, left) in reports.links) assertEquals(stream, emptyList<String>(), left)
        assertEquals(emptyList<String>(), reports.states)
        for (peripheral in peers.keys) assertEquals(written(peripheral).size, received[peripheral] ?: 0)
    }

    private fun command(step: JsonObject) {
        fun peripheral() = step.text("peripheral")
        val failure = try {
            when (step.text("command")) {
                "state" -> assertEquals(step.text("is"), word(radio.state()))
                "start-scan" -> radio.startScan(reports)
                "stop-scan" -> radio.stopScan()
                "connect" -> radio.connect(peripheral(), reports)
                "write" -> radio.write(peripheral(), step.bytes("value"))
                "disconnect" -> radio.disconnect(peripheral())
                else -> error("no such command")
            }
            null
        } catch (error: RadioException) {
            word(error)
        }
        assertEquals(step["fails"]?.jsonPrimitive?.content, failure)
        val starts = phone.scanStartsMs.size
        phone.serial.run()
        if (phone.scanStartsMs.size > starts) peers.keys.forEach(::advertise)
    }

    private fun peer(step: JsonObject) {
        when (val act = step.text("peer")) {
            "adapter-off" -> phone.switchTo(RadioState.OFF)
            "adapter-on" -> phone.switchTo(RadioState.ON)
            "permission-taken" -> phone.switchTo(RadioState.UNAUTHORIZED)
            else -> peer(act, step.text("peripheral"), step)
        }
        phone.serial.run()
    }

    private fun peer(act: String, peripheral: String, step: JsonObject) {
        when (act) {
            "advertise" -> {
                val data = step["service_data"]
                peers[peripheral] = Peer(
                    if (data is JsonNull) ByteArray(0) else data?.let { step.bytes("service_data") } ?: ByteArray(10),
                    step["tx_power"]?.jsonPrimitive?.int?.toByte(),
                )
                assertTrue("this fake has no scan filter", step["service"]?.jsonPrimitive?.boolean ?: true)
                advertise(peripheral)
            }
            "accept" -> linkUp(peripheral, LockService.COMPLETE) {
                it.mtu = step.getValue("mtu").jsonPrimitive.int
                it.says = step["says"]?.let { step.bytes("says") }
            }
            "service-missing" -> linkUp(peripheral, LockService.MISSING) {}
            "refuse" -> gatt(peripheral).events.connectionChanged(REFUSED, false)
            "notify" -> gatt(peripheral).events.notified(step.bytes("value"))
            "drop" -> gatt(peripheral).events.connectionChanged(DROPPED, false)
            "walk-away" -> {
                peers.getValue(peripheral).isAway = true
                gatt(peripheral).events.connectionChanged(SILENT, false)
            }
            "come-back" -> peers.getValue(peripheral).isAway = false
            else -> error("no such act")
        }
    }

    private fun linkUp(peripheral: String, services: LockService, prepare: (FakePhone.FakeGatt) -> Unit) {
        val gatt = gatt(peripheral)
        gatt.accepted = true
        gatt.services = services
        prepare(gatt)
        gatt.events.connectionChanged(GattStatus.SUCCESS, true)
    }

    private fun expect(step: JsonObject) {
        when (val what = step.text("expect")) {
            "advertisement" -> advertisement(step)
            "connected" -> assertEquals("connected ${step.text("mtu")}", reports.next(step.text("peripheral")))
            "notification" -> assertEquals("value ${step.text("value")}", reports.next(step.text("peripheral")))
            "disconnected" -> assertEquals("disconnected ${step.text("cause")}", reports.next(step.text("peripheral")))
            "state" -> assertEquals(step.text("is"), reports.states.removeFirstOrNull())
            "received" -> {
                val peripheral = step.text("peripheral")
                val index = received.merge(peripheral, 1, Int::plus)!! - 1
                assertEquals(step.text("value"), hex(written(peripheral)[index].toByteArray()))
            }
            "no-advertisement" -> {
                reports.advertisements.clear()
                peers.keys.forEach(::advertise)
                phone.serial.run()
                assertEquals(0, reports.advertisements.size)
            }
            "no-link-event" -> assertEquals(emptyList<String>(), reports.links[step.text("peripheral")].orEmpty())
            else -> error("no such expectation: $what")
        }
    }

    private fun advertisement(step: JsonObject) {
        val data = step["service_data"]?.let { step.bytes("service_data") }
        val heard = reports.advertisements
        while (true) {
            val next = heard.firstOrNull { it.peripheral == step.text("peripheral") } ?: error("no advertisement")
            heard.remove(next)
            if (next.serviceData.isEmpty() && data?.isEmpty() != true) continue
            if (data != null) assertEquals(hex(data), hex(next.serviceData))
            step["tx_power"]?.let { assertEquals(it.jsonPrimitive.int, next.txPower?.toInt()) }
            return
        }
    }

    /** A packet now. It goes to the callback of the last scan, also when that has ended. */
    private fun advertise(peripheral: String) {
        val peer = peers.getValue(peripheral)
        if (!peer.isAway) phone.lastScanEvents?.heard(Advertisement(peripheral, -60, peer.txPower, peer.serviceData))
    }

    private fun gatt(peripheral: String) = phone.gatts.last { it.address == peripheral }

    private fun written(peripheral: String) = phone.gatts.filter { it.address == peripheral }.flatMap { it.written }

    private class Peer(val serviceData: ByteArray, val txPower: Byte?) {
        var isAway = false
    }

    /** What the radio reports, in streams. */
    private class Reports : RadioEvents(NoHandle) {
        val advertisements = ArrayDeque<Advertisement>()
        val links = mutableMapOf<String, ArrayDeque<String>>()
        val states = ArrayDeque<String>()

        fun next(peripheral: String) = links[peripheral]?.removeFirstOrNull()

        override fun advertisement(advertisement: Advertisement) {
            advertisements += advertisement
        }

        override fun connected(peripheral: String, mtu: UShort) = link(peripheral, "connected $mtu")

        override fun notification(peripheral: String, value: ByteArray) = link(peripheral, "value ${hex(value)}")

        override fun disconnected(peripheral: String, cause: RadioException) =
            link(peripheral, "disconnected ${word(cause)}")

        override fun stateChanged(state: RadioState) {
            states += word(state)
        }

        private fun link(peripheral: String, report: String) {
            links.getOrPut(peripheral, ::ArrayDeque) += report
        }
    }

    companion object {
        /** Everything that this fake can't do: Android filters, and AndroidBluetoothTest sees to the filter. */
        private val CANNOT = setOf("strangers")
        private val CAN = setOf("services", "permission", "sudden-off")

        // BluetoothGatt status codes: failure, the other side closed, the other side fell silent.
        private const val REFUSED = 257
        private const val DROPPED = 19
        private const val SILENT = 8

        @JvmStatic
        @Parameterized.Parameters(name = "{0}")
        fun cases(): List<Array<Any>> {
            val file = File(System.getProperty("keybutton.vectors"), "radio-behaviour.json")
            val suite = Json.parseToJsonElement(file.readText()).jsonObject
            assertEquals(1, suite.getValue("version").jsonPrimitive.int)
            return suite.getValue("cases").jsonArray.map { it.jsonObject }.filter { case ->
                val needs = case["needs"]?.jsonArray.orEmpty().map { it.jsonPrimitive.content }
                assertTrue("unknown needs: $needs", (CAN + CANNOT).containsAll(needs))
                needs.none { it in CANNOT }
            }.map { case ->
                arrayOf(case.text("name"), case.getValue("steps").jsonArray.map { it.jsonObject })
            }
        }

        private fun JsonObject.text(field: String) = getValue(field).jsonPrimitive.content

        private fun JsonObject.bytes(field: String) =
            text(field).chunked(2).map { it.toInt(16).toByte() }.toByteArray()

        private fun hex(bytes: ByteArray) = bytes.joinToString("") { "%02x".format(it) }

        private fun word(state: RadioState) = state.name.lowercase()

        /** `LinkLost` as `link-lost`. */
        private fun word(error: RadioException) =
            error.javaClass.simpleName.replace(Regex("(?<=[a-z])(?=[A-Z])"), "-").lowercase()
    }
}
