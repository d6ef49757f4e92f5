import JSON
import System
import TL
import TestSupport
import Testing

@testable import MTProto

/// Tests of connections to the emulator's server, which rejects everything that Telegram rejects.
@Suite(.serialized) struct ConnectionTests {
    static let emulator = HostileServerTests.Shared()

    @Test(arguments: TransportKind.allCases, [false, true])
    func `A key is created and a call is answered over each transport`(_ kind: TransportKind, _ isObfuscated: Bool)
        async throws
    {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        settings.transport = TransportSettings(kind, isObfuscated: isObfuscated)
        settings.wantsQuickAcks = kind != .full
        if kind == .full && isObfuscated {
            let refused = settings
            await #expect(throws: MTProtoError.self) { try await Connection(refused) }
            return
        }
        #expect(try await Talk.over(settings) { try await $0.askForDataCenter() } == 2)
        #expect(try await emulator.violations() == [])
    }

    @Test func `A server is reached by IPv6`() async throws {
        let emulator = try await Self.emulator.get()
        let settings = try Talk.settings(emulator, dataCenter: 3, isIPv6: true)
        #expect(try await Talk.over(settings) { try await $0.askForDataCenter() } == 3)
    }

    @Test(arguments: ["", "dd"]) func `An MTProxy is used with its secret`(_ prefix: String) async throws {
        let secret = "00112233445566778899aabbccddeeff"
        let emulator = try await MTProtoEmulator("--proxy-secret", prefix + secret)
        var settings = try Talk.settings(emulator, dataCenter: 3)
        let (host, port) = emulator.proxy
        settings.proxy = try Proxy(link: "tg://proxy?server=\(host)&port=\(port)&secret=\(prefix)\(secret)")
        settings.addresses = []
        #expect(try await Talk.over(settings) { try await $0.askForDataCenter() } == 3)
    }

    @Test func `A temporary key is created, bound and used for calls`() async throws {
        let emulator = try await MTProtoEmulator()
        var settings = try await Self.alice(emulator)
        settings.usesTemporaryKeys = true
        let id = try await Talk.over(settings) { talk in
            #expect(try await talk.me() == MTProtoEmulator.alice)
            let sessions = try await emulator.account()["sessions"]?.array ?? []
            #expect(sessions.contains { $0["is_temporary"] == true && $0["is_main"] == true })
            return try await talk.me()
        }
        #expect(id == MTProtoEmulator.alice)
        #expect(try await emulator.violations() == [])
    }

    @Test func `A lost temporary key is replaced and calls continue`() async throws {
        let emulator = try await MTProtoEmulator()
        var settings = try Talk.settings(emulator)
        settings.usesTemporaryKeys = true
        try await emulator.beHostile("transport_404")
        #expect(try await Talk.over(settings) { try await $0.askForDataCenter() } == 2)
    }

    @Test func `When Telegram refuses a temporary key for a moment, another is created`() async throws {
        let emulator = try await MTProtoEmulator()
        var settings = try await Self.alice(emulator)
        settings.usesTemporaryKeys = true
        try await emulator.control(
            "fault", ["method": "auth.bindTempAuthKey", "error": "INTERNAL_ERROR", "code": 500, "times": 1])
        #expect(try await Talk.over(settings) { try await $0.me() } == MTProtoEmulator.alice)
    }

    @Test func `A key that the server does not know is an authentication failure`() async throws {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        settings.key = AuthKey([UInt8](repeating: 7, count: 256))
        let failure = await HostileServerTests.failure(emulator, settings)
        #expect((failure as? any ReportableError)?.exitStatus == .authenticationRefused)
    }

    @Test func `Live updates become events`() async throws {
        let emulator = try await MTProtoEmulator()
        let settings = try await Self.alice(emulator)
        let text = try await Talk.over(settings) { talk in
            _ = try await talk.me()
            try await emulator.write("good morning")
            for await event in talk.connection.events {
                guard case .update(let bytes) = event else { continue }
                let json = try TLDecoder(try Talk.schema.get()).json(of: bytes)
                let text = String(decoding: json, as: UTF8.self)
                if text.contains("good morning") { return text }
            }
            return ""
        }
        #expect(text.contains("good morning"))
    }

