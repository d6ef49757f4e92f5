import Envelope
import TestSupport
import Testing

@testable import MTProto

@Suite struct ConnectionTests {
    @Test(arguments: TransportKind.allCases, [false, true])
    func `A key is made and a call answered over each transport`(_ kind: TransportKind, _ isObfuscated: Bool)
        async throws
    {
        guard !(kind == .full && isObfuscated) else { return }
        let emulator = try await MTProtoEmulator()
        var settings = try Talk.settings(emulator)
        settings.transport = TransportSettings(kind, isObfuscated: isObfuscated)
        #expect(try await Talk.over(settings) { try await $0.askForDataCenter() } == 2)
        #expect(try await emulator.violations() == [])
    }
}
