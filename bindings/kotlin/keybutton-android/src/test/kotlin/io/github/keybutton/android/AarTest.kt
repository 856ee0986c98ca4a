package io.github.keybutton.android

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.w3c.dom.Element
import java.io.ByteArrayInputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.ZipFile
import java.util.zip.ZipInputStream
import javax.xml.parsers.DocumentBuilderFactory

/** Opens the archive that an Android build takes. */
class AarTest {
    private val archive = File(System.getProperty("keybutton.aar"))
    private val files = ZipFile(archive).use { zip ->
        zip.entries().asSequence().filter { !it.isDirectory }.associate { it.name to zip.getInputStream(it).readBytes() }
    }

    @Test
    fun `has what an Android archive has, and no more`() {
        val fixed = setOf(
            "AndroidManifest.xml",
            "R.txt",
            "classes.jar",
            "proguard.txt",
            "res/values/values.xml",
            "res/xml/keybutton_aids.xml",
        )
        assertEquals(fixed, files.keys.filterNot { it.startsWith("jni/") }.toSet())
        val abis = setOf("arm64-v8a", "armeabi-v7a", "x86", "x86_64")
        for (name in files.keys.filter { it.startsWith("jni/") }) {
            assertTrue(name, name.removePrefix("jni/").removeSuffix("/libkeybutton_ffi.so") in abis)
        }
    }

    @Test
    fun `the manifest declares nothing for the app`() {
        val manifest = xml("AndroidManifest.xml")
        assertEquals("io.github.keybutton.android", manifest.getAttribute("package"))
        assertEquals(listOf("uses-sdk"), manifest.elements().map { it.tagName })
        assertEquals("26", manifest.elements().single().getAttribute("android:minSdkVersion"))
    }

    @Test
    fun `the classes are this package's and the core's surface, without a desktop's library`() {
        val names = ZipInputStream(ByteArrayInputStream(files.getValue("classes.jar"))).use { jar ->
            generateSequence { jar.nextEntry }.filter { !it.isDirectory }.map { it.name }.toList()
        }
        for (name in listOf("MobileKeys", "CoreKeys", "AndroidPlatformKt", "android/AndroidRadio", "android/KeyButtonView")) {
            assertTrue(name, "io/github/keybutton/$name.class" in names)
        }
        assertEquals(names.size, names.toSet().size)
        val others = names.filterNot { it.startsWith("io/github/keybutton/") || it.startsWith("META-INF/") }
        assertEquals(emptyList<String>(), others)
    }

    @Test
    fun `every resource is in the list, and every reference is to one`() {
        val listed = text("R.txt").lines().filter { it.isNotBlank() }.map { it.split(' ').let { (_, type, name) -> "$type/$name" } }
        val strings = xml("res/values/values.xml").elements().associate { it.getAttribute("name") to it.textContent }
        assertEquals((strings.keys.map { "string/$it" } + "xml/keybutton_aids").toSet(), listed.toSet())
        for ((_, name) in Regex("@string/(\\w+)").findAll(text("res/xml/keybutton_aids.xml")).map { it.groupValues }) {
            assertTrue(name, name in strings)
        }
        for (name in listOf("keybutton_aid", "keybutton_aid_step_up")) {
            // ISO/IEC 7816-5: 5 to 16 bytes.
            assertTrue(name, Regex("([0-9A-F]{2}){5,16}").matches(strings.getValue(name)))
        }
    }

    @Test
    fun `R8 keeps what is reached by reflection`() {
        val rules = text("proguard.txt")
        for (rule in listOf("-keep class com.sun.jna.** { *; }", "-keep class io.github.keybutton.** { *; }", "-keepattributes")) {
            assertTrue(rule, rule in rules)
        }
    }

    @Test
    fun `the published project is an aar with JNA's own aar`() {
        val pom = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(File(archive.path.removeSuffix("aar") + "pom"))
        val project = pom.documentElement
        assertFalse(archive.resolveSibling(archive.path.removeSuffix("aar") + "pom").readText().contains('@'))
        assertEquals("aar", project.elements().first { it.tagName == "packaging" }.textContent)
        val jna = project.elements().first { it.tagName == "dependencies" }.elements()
            .map { dependency -> dependency.elements().associate { it.tagName to it.textContent } }
            .single { it["artifactId"] == "jna" }
        assertEquals("aar", jna["type"])
        assertTrue(jna.getValue("version"), jna.getValue("version").split('.').let { (a, b) -> a.toInt() > 5 || b.toInt() >= 17 })
    }

    @Test
    fun `native libraries load on phones with 16 KB pages`() {
        for ((name, bytes) in files.filterKeys { it.endsWith(".so") && "64" in it }) {
            assertEquals(name, emptyList<Long>(), loadAlignments(bytes).filter { it < PAGE })
            assertTrue(name, loadAlignments(bytes).isNotEmpty())
        }
    }

    @Test
    fun `the alignment is read from the program headers`() {
        assertEquals(listOf(0x4000L, 0x1000L), loadAlignments(elf(0x4000, 0x1000)))
        assertEquals(emptyList<Long>(), loadAlignments(elf()))
    }

    private fun text(name: String) = String(files.getValue(name))

    private fun xml(name: String): Element = DocumentBuilderFactory.newInstance().newDocumentBuilder()
        .parse(ByteArrayInputStream(files.getValue(name))).documentElement

    private fun Element.elements() = (0 until childNodes.length).map { childNodes.item(it) }.filterIsInstance<Element>()

    private companion object {
        const val PAGE = 0x4000L

        // A 64-bit ELF header: where the program headers are, how long each is and how many there are.
        const val HEADERS_AT = 32
        const val HEADER_LENGTH_AT = 54
        const val HEADER_COUNT_AT = 56
        const val ALIGNMENT_AT = 48
        const val LOAD = 1

        /** The alignment of each segment that is loaded, of a 64-bit little-endian ELF file. */
        fun loadAlignments(file: ByteArray): List<Long> {
            val elf = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN)
            check(elf.getInt(0) == 0x464C457F && elf.get(4) == 2.toByte()) { "no 64-bit ELF file" }
            val at = elf.getLong(HEADERS_AT).toInt()
            val length = elf.getShort(HEADER_LENGTH_AT).toInt()
            return (0 until elf.getShort(HEADER_COUNT_AT)).map { at + it * length }
                .filter { elf.getInt(it) == LOAD }
                .map { elf.getLong(it + ALIGNMENT_AT) }
        }

        /** The smallest ELF file with a loaded segment for each of [alignments], and one that is not loaded. */
        fun elf(vararg alignments: Long): ByteArray {
            val elf = ByteBuffer.allocate(64 + 56 * (alignments.size + 1)).order(ByteOrder.LITTLE_ENDIAN)
            elf.putInt(0, 0x464C457F).put(4, 2).putLong(HEADERS_AT, 64)
            elf.putShort(HEADER_LENGTH_AT, 56).putShort(HEADER_COUNT_AT, (alignments.size + 1).toShort())
            alignments.forEachIndexed { index, alignment ->
                elf.putInt(64 + 56 * index, LOAD).putLong(64 + 56 * index + ALIGNMENT_AT, alignment)
            }
            return elf.putInt(64 + 56 * alignments.size, 2).array()
        }
    }
}