    @Test func `A refusal by Telegram is an error with its text`() async throws {
        let emulator = try await MTProtoEmulator()
        let settings = try await Self.alice(emulator)
        try await emulator.control(
            "fault", ["method": "users.getUsers", "kind": "error", "error": "FLOOD_WAIT_7", "times": 1])
        let (refusal, id) = try await Talk.over(settings) { talk in
            let refusal = await #expect(throws: TelegramRPCError.self) { try await talk.me() }
            return (refusal, try await talk.me())
        }
        #expect(refusal?.wait == .seconds(7))
        #expect(refusal?.exitStatus == .tryAgain)
        #expect(id == MTProtoEmulator.alice)
    }

    @Test func `An unanswered call ends at its deadline, and without a server gives the reason`()
        async throws
    {
        let listener = try LoopbackServer { _, _ in }
        let port = Int(listener.port)
        listener.stop()
        var settings = ConnectionSettings(addresses: [ServerAddress("127.0.0.1", port)], dataCenter: 2)
        settings.connectTimeout = .seconds(2)
        let failure = try await Talk.over(settings) { talk in
            await #expect(throws: MTProtoError.self) {
                _ = try await talk.connection.call([0, 0, 0, 0], within: .milliseconds(400))
            }
        }
        #expect(failure?.code == .unreachable)
        #expect(failure?.message.contains("127.0.0.1:\(port)") == true)
    }

    @Test func `A cancelled call is forgotten by both sides`() async throws {
        let emulator = try await MTProtoEmulator()
        let settings = try await Self.alice(emulator)
        try await emulator.control("fault", ["method": "users.getUsers", "kind": "slow", "seconds": 1, "times": 1])
        let id = try await Talk.over(settings) { talk in
            _ = try await talk.askForDataCenter()
            let slow = Task { try await talk.me() }
            try await Task.sleep(for: .milliseconds(200))
            slow.cancel()
            await #expect(throws: MTProtoError.self) { try await slow.value }
            return try await talk.me()
        }
        #expect(id == MTProtoEmulator.alice)
        // The first message had no salt.
        #expect(try await emulator.violations().filter { $0["code"]?.int != 48 } == [])
    }

    static func alice(_ emulator: MTProtoEmulator) async throws -> ConnectionSettings {
        var settings = try Talk.settings(emulator)
        settings.key = AuthKey(hexadecimal(try await emulator.authorizationKey()))
        return settings
    }

    /// After failures in a row, the pause before the next attempt is 6 seconds or more when no call waits.
    @Test(arguments: [true, false])
    func `After a long outage a call is answered without the pause before the next attempt`(
        _ callsBeforeTheEnd: Bool
    ) async throws {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        let relay = try LoopbackRelay(to: settings.addresses[0].port)
        settings.addresses = [ServerAddress("127.0.0.1", relay.port)]
        let (pause, time) = try await Talk.over(settings) { talk in
            async let early = callsBeforeTheEnd ? talk.askForDataCenter() : nil
            let pause = await talk.firstPause(ofAtLeast: .seconds(6))
            let start = ContinuousClock.now
            relay.open()
            let answer = try await callsBeforeTheEnd ? early : talk.askForDataCenter()
            #expect(answer == 2)
            return (pause, ContinuousClock.now - start)
        }
        // Calls wait for up to two seconds. The rest is for making a key on a loaded machine.
        #expect(time < pause - .seconds(1), "\(time) of \(pause)")
    }

    @Test func `Without calls the pauses before the next attempts grow`() async throws {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        let relay = try LoopbackRelay(to: settings.addresses[0].port)
        settings.addresses = [ServerAddress("127.0.0.1", relay.port)]
        let start = ContinuousClock.now
        let pause = try await Talk.over(settings) { talk in await talk.firstPause(ofAtLeast: .seconds(6)) }
        // Pauses of 0.5, 1, 2 and 4 seconds, each up to a quarter shorter, came before; calls would have cut the last one.
        #expect(ContinuousClock.now - start >= .milliseconds(5600))
        #expect(pause <= .seconds(10))
    }

    @Test func `Calls wait two seconds at most for the next connection, and all of a transport flood`() {
        let lost = MTProtoError(.disconnected, "x")
        #expect(ReconnectPause.whileCallsWait(.seconds(30), lost) == .seconds(2))
        #expect(ReconnectPause.whileCallsWait(.milliseconds(60), lost) == .milliseconds(60))
        let flood = MTProtoError(.transportFlood, "x")
        #expect(ReconnectPause.whileCallsWait(.seconds(30), flood) == .seconds(30))
    }
}
