import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

/// What the Key Button shows, without a core.
@Suite
struct ButtonTests {
    private let board = ButtonBoard(.hidden(.notSignedIn))

    @Test func everyWatcherHearsThePresentAndEveryChange() async {
        var first = board.states().makeAsyncIterator()
        #expect(await first.next() == .hidden(.notSignedIn))
        board.onButton(state: .visible)
        board.onButton(state: .visible)
        var second = board.states().makeAsyncIterator()
        board.entered(.searching)
        board.ended(Self.opened)
        board.dismissOutcome()
        for expected in [KeyButtonState.ready, .pressing(.searching), .ended(Self.opened), .ready] {
            #expect(await first.next() == expected)
            #expect(await second.next() == expected)
        }
        board.finish()
        #expect(await first.next() == nil)
    }

    @Test func aRunningPressIsShownAlthoughTheButtonGoes() {
        board.onButton(state: .visible)
        board.entered(.searching)
        board.onButton(state: .hidden(.memberSuspended))
        #expect(board.state == .pressing(.searching))
        board.ended(Self.opened)
        #expect(board.state == .hidden(.memberSuspended))
    }

    @Test func onlyAButtonThatIsThereAndIdleCanBePressed() {
        #expect(KeyButtonState.ready.canPress)
        #expect(KeyButtonState.ended(Self.opened).canPress)
        #expect(!KeyButtonState.pressing(.searching).canPress)
        #expect(!KeyButtonState.hidden(.notSignedIn).canPress)
    }

    @Test func theLookHasTheLightOfTheLock() throws {
        #expect(KeyButtonLook(.hidden(.notSignedIn)) == nil)
        #expect(try #require(KeyButtonLook(.ready)).light == .off)
        let opening = try #require(KeyButtonLook(.pressing(.opening("d"))))
        #expect(opening.light == .amber && opening.isBusy)
        #expect(try #require(KeyButtonLook(.ended(Self.opened))).light == .green)
        let refusal = Refusal(code: .expired, detail: 0, retryAfterS: nil, when: nil, lock: nil)
        let refused = try #require(KeyButtonLook(.ended(Self.ended(.refused(refusal)))))
        #expect(refused.light == .red)
        #expect(refused.accessibilityLabel.contains(refusal.message))
        #expect(refused.accessibilityLabel.contains(refusal.remedy))
        let unsure = try #require(KeyButtonLook(.ended(Self.ended(.unconfirmed(.deadline)))))
        #expect(unsure.light == .amber)
        let symbols = Set([opening, refused, unsure].map(\.symbol))
        #expect(symbols.count == 3, "told apart without the colour")
    }

    static let opened = ended(.opened(LockReport(
        openTimeDs: 50, battery: nil, clock: .running, time: nil, auditNumber: 1,
        auditHash: String(repeating: "0", count: 64), replayed: false, doorOpen: false, boltOut: false, fault: false)))

    static func ended(_ outcome: Outcome) -> PressOutcome {
        PressOutcome(
            press: String(repeating: "0", count: 32), door: "d", route: .radio, outcome: outcome,
            metrics: PressMetrics(
                totalUs: 1, phases: [], bytesSent: 0, bytesReceived: 0, packetsSent: 0, packetsReceived: 0,
                roundTrips: 0, links: 0, fast: false, downloaded: false))
    }
}
