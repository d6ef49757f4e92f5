import BotAPI
import Logging
import Synchronization
import Testing

@testable import AccountAPI

@Suite struct UploadLimitTests {
    private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let premium: Int64 = 4_194_304_000

    @Test func `An account is asked once, and its answer holds`() async {
        let calls = Mutex(0)
        let limit = UploadLimit(log: log) { [premium] in
            calls.withLock { $0 += 1 }
            return premium
        }
        for _ in 0..<5 { #expect(await limit.bytes() == premium) }
        #expect(calls.withLock { $0 } == 1)
    }

    @Test func `Without an answer, the limit is that of an account without Premium`() async {
        let nobody = UploadLimit(log: log) { nil }
        #expect(await nobody.bytes() == 2_097_152_000)
        let away = UploadLimit(log: log) { throw TelegramError(.network, "away") }
        #expect(await away.bytes() == 2_097_152_000)
    }
}
