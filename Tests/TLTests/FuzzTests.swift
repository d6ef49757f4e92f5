import Foundation
import JSON
import TestSupport
import Testing

@Suite struct FuzzTests {
    @Test func `Hostile bytes and JSON give a value or a typed error and never crash`() async throws {
        let objects = try TelethonObjects(count: 1)
        let seed = Int.random(in: 0...1_000_000)
        let run = try await ToolRun.run("tl-check", ["fuzz", objects.path, "20000", "\(seed)"])
        #expect(run.status == 0, "seed \(seed): \(run.output) \(run.errors)")
        #expect(run.output.contains("decoded") && run.output.contains("unknown_constructor"))
    }
}
