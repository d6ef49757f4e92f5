@testable import Routing
import Testing

@Suite struct DestinationsTests {
    private func outputs(_ destinations: inout Destinations, _ type: String, version: Int = 1) -> [Int] {
        Array(type.utf8).withUnsafeBytes { bytes in
            let (slot, count) = destinations.find(type: bytes, version: version, bytes: 10)
            return (0..<count).map { destinations.output($0, of: slot) }
        }
    }

    private func destinations(_ routes: [String], outputs: [Int]) throws -> Destinations {
        Destinations(routes: try routes.map { try Route(parsing: "\($0)=x") }, outputOfRoute: outputs)
    }

    @Test func `An output is named once however many of its routes match`() throws {
        var found = try destinations(["a.#", "#.b", "c", "a.b@2"], outputs: [0, 0, 1, 2])
        #expect(outputs(&found, "a.b") == [0])
        #expect(outputs(&found, "a.b", version: 2) == [0, 2])
        #expect(outputs(&found, "c") == [1])
        #expect(outputs(&found, "d").isEmpty)
        #expect(found.totals.map(\.events) == [2, 2, 1, 1])
        #expect(found.totals.map(\.bytes) == [20, 20, 10, 10])
    }

    @Test func `More event types than the cache holds are still routed and counted`() throws {
        var found = try destinations(["#", "*.even"], outputs: [0, 1])
        for _ in 0..<3 {
            for number in 0..<5000 {
                let type = number % 2 == 0 ? "t\(number).even" : "t\(number).odd"
                #expect(outputs(&found, type) == (number % 2 == 0 ? [0, 1] : [0]))
            }
        }
        #expect(found.totals.map(\.events) == [15_000, 7_500])
    }
}
