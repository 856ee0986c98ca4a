package io.github.keybutton

/** How a press ends that was cancelled early. */
internal val CANCELLED = PressOutcome(
    press = "00112233445566778899aabbccddeeff",
    door = null,
    route = null,
    outcome = Outcome.Refused(Refusal(ErrorCode.PRESS_CANCELLED, 0u, null, null, null)),
    metrics = PressMetrics(0uL, emptyList(), 0u, 0u, 0u, 0u, 0u, 0u, false, false),
)

internal fun candidate(door: DoorId) =
    Candidate(
        door = door,
        site = "site",
        name = "Door $door",
        peripheral = "peripheral",
        strengthDb = 0,
        opens = true,
        busy = false,
        batteryLow = false,
        wantsSync = false,
        tapHint = false,
        lastOpened = null,
    )
