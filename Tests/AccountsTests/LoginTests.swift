@testable import Accounts
import JSON
import System
import TestSupport
import Testing

@Suite struct LoginTests {
    @Test(arguments: [2, 3])
    func `A QR code that another device accepts logs in, whichever data centre holds the account`(_ home: Int64)
        async throws
    {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.emulator.control(
            "account", ["id": 60, "phone": "15550100060", "first_name": "Heidi", "dc": .integer(home)])
        let owner = try await Self.byQR(work, account: 60) { _, step in step }
        #expect(owner.userID == 60 && owner.name == "Heidi")
        let session = try work.store.load("heidi")
        #expect(session.userID == 60 && Int64(session.dataCenter) == home && session.keys.count == 1)
        let client = try work.client("heidi")
        try await client.whileRunning { () async throws in
            #expect(try await client.me() == 60)
        }
        try await work.expectNoViolations()
    }

    @Test func `The second factor is requested after the QR code if there is one`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        try await work.emulator.control(
            "account",
            ["id": 61, "phone": "15550100061", "first_name": "Ivan", "password": "hunter2", "hint": "a game"])
        let owner = try await Self.byQR(work, account: 61) { login, step in
            guard case .passwordNeeded = step else { return step }
            #expect(try await login.passwordHint() == "a game")
            guard case .wrong = try await login.checkPassword("hunter3") else { return .wrong }
            return try await login.checkPassword("hunter2")
        }
        #expect(owner.userID == 61)
        try await work.expectNoViolations()
    }

    private static func byQR(
        _ work: AtWork, account: Int64,
        _ then: @escaping @Sendable (Login, Login.Step) async throws -> Login.Step
    ) async throws -> Login.Owner {
        let settings = try work.settings
        return try await Login.run(at: work.place("heidi"), settings, isTest: false, replaces: false) { login in
            let (links, showing) = AsyncStream.makeStream(of: String.self)
            async let accepting: Void = {
                for await link in links {
                    try await work.emulator.control(
                        "accept_login", ["account": .integer(account), "token": .string(link)])
                    break
                }
            }()
            let step = try await then(login, try await login.byQR { showing.yield($0) })
            try await accepting
            guard case .done(let owner) = step else { throw AccountError(.loginRefused, "\(step)") }
            return owner
        }
    }

    @Test func `Only one process logs in under a name at a time`() async throws {
        let work = try AtWork(try await MTProtoEmulator())
        let settings = try work.settings
        let place = work.place("judy")
        try work.store.prepare()
        guard case .taken(let lock) = try SessionLock.attempt(place.lockPath) else { return }
        let error = await #expect(throws: AccountError.self) {
            try await Login.run(at: place, settings, isTest: false, replaces: false) {
                try await $0.asBot(token: "1:a")
            }
        }
        #expect(error?.code == .busy)
        _ = consume lock
    }
}
