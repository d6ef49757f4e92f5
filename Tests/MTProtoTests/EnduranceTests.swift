import JSON
@testable import MTProto
import TestSupport
import Testing

/// Tests of events that a server may cause at any time: no call is lost, and none is executed twice.
@Suite(.serialized) struct EnduranceTests {
    static let habits: [JSONObject] = [
        ["containers": "always", "gzip": "always"], ["containers": "never", "gzip": "never"],
        ["rotate_salt_every": 3], ["ask_resend": 5], ["ask_state": 5], ["detailed_info": 5],
    ]

    static let longText = String(repeating: "all work and no play ", count: 180)

    @Test(arguments: habits.indices)
    func `Each call is carried out once, however the server behaves`(_ index: Int) async throws {
        let emulator = try await MTProtoEmulator()
        let settings = try await ConnectionTests.alice(emulator)
        try await emulator.write("hello")
        try await emulator.control("habits", Self.habits[index])
        try await Talk.over(settings) { talk in
            try await talk.resolveBob()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...20 {
                    group.addTask { try await talk.send("\(number) \(Self.longText)", random: Int64(number)) }
                }
                try await group.waitForAll()
            }
        }
        try await Self.expectEach(20, in: emulator)
        // An outdated salt (48) is not this side's fault.
        let violations = try await emulator.violations().filter { $0["code"]?.int != 48 }
        #expect(violations == [])
    }

    @Test(arguments: ["auto", "never", "always"])
    func `Each call in flight is carried out once although connections break`(_ containers: String) async throws {
        let emulator = try await MTProtoEmulator()
        let settings = try await ConnectionTests.alice(emulator)
        try await emulator.write("hello")
        try await emulator.control("habits", ["containers": .string(containers)])
        try await Talk.over(settings) { talk in
            try await talk.resolveBob()
            try await emulator.control(
                "fault", ["method": "messages.sendMessage", "kind": "slow", "seconds": 0.2, "times": 40])
            try await emulator.control(
                "fault", ["method": "messages.sendMessage", "kind": "drop", "after": true, "times": 4])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...40 {
                    group.addTask { try await talk.send("\(number)", random: Int64(number)) }
                }
                group.addTask {
                    for _ in 1...6 {
                        try await Task.sleep(for: .milliseconds(60))
                        try await emulator.control("drop", ["account": .integer(MTProtoEmulator.alice)])
                    }
                }
                try await group.waitForAll()
            }
        }
        try await Self.expectEach(40, in: emulator)
    }

    @Test(arguments: ["sessions", "salts"]) func `A server that forgets the session causes no loss`(_ what: String)
        async throws
    {
        let emulator = try await MTProtoEmulator()
        let settings = try await ConnectionTests.alice(emulator)
        try await emulator.write("hello")
        try await Talk.over(settings) { talk in
            try await talk.resolveBob()
            for number in 1...10 {
                try await emulator.control("forget", ["what": .string(what)])
                try await talk.send("\(number)", random: Int64(number))
            }
        }
        try await Self.expectEach(10, in: emulator)
    }

    @Test(arguments: [-7200.0, 7200.0]) func `A clock that is two hours wrong is corrected`(_ skew: Double) async throws
    {
        let emulator = try await MTProtoEmulator()
        let settings = try await ConnectionTests.alice(emulator)
        try await emulator.control("clock", ["skew": .number(skew)])
        #expect(try await Talk.over(settings) { try await $0.me() } == MTProtoEmulator.alice)
    }

    @Test(arguments: [-1000.0, 1000.0]) func `A server's clock may change during a session`(_ skew: Double)
        async throws
    {
        let emulator = try await MTProtoEmulator()
        let settings = try await ConnectionTests.alice(emulator)
        let id = try await Talk.over(settings) { talk in
            _ = try await talk.me()
            try await emulator.control("clock", ["skew": .number(skew)])
            return try await talk.me()
        }
        #expect(id == MTProtoEmulator.alice)
    }

    @Test func `File parts arrive in parallel although connections break midway`() async throws {
        let emulator = try await MTProtoEmulator()
        let settings = try await ConnectionTests.alice(emulator)
        try await Talk.over(settings) { talk in
            _ = try await talk.me()
            try await emulator.control("habits", ["drop_every_bytes": 3_000_000])
            try await withThrowingTaskGroup(of: Bool?.self) { group in
                for part in 0..<16 { group.addTask { try await talk.save(part: part, of: 16) } }
                for try await isSaved in group { #expect(isSaved == true) }
            }
        }
    }

    static func expectEach(_ count: Int, in emulator: MTProtoEmulator) async throws {
        let chat = try await emulator.server.call("GET", "/control/chat/77?account=\(MTProtoEmulator.alice)")
        let texts = chat["messages"]?.array?.compactMap { $0["message"]?["text"]?.string } ?? []
        let numbers = texts.compactMap { $0.split(separator: " ").first.flatMap { Int($0) } }
        #expect(numbers.sorted() == Array(1...count))
    }
}
