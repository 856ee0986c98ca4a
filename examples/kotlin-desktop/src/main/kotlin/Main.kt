package io.github.keybutton.example

import io.github.keybutton.Config
import io.github.keybutton.MobileKeys
import io.github.keybutton.Outcome
import io.github.keybutton.Platform
import io.github.keybutton.PressOptions
import io.github.keybutton.airRadio
import io.github.keybutton.desktop
import io.github.keybutton.remedy
import java.io.File
import kotlin.system.exitProcess
import kotlinx.coroutines.runBlocking

/**
 * The Key Button on a laptop, with `keybutton serve` and `keybutton lock` running on the same state directory.
 *
 * `cargo xtask kotlin` builds it; `java -jar target/kotlin/keybutton-desktop-example/keybutton-desktop-example-0.1.0.jar
 * STATE [MEMBER] [DOOR]` runs it.
 */
fun main(arguments: Array<String>): Unit = runBlocking {
    val state = File(arguments.firstOrNull() ?: exit("usage: STATE [MEMBER] [DOOR]"))
    val scene = Scene(state)
    val radio = airRadio(scene.air, "a laptop with Kotlin", 0f, 1f)
    val platform = Platform.desktop(radio, File(state, "kotlin-phone"))
    val opened = MobileKeys(Config(scene.serviceUrl, scene.app, "Laptop", "linux"), platform).use { keys ->
        keys.signIn(scene.session(arguments.getOrElse(1) { "Ann" }))
        val door = arguments.getOrNull(2)?.let { name ->
            keys.doors().find { it.name == name }?.id ?: exit("no door $name; there are ${keys.doors().map { it.name }}")
        }
        val outcome = keys.press(PressOptions(door = door), choose = { it.first().door }) { println(it::class.simpleName) }.outcome
        println(if (outcome is Outcome.Opened) "Open" else outcome.remedy)
        outcome is Outcome.Opened
    }
    if (!opened) exitProcess(1)
}

internal fun exit(words: String): Nothing {
    System.err.println(words)
    exitProcess(2)
}
