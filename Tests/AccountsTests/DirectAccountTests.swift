@testable import Accounts
import JSON
import MTProto
import NIOCore
import System
import TL
import TestSupport
import Testing

@Suite struct DirectAccountTests {
    @Test func `A call is answered and the session records its account`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.whileAlice { account async throws in
            #expect(try await account.me() == MTProtoEmulator.alice)
            #expect(account.userID == MTProtoEmulator.alice)
            #expect(!account.isBot)
        }
        let session = try work.store.load("alice")
        #expect(session.userID == MTProtoEmulator.alice)
        try await work.expectNoViolations()
    }

    @Test func `A method of another data centre is called there with the account's authorisation`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.emulator.control(
            "fault", ["method": "help.getNearestDc", "kind": "error", "error": "FILE_MIGRATE_3", "dc": 2, "times": 1])
        try await work.whileAlice { account async throws in
            #expect(try await account.ask("help.getNearestDc")["this_dc"]?.int == 3)
        }
        #expect(try work.store.load("alice").keys[3] != nil)
        // The next process needs not bring it again.
        let client = try work.client()
        try await work.emulator.control(
            "fault", ["method": "help.getNearestDc", "kind": "error", "error": "FILE_MIGRATE_3", "dc": 2, "times": 1])
        let before = try await work.emulator.violations().count
        try await client.whileRunning { () async throws in
            #expect(try await client.ask("help.getNearestDc")["this_dc"]?.int == 3)
        }
        #expect(try await work.emulator.calls("auth.importAuthorization").count == 1)
        // Not even a salt was old.
        #expect(try await work.emulator.violations().count == before)
        try await work.expectNoViolations()
    }

    @Test func `An account that has moved is followed to its new home`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.emulator.control(
            "fault", ["method": "users.getUsers", "kind": "error", "error": "USER_MIGRATE_3", "dc": 2, "times": 1])
        _ = try await work.logIn()
        let client = try work.client()
        // It lives in 2, so 3 sends it back: two moves.
        try await client.whileRunning {}
        #expect(client.userID == MTProtoEmulator.alice)
        try await work.expectNoViolations()
    }

    @Test func `Concurrent calls that learn of the account's move move it once`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.whileAlice { client in
            try await work.emulator.control(
                "fault",
                ["method": "help.getNearestDc", "kind": "error", "error": "USER_MIGRATE_3", "dc": 2, "times": 8])
            let places = try await withThrowingTaskGroup(of: Int64?.self) { group in
                for _ in 0..<8 {
                    group.addTask { try await client.ask("help.getNearestDc")["this_dc"]?.int }
                }
                return try await group.reduce(into: [Int64?]()) { $0.append($1) }
            }
            #expect(places == Array(repeating: 3, count: 8))
            #expect(client.keeper.session.dataCenter == 3)
        }
    }

    @Test func `A flood wait over the caller's limit is thrown and remembered`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.emulator.control(
            "fault", ["method": "help.getNearestDc", "kind": "flood", "seconds": 40, "times": 1])
        try await work.whileAlice { account async throws in
            for _ in 0..<2 {
                let error = await #expect(throws: TelegramRPCError.self) { try await account.ask("help.getNearestDc") }
                #expect(error?.exitStatus == .tryAgain)
                #expect(error?.name == "FLOOD_WAIT")
            }
        }
        #expect(try await work.emulator.calls("help.getNearestDc").count == 1)
    }

    @Test func `A short flood wait is observed inside the call and reported`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.emulator.control(
            "fault", ["method": "help.getNearestDc", "kind": "flood", "seconds": 1, "times": 1])
        try await work.whileAlice { account async throws in
            let told = Told()
            do {
                var options = CallOptions()
                options.longestWait = .seconds(5)
                options.onWait = { wait in
                    told.add(wait.reason)
                }
                #expect(try await account.ask("help.getNearestDc", [:], options)["this_dc"]?.int == 2)
            }
            #expect(told.words == ["FLOOD_WAIT_1"])
        }
    }

    @Test func `Updates reach every listener, including those that a call causes`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.whileAlice { account async throws in
            let (one, other) = (try await account.events(), try await account.events())
            #expect(try await account.me() == MTProtoEmulator.alice)
            try await work.emulator.write("good morning")
            let values = [try await Self.firstUpdates(of: one), try await Self.firstUpdates(of: other)]
            // One value for both, so that it is decoded and parsed once.
            #expect(values[0] != nil && values[0] === values[1])
            #expect(
                try values[0].map { String(decoding: try $0.text(), as: UTF8.self) }?.contains("good morning") == true)
        }
    }

    static func firstUpdates(
        of events: any AsyncSequence<AccountEvent, any Error> & Sendable
    ) async throws -> TLValue? {
        for try await event in events {
            if case .updates(let updates) = event { return updates }
        }
        return nil
    }

    static func firstUpdate(of events: any AsyncSequence<AccountEvent, any Error> & Sendable) async throws -> String {
        try await firstUpdates(of: events).map { String(decoding: try $0.text(), as: UTF8.self) } ?? ""
    }

    @Test(arguments: ["SESSION_REVOKED", "USER_DEACTIVATED_BAN"])
    func `A session that Telegram ends ends all calls and listeners`(_ reason: String) async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.whileAlice { account async throws in
            let events = try await account.events()
            #expect(try await account.me() == MTProtoEmulator.alice)
            try await work.emulator.control(
                "revoke",
                [
                    "account": .integer(MTProtoEmulator.alice), "error": .string(reason),
                    "ban": .bool(reason.hasPrefix("USER")),
                ])
            for _ in 0..<2 {
                let error = await #expect(throws: TelegramRPCError.self) { try await account.me() }
                #expect(error?.exitStatus == .authenticationRefused)
            }
            await #expect(throws: TelegramRPCError.self) { for try await _ in events {} }
        }
    }

    @Test func `File parts use parallel connections of their own`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.whileAlice { account async throws in
            for place in [2, 3] {
                let connections = try await account.connections(to: place, count: 3)
                #expect(connections.count == 3)
                for connection in connections {
                    let answer = try await connection.ask(account.schema, "help.getNearestDc")
                    #expect(answer["this_dc"]?.int == Int64(place))
                }
            }
            let network = try await account.contentNetwork(203)
            await #expect(throws: TelegramRPCError.self) {
                try await network.ask(
                    account.schema, "upload.getCdnFile", ["file_token": "AAAA", "offset": 0, "limit": 4096])
            }
        }
        try await work.expectNoViolations()
    }
}
