package io.github.keybutton.android

internal sealed interface ScanAction {
    data object Begin : ScanAction

    data object End : ScanAction

    data class StartTimer(val token: Int, val delayMs: Long) : ScanAction
}

/**
 * Decides when the one scan runs.
 *
 * Android lets an app start five scans in 30 s and says nothing when it ignores the sixth. So the last start that is
 * left is never given up: a scan that nobody wants runs on, unheard, until another start is allowed. A press after
 * five others in half a minute finds the scan running.
 */
internal class ScanMachine {
    /** Somebody listens. */
    var isWanted = false
        private set

    /** The code of the last failure of the scan; `null` since a scan was last heard. */
    var lastFailure: Int? = null
        private set

    private var isRunning = false
    private var isPossible = true
    private var token = 0
    private var failures = 0
    private var blockedUntilMs = Long.MIN_VALUE
    private val starts = ArrayDeque<Long>()

    /** Somebody wants to listen. `null` when no start is left: Android would ignore it. */
    fun start(nowMs: Long): List<ScanAction>? {
        if (isRunning) {
            val lingered = !isWanted
            isWanted = true
            return if (lingered) refreshLater() else emptyList()
        }
        if (waitMs(nowMs) > 0) return null
        // Whoever starts has seen that Bluetooth is on, perhaps before we were told.
        isPossible = true
        isWanted = true
        failures = 0
        return begin(nowMs)
    }

    /** Nobody wants to listen any more. */
    fun stop(nowMs: Long): List<ScanAction> {
        isWanted = false
        return settle(nowMs)
    }

    /** A packet came; tells whether anybody is to hear it. One that comes after the end of the scan is late. */
    fun heard(): Boolean {
        if (!isRunning) return false
        lastFailure = null
        failures = 0
        return isWanted
    }

    fun failed(code: Int, nowMs: Long): List<ScanAction> {
        if (code == ScanFailure.ALREADY_STARTED || !isRunning) return emptyList()
        lastFailure = code
        isRunning = false
        token++
        // Scans of other code in the app count as well.
        if (code == ScanFailure.TOO_FREQUENT) blockedUntilMs = nowMs + PERIOD_MS / STARTS_MAX
        if (!isWanted || code == ScanFailure.UNSUPPORTED) return emptyList()
        failures++
        val backOffMs = FIRST_PAUSE_MS shl (failures - 1).coerceAtMost(PAUSE_DOUBLINGS)
        return timer(maxOf(backOffMs, waitMs(nowMs)))
    }

    fun timer(token: Int, nowMs: Long): List<ScanAction> {
        if (token != this.token) return emptyList()
        // Android turns a scan that runs for half an hour into one that hears next to nothing.
        if (isWanted && isRunning && isPossible) return restart(nowMs)
        return settle(nowMs)
    }

    /** Bluetooth went on or off. Going off ends the scan; coming back it starts again where it is still wanted. */
    fun usable(usable: Boolean, nowMs: Long): List<ScanAction> {
        isPossible = usable
        if (!usable) {
            isRunning = false
            token++
        }
        return settle(nowMs)
    }

    private fun settle(nowMs: Long): List<ScanAction> {
        val waitMs = waitMs(nowMs)
        return when {
            isWanted && !isRunning && !isPossible -> emptyList()
            isWanted && !isRunning -> if (waitMs > 0) timer(waitMs) else begin(nowMs)
            !isWanted && isRunning -> if (waitMs > 0) timer(waitMs) else end()
            else -> emptyList()
        }
    }

    private fun begin(nowMs: Long): List<ScanAction> {
        isRunning = true
        starts += nowMs
        return listOf(ScanAction.Begin) + refreshLater()
    }

    private fun end(): List<ScanAction> {
        isRunning = false
        token++
        return listOf(ScanAction.End)
    }

    private fun restart(nowMs: Long): List<ScanAction> {
        val waitMs = waitMs(nowMs)
        return if (waitMs > 0) timer(waitMs) else end() + begin(nowMs)
    }

    private fun refreshLater() = timer(REFRESH_MS)

    private fun timer(delayMs: Long): List<ScanAction> {
        token++
        return listOf(ScanAction.StartTimer(token, delayMs))
    }

    /** How long until a start is allowed; 0 for now. */
    private fun waitMs(nowMs: Long): Long {
        while (starts.isNotEmpty() && nowMs - starts.first() >= PERIOD_MS) starts.removeFirst()
        val budgetMs = if (starts.size < STARTS_MAX) 0 else starts.first() + PERIOD_MS - nowMs
        return maxOf(budgetMs, blockedUntilMs.coerceAtLeast(nowMs) - nowMs)
    }

    companion object {
        /** `AppScanStats` in AOSP since Android 7: five starts in 30 s. */
        const val STARTS_MAX = 5

        /** A little more than Android's 30 s: its clock and ours do not start together. */
        const val PERIOD_MS = 30_500L
        const val REFRESH_MS = 25 * 60_000L
        const val FIRST_PAUSE_MS = 500L
        const val PAUSE_DOUBLINGS = 3
    }
}
