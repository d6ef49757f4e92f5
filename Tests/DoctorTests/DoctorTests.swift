import Foundation
import JSON
import Redis
import System
import Testing

@testable import tgpipe_doctor

struct FindingTests {
    @Test func `A variable that no tool reads gets a warning with the name that was meant`() {
        let findings = SettingsCheck.unknown(["TGPIPE_REDDIS", "TG_BOT_TOKEN", "HOME", "TG_QQQQQQQQ"])
        #expect(findings.map(\.level) == [.warning, .warning])
        #expect(findings[0].advice == "Did you mean TGPIPE_REDIS?")
        #expect(findings[1].message.contains("TG_QQQQQQQQ"))
    }

    @Test func `The advice fits the failure: a server that is away has not refused the token`() {
        let away = TelegramCheck.advice(for: ToolError(.unavailable, "away"), isAccount: false)
        #expect(away.contains("network") && !away.contains("TG_BOT_TOKEN"))
        #expect(
            TelegramCheck.advice(for: ToolError(.authenticationRefused, "no"), isAccount: false).contains(
                "TG_BOT_TOKEN"))
        let finding = Finding.error(.redis, "did you mean redis://localhost?", "Start it.")
        #expect(finding.text == "error   redis: did you mean redis://localhost? Start it.")
    }

    @Test func `Every variable that the code reads is known`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let files = FileManager.default.enumerator(at: root.appending(path: "Sources"), includingPropertiesForKeys: nil)
        var used: Set<String> = []
        for case let file as URL in try #require(files) where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: /"(TG(?:PIPE)?_[A-Z0-9_]+)"/) { used.insert(String(match.1)) }
        }
        #expect(used.count > 30)
        // What begins so belongs to the tests.
        #expect(used.subtracting(SettingsCheck.variables).subtracting(["TGPIPE_TEST_"]).sorted() == [])
    }

    @Test(arguments: [
        (UInt64(100) << 20, Finding.Level.error), (1 << 30, .warning), (50 << 30, .ok), (.max, .ok),
    ])
    func `Free space is judged`(_ bytes: UInt64, _ level: Finding.Level) {
        #expect(StateCheck.judge(freeBytes: bytes).level == level)
    }

    @Test(arguments: [
        (2, Finding.Level.ok), (-2, .ok), (20, .warning), (-20, .warning), (3600, .error), (-3600, .error),
    ])
    func `The clock is judged`(_ seconds: Int, _ level: Finding.Level) {
        #expect(ClockCheck.judge(ahead: .seconds(seconds), of: "server").level == level)
    }

    @Test func `The age of yt-dlp is judged by its version`() throws {
        let now = try #require(Timestamp("2026-11-29T12:00:00Z"))
        #expect(ProgramCheck.judge(ytDlp: "2026.11.20", at: now).level == .ok)
        #expect(ProgramCheck.judge(ytDlp: "2026.11.20.232931", at: now).level == .ok)
        let old = ProgramCheck.judge(ytDlp: "2026.01.01", at: now)
        #expect(old.level == .warning && old.message.contains("332 days old"))
        #expect(ProgramCheck.judge(ytDlp: "banana", at: now).level == .warning)
        #expect(ProgramCheck.judge(ytDlp: "99.99.99", at: now).level == .warning)
    }

    @Test func `A webhook stops the bot, and only its host is shown`() {
        #expect(TelegramCheck.judge(webhook: ["url": ""]) == [])
        let findings = TelegramCheck.judge(webhook: ["url": "https://hooks.example/secret-path"])
        #expect(findings.first?.level == .error && findings.first?.message.contains("hooks.example") == true)
        #expect(findings.first?.message.contains("secret") == false)
    }

    @Test func `What strangers named cannot change the terminal`() {
        #expect(Finding.ok(.telegram, "a\u{1B}[31m\nb").text.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    }
}

struct RedisFactsTests {
    private let facts = RedisFacts(
        info: "# Server\r\nredis_version:6.0.16\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n")

    @Test func `Settings that may lose queues are risks`() {
        #expect(facts.risks.map(\.isSevere) == [true, false])
        #expect(RedisFacts(info: "maxmemory_policy:noeviction\r\naof_enabled:1\r\n").risks == [])
    }

    @Test func `Versions are compared by their numbers`() {
        #expect(facts.isOlder(than: 6, 2) && !facts.isOlder(than: 6, 0))
        #expect(!RedisFacts(info: "redis_version:7.0.15\r\n").isOlder(than: 6, 2))
        #expect(
            !RedisFacts(info: "").isOlder(than: 6, 2) && !RedisFacts(info: "redis_version:x\r\n").isOlder(than: 6, 2))
    }
}
