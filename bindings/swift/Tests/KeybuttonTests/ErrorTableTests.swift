import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

/// `tests/vectors/errors.json` and what Swift says of each code.
@Suite
struct ErrorTableTests {
    @Test func theTableIsTheSame() throws {
        let file = try JSON.file("errors.json")
        let rows = try #require(file["errors"]?.array)
        let said = errorCodes().map { code in
            JSON.object([
                "name": .string(code.code()), "side": .string(kebab(code.side())), "retry": .string(kebab(code.retry())),
                "message": .string(code.message()), "remedy": .string(code.remedy()),
            ])
        }
        #expect(rows.count == said.count)
        for (row, said) in zip(rows, said) {
            #expect(said.lacks(row) == nil)
        }
    }

    @Test func anErrorSaysItInWords() {
        for code in errorCodes() {
            let error: any Error = KeyError.Failed(code: code)
            #expect(error.localizedDescription == code.message())
            #expect((error as? any LocalizedError)?.recoverySuggestion == code.remedy())
        }
    }

    @Test func anOutcomeHasTheWordsOfItsCode() {
        let refusal = Refusal(code: .expired, detail: 0, retryAfterS: nil, when: nil, lock: nil)
        #expect(Outcome.refused(refusal).code == .expired)
        #expect(Outcome.refused(refusal).remedy == refusal.remedy)
        #expect(Outcome.unconfirmed(.cancelled).code == .cancelledLate)
        for cause in [Cause.linkLost, .deadline, .unreadable] {
            #expect(Outcome.unconfirmed(cause).code == .noVerdict)
            #expect(Outcome.unconfirmed(cause).retry == .samePressOnly)
        }
    }
}
