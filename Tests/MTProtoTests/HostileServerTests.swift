import JSON
import System
import TestSupport
import Testing

@testable import MTProto

/// Tests with faults of the emulator's server on a real connection: each is refused, and none of its data is used.
@Suite(.serialized) struct HostileServerTests {
    static let emulator = Shared()

    /// Starts one emulator for all tests.
    actor Shared {
        private var emulator: MTProtoEmulator?

        func get() async throws -> MTProtoEmulator {
            if let emulator { return emulator }
            let started = try await MTProtoEmulator()
            emulator = started
            return started
        }
    }

    static let handshakes = [
        "pq_nonce", "pq_prime", "pq_one", "fingerprint", "dh_nonce", "dh_server_nonce", "dh_answer_hash",
        "dh_inner_nonce", "dh_inner_server_nonce", "dh_answer_length", "dh_composite", "dh_unsafe_prime",
        "dh_small_prime", "dh_generator", "dh_generator_one", "g_a_zero", "g_a_one", "g_a_minus_one", "g_a_small",
        "g_a_large", "gen_nonce", "gen_server_nonce", "gen_hash", "gen_fail", "dh_fail",
    ]

    static let messages = [
        "auth_key_id", "msg_key", "ciphertext", "session_id", "short_padding", "long_padding", "length_beyond",
        "length_negative", "length_unaligned", "msg_id_parity", "msg_id_stale", "msg_id_future", "msg_id_replay",
        "truncated_result", "unknown_constructor", "gzip_bomb", "gzip_garbage", "container_count", "container_length",
        "garbage", "frame_length",
    ]

    /// Returns the error with which a connection, or a call on it, ends.
    static func failure(_ emulator: MTProtoEmulator, _ settings: ConnectionSettings) async -> (any Error)? {
        do {
            let answer = try await Talk.over(settings) { talk in
                let answer = try await talk.askForDataCenter()
                // Messages after an answer are checked as well.
                try await Task.sleep(for: .milliseconds(300))
                return answer
            }
            return answer == 2 ? nil : MTProtoError(.timedOut, "another answer than the right one")
        } catch {
            return error
        }
    }

    @Test(arguments: handshakes) func `A hostile key exchange is a protocol error`(_ kind: String) async throws {
        let emulator = try await Self.emulator.get()
        try await emulator.beHostile(kind)
        let failure = await Self.failure(emulator, try Talk.settings(emulator))
        #expect((failure as? any ReportableError)?.exitStatus == .protocolBroken, "\(String(describing: failure))")
        #expect(try await emulator.server.call("GET", "/control/mtproto/hostile")["waiting"]?.array == [])
    }

    @Test func `A server that requests another secret receives one`() async throws {
        let emulator = try await Self.emulator.get()
        try await emulator.beHostile("gen_retry", times: 2)
        #expect(await Self.failure(emulator, try Talk.settings(emulator)) == nil)
    }

    @Test func `A server that requests secrets without end is refused`() async throws {
        let emulator = try await Self.emulator.get()
        try await emulator.beHostile("gen_retry", times: 5)
        let failure = await Self.failure(emulator, try Talk.settings(emulator))
        #expect((failure as? MTProtoError)?.code == .protocolBroken)
    }

    @Test(arguments: messages) func `A hostile message is a protocol error`(_ kind: String) async throws {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        settings.key = AuthKey(hexadecimal(try await emulator.authorizationKey()))
        try await emulator.beHostile(kind)
        let failure = await Self.failure(emulator, settings)
        #expect((failure as? any ReportableError)?.exitStatus == .protocolBroken, "\(String(describing: failure))")
        #expect(try await emulator.server.call("GET", "/control/mtproto/hostile")["waiting"]?.array == [])
    }

    @Test func `A connection that closes in the middle of a frame is only a broken connection`() async throws {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        settings.key = AuthKey(hexadecimal(try await emulator.authorizationKey()))
        try await emulator.beHostile("half_frame")
        #expect(await Self.failure(emulator, settings) == nil)
    }

    @Test(arguments: [("transport_404", Int32(77)), ("transport_444", 78)])
    func `Transport errors are reported with their meaning`(_ kind: String, _ status: Int32) async throws {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        settings.key = AuthKey(hexadecimal(try await emulator.authorizationKey()))
        try await emulator.beHostile(kind)
        let failure = await Self.failure(emulator, settings)
        #expect((failure as? any ReportableError)?.exitStatus.rawValue == status, "\(String(describing: failure))")
    }

    @Test func `Too many connections are a transient failure`() async throws {
        let emulator = try await Self.emulator.get()
        var settings = try Talk.settings(emulator)
        settings.key = AuthKey(hexadecimal(try await emulator.authorizationKey()))
        try await emulator.beHostile("transport_429")
        let reason = try await Talk.over(settings) { talk in
            async let answer = talk.askForDataCenter()
            for await event in talk.connection.events {
                if case .waiting(let pause, let reason) = event, pause > .seconds(5) { return reason }
            }
            _ = try await answer
            return MTProtoError(.closed, "no pause")
        }
        #expect(reason.exitStatus == .tryAgain)
    }
}
