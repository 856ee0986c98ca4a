package io.github.keybutton

import java.time.Duration

private val DEADLINE = Duration.ofSeconds(10)

/**
 * What the member wants of a press, who has unlocked the phone for it.
 *
 * @param door the door to open; `null` finds the one the member stands at, and asks when two are too close to call.
 * @param intent what the lock shall do.
 * @param deadline when the press ends at the latest, from its begin; at most an hour.
 */
fun PressOptions(
    door: DoorId? = null,
    intent: Intent = Intent.UNLOCK,
    deadline: Duration = DEADLINE,
): PressOptions = PressOptions(door, intent, deadline, userAuthenticated = true)
