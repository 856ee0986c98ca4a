package io.github.keybutton.android

import io.github.keybutton.Vault
import io.github.keybutton.VaultException
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.nio.channels.FileChannel
import java.nio.file.AtomicMoveNotSupportedException
import java.nio.file.Files
import java.nio.file.NoSuchFileException
import java.nio.file.Path
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardCopyOption.REPLACE_EXISTING
import java.nio.file.StandardOpenOption.READ

/**
 * A vault of one encrypted file an entry, in [folder].
 *
 * A file is a header of five bytes, `KBAV` and the version of the format, and what [cipher] made of the value, bound to
 * the entry's name. A new value is written beside the old one, forced to the disk and renamed over it.
 */
internal class FolderVault(private val folder: File, private val cipher: VaultCipher) : Vault {
    override fun load(name: String): ByteArray? = guarded(name) { file ->
        val bytes = try {
            Files.readAllBytes(file.toPath())
        } catch (_: NoSuchFileException) {
            return@guarded null
        }
        val sealed = content(file, bytes)
        if (!cipher.hasKey()) throw VaultException.WrongKey(file.path)
        cipher.open(bound(name), sealed) ?: throw VaultException.Damaged(file.path)
    }

    override fun store(name: String, value: ByteArray) = guarded(name) { file ->
        if (value.size > MAX_VALUE) throw VaultException.InvalidEntry(name)
        Files.createDirectories(folder.toPath())
        if (!cipher.hasKey()) {
            // A new key beside entries of a lost one would hide the loss.
            entries().firstOrNull()?.let { throw VaultException.WrongKey(it.path) }
            cipher.makeKey()
        }
        write(file, HEADER + cipher.seal(bound(name), value))
    }

    override fun remove(name: String) = guarded(name) { file ->
        if (Files.deleteIfExists(file.toPath())) forceFolder()
    }

    override fun wipe() = guarded(null) { _ ->
        // The key first: without it nothing that is left can be read.
        cipher.removeKey()
        folder.listFiles().orEmpty().forEach { Files.deleteIfExists(it.toPath()) }
        if (folder.isDirectory) forceFolder()
    }

    private fun content(file: File, bytes: ByteArray): ByteArray {
        val isOurs = bytes.size >= HEADER.size && (0 until MAGIC_LENGTH).all { bytes[it] == HEADER[it] }
        if (!isOurs) throw VaultException.Damaged(file.path)
        val version = bytes[MAGIC_LENGTH]
        if (version > VERSION) throw VaultException.NewerFormat(file.path, version.toUByte())
        if (version != VERSION) throw VaultException.Damaged(file.path)
        return bytes.copyOfRange(HEADER.size, bytes.size)
    }

    private fun write(file: File, bytes: ByteArray) {
        val fresh = File(folder, file.name + FRESH)
        try {
            FileOutputStream(fresh).use {
                it.write(bytes)
                it.fd.sync()
            }
            replace(fresh.toPath(), file.toPath())
        } finally {
            fresh.delete()
        }
        forceFolder()
    }

    private fun replace(fresh: Path, file: Path) {
        try {
            Files.move(fresh, file, ATOMIC_MOVE)
        } catch (_: AtomicMoveNotSupportedException) {
            Files.move(fresh, file, REPLACE_EXISTING)
        }
    }

    /** Makes the renaming itself survive a power cut, where the file system can promise that. */
    private fun forceFolder() {
        try {
            FileChannel.open(folder.toPath(), READ).use { it.force(true) }
        } catch (_: IOException) {
            // Renamed it is all the same.
        }
    }

    private fun entries() = folder.listFiles { file -> file.name.endsWith(ENTRY) }.orEmpty()

    @Synchronized
    private fun <T> guarded(name: String?, work: (File) -> T): T {
        if (name != null && !NAME.matches(name)) throw VaultException.InvalidEntry(name)
        val file = if (name == null) folder else File(folder, name + ENTRY)
        try {
            return work(file)
        } catch (error: IOException) {
            throw VaultException.Io(file.path, error.message ?: error.javaClass.simpleName)
        } catch (error: CipherUnavailable) {
            throw VaultException.Unavailable(error.message.orEmpty())
        }
    }

    companion object {
        /** As in the core. */
        const val MAX_VALUE = 4 shl 20
        private const val VERSION: Byte = 1
        private const val MAGIC_LENGTH = 4
        private const val ENTRY = ".entry"
        private const val FRESH = ".new"
        private val HEADER = "KBAV".toByteArray() + VERSION
        private val NAME = Regex("[a-z-]{1,64}")

        private fun bound(name: String) = "keybutton vault entry $name".toByteArray()
    }
}
