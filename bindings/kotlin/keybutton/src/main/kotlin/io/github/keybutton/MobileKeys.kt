package io.github.keybutton

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.conflate
import kotlinx.coroutines.flow.transform
import kotlinx.coroutines.withContext

/**
 * The mobile keys of one member in one Branded App.
 *
 * Make one at the start of the app and keep it; whoever was signed in still is. Call [signIn] when the member signs in
 * to the app, show the Key Button as [button] says, and call [press] when it is pressed. Everything may be called from
 * any thread; what takes time suspends. [close] ends a running press and stops the core's threads.
 *
 * @throws StartException when the configuration or the vault is not usable; the message says what to do.
 */
class MobileKeys(config: Config, platform: Platform) : AutoCloseable {
    internal val core = CoreKeys(config, platform)
    internal val tracker = ButtonTracker(core.keyButton())

    /** What the Key Button shows, always up to date. */
    val button: StateFlow<KeyButtonState> = tracker.state

    /** Holds nothing but the tracker: whoever forgets to close loses no more than memory. */
    private val watch = translating { core.watchButton(ButtonWatcher(tracker)) }

    /**
     * Signs a member in with the Branded App's own session token, or hands over a renewed one.
     *
     * Enrols the device at the first contact and downloads keys. Everything held for another member is wiped first.
     * A cancelled caller leaves the member signed in.
     *
     * @throws KeybuttonException `session-rejected` for what is not a session token; `service-unreachable` without a
     *   connection: the member stays signed in, and the next [press] or [refresh] makes up for it.
     */
    suspend fun signIn(sessionToken: String): ButtonState = changing { ask { core.signIn(sessionToken, it) } }

    /**
     * Signs out: ends a running press, wipes vault, device key and caches, and has the service forget this device.
     *
     * @throws KeybuttonException `vault-unavailable` when not everything could be wiped; the member is signed out all
     *   the same.
     */
    suspend fun signOut(): Unit = changing { asking { core.signOut() } }

    /**
     * Opens a door and suspends until the lock itself has answered, or nothing can come of it any more.
     *
     * Cancelling the caller cancels the press and still waits for its outcome, which takes a moment: the caller then
     * sees a [PressCancelledException] that carries it, and [button] shows it.
     *
     * @param choose asked when two doors are too close to call, best first; `null` means none of them and cancels the
     *   press. It is cancelled when the press ends meanwhile. Without it such a press ends as `door-not-chosen`.
     * @param onPhase called with each phase, in order, in the caller's context. What it or [choose] throws is thrown
     *   from here once the press has ended.
     * @throws KeybuttonException `not-signed-in`, `press-in-progress`, `invalid-request` for a deadline of 0 or beyond
     *   an hour. A door that does not open is no exception but an [Outcome].
     */
    suspend fun press(
        options: PressOptions = PressOptions(),
        choose: (suspend (List<Candidate>) -> DoorId?)? = null,
        onPhase: (Phase) -> Unit = {},
    ): PressOutcome = startPress(options).follow(choose, onPhase)

    /** Starts a press that runs by itself; for a screen that comes and goes while the press goes on. */
    fun startPress(options: PressOptions = PressOptions()): RunningPress = start { core.press(options, it) }

    /**
     * Repeats an unconfirmed press under the same id: the lock answers with the same verdict and moves nothing a second
     * time. Has to begin within 45 s of the press.
     *
     * @param press [PressOutcome.press] of the outcome that was [Outcome.Unconfirmed].
     * @throws KeybuttonException as [press]; `invalid-request` for a press that is not unconfirmed, too old or unknown.
     */
    suspend fun retry(
        press: UnlockId,
        choose: (suspend (List<Candidate>) -> DoorId?)? = null,
        onPhase: (Phase) -> Unit = {},
    ): PressOutcome = startRetry(press).follow(choose, onPhase)

    /** Starts a [retry] that runs by itself. */
    fun startRetry(press: UnlockId): RunningPress = start { core.retry(press, it) }

    /** Takes the outcome of the last press off the Key Button. */
    fun dismiss(): Unit = tracker.dismiss()

    /** The doors the member may see, as the service said last. */
    fun doors(): List<DoorRights> = core.doors()

    /**
     * The doors in range, nearest first, for as long as the flow is collected.
     *
     * @param onBlocked called in the collector's context when the scan can't run, with the reason: Bluetooth is off or
     *   not allowed. It goes on by itself when that changes.
     * @throws KeybuttonException `not-signed-in`, from the collection.
     */
    fun nearby(onBlocked: (ErrorCode) -> Unit = {}): Flow<List<Candidate>> = callbackFlow {
        val listener = object : NearbyListener {
            override fun onDoors(doors: List<Candidate>) {
                trySend(Heard.Doors(doors))
            }

            override fun onBlocked(error: KeyException) {
                trySend(Heard.Blocked(error.translated().code))
            }
        }
        val scan = translating { core.nearby(listener) }
        awaitClose { scan.use { it.stop() } }
    }.conflate().transform { heard ->
        when (heard) {
            is Heard.Doors -> emit(heard.doors)
            is Heard.Blocked -> onBlocked(heard.reason)
        }
    }

    /**
     * Asks the service for rights and new keys; for when the app comes to the front or a push hint arrives.
     *
     * @throws KeybuttonException `not-signed-in`, `service-unreachable` and what else the service says.
     */
    suspend fun refresh(): ButtonState = changing { ask { core.refresh(it) } }

    /** The member's devices, as the service knows them. */
    suspend fun devices(): List<Device> {
        val reply = CompletableDeferred<List<Device>>()
        asking { core.devices(DevicesReply(reply)) }
        return reply.await()
    }

    /** Removes one of the member's devices; its keys are revoked. To give up this one, [signOut]. */
    suspend fun revokeDevice(device: DeviceId) {
        val reply = CompletableDeferred<Unit>()
        asking { core.revokeDevice(device, DoneReply(reply)) }
        reply.await()
    }

    /** Finds what stands between the member and an open door, in a fixed order, each with a remedy. */
    suspend fun doctor(): List<Check> = changing {
        val reply = CompletableDeferred<List<Check>>()
        asking { core.doctor(ChecksReply(reply)) }
        reply.await()
    }

    /** A support file: what happened lately, without names, identifiers or secrets. */
    fun supportReport(): String = core.supportReport()

    /** Cancels a running press and stops the core's threads; the member stays signed in. */
    override fun close() {
        watch.close()
        core.close()
    }

    private fun start(call: (PressListener) -> Press): RunningPress {
        val events = PressEvents(tracker, ::look)
        return RunningPress(events, translating { call(events) })
    }

    /** What was asked for may have changed what the Key Button is, also where it failed: the caller shall see it at once. */
    private inline fun <T> changing(call: () -> T): T = try {
        call()
    } finally {
        look()
    }

    /** Has the Key Button show what the core says now. */
    internal fun look() {
        try {
            tracker.onButton(core.keyButton())
        } catch (_: IllegalStateException) {
            // It was closed meanwhile.
        }
    }

    private suspend fun ask(call: (ButtonAnswer) -> Unit): ButtonState {
        val reply = CompletableDeferred<ButtonState>()
        asking { call(ButtonReply(reply)) }
        return reply.await()
    }

    /** Calls that write the vault may wait for the disk. */
    private suspend fun asking(call: () -> Unit) = withContext(Dispatchers.IO) { translating(call) }

    private sealed interface Heard {
        class Doors(val doors: List<Candidate>) : Heard

        class Blocked(val reason: ErrorCode) : Heard
    }
}
