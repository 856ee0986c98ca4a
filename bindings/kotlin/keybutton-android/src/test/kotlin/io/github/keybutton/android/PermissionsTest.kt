package io.github.keybutton.android

import io.github.keybutton.android.PermissionFacts.Companion.COARSE
import io.github.keybutton.android.PermissionFacts.Companion.CONNECT
import io.github.keybutton.android.PermissionFacts.Companion.FINE
import io.github.keybutton.android.PermissionFacts.Companion.OLD_ADMIN
import io.github.keybutton.android.PermissionFacts.Companion.OLD_BLUETOOTH
import io.github.keybutton.android.PermissionFacts.Companion.SCAN
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

class PermissionsTest {
    private val now = PermissionFacts(35, setOf(SCAN, CONNECT), setOf(SCAN, CONNECT), neverForLocation = true, locationOn = false)
    private val before = setOf(OLD_BLUETOOTH, OLD_ADMIN, FINE)
    private val old = PermissionFacts(30, before, before, neverForLocation = false, locationOn = true)

    @Test
    fun `nothing is missing where all is granted`() {
        assertEquals(emptyList<MissingPermission>(), now.missing())
        assertEquals(emptyList<MissingPermission>(), old.missing())
        val coarse = setOf(OLD_BLUETOOTH, OLD_ADMIN, COARSE)
        assertEquals(emptyList<MissingPermission>(), old.copy(sdk = 28, declared = coarse, granted = coarse).missing())
    }

    @Test
    fun `tells what the developer forgot from what the member refused`() {
        val refused = now.copy(granted = setOf(CONNECT)).missing().single()
        assertEquals(SCAN, refused.permission)
        assertTrue(refused.remedy, refused.remedy.startsWith("Ask the member"))
        val forgotten = now.copy(declared = setOf(SCAN), granted = setOf(SCAN)).missing().single()
        assertEquals("Declare $CONNECT in the app's manifest.", forgotten.remedy)
        assertTrue(refused.stopsRadio && forgotten.stopsRadio)
    }

    @Test
    fun `a scan that counts as a place wants the place permission too`() {
        val places = now.copy(neverForLocation = false)
        val missing = places.missing().single()
        assertEquals(FINE, missing.permission)
        assertFalse(missing.stopsRadio)
        val off = places.copy(granted = places.granted + FINE).missing().single()
        assertEquals(null, off.permission)
        assertEquals(emptyList<MissingPermission>(), places.copy(granted = places.granted + FINE, locationOn = true).missing())
    }

    @Test
    fun `before Android 12 it is the place permission and the phone's location`() {
        assertEquals(FINE, old.copy(granted = before - FINE).missing().single().permission)
        assertEquals(FINE, old.copy(granted = before - FINE + COARSE).missing().single().permission)
        assertEquals(COARSE, old.copy(sdk = 26, granted = before - FINE).missing().single().permission)
        assertEquals(null, old.copy(locationOn = false).missing().single().permission)
        assertEquals(OLD_ADMIN, old.copy(granted = before - OLD_ADMIN).missing().single().permission)
    }

    @Test
    fun `asks for what the phone knows`() {
        assertEquals(listOf(SCAN, CONNECT), PermissionFacts.toAsk(31))
        assertEquals(listOf(FINE), PermissionFacts.toAsk(30))
        assertEquals(listOf(COARSE), PermissionFacts.toAsk(28))
    }
}
