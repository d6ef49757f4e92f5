import Blocking
import Envelope
import Foundation
import Schemas
import Testing

/// The suite that all implementations are held against (Debian: json-schema-test-suite).
@Suite(.timeLimit(.minutes(2))) struct DraftSevenTests {
    private static let folder = "/usr/share/json-schema-test-suite/tests/draft7"

    /// What the validator does not do, by file and group; docs/ev-route.md says so, too.
    private static let exceptions: Set<String> = []

    @Test func theValidatorDoesWhatTheSuiteSaysButForKnownExceptions() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".json") }
        #expect(names.count > 30)
        let outcome = Monitor<Result<(failed: Set<String>, passed: Int), any Error>?>(nil)
        BlockingThread.start(stackBytes: SchemaSet.stackBytes) {
            let result = Result { try Self.run(names) }
            outcome.update { $0 = result }
        }
        let (failed, passed) = try #require(outcome.wait { $0 }).get()
        #expect(failed == Self.exceptions)
        #expect(passed > 800)
    }

    private static func run(_ names: [String]) throws -> (failed: Set<String>, passed: Int) {
        var failed: Set<String> = []
        var passed = 0
        for name in names.sorted() {
            let groups = try JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))))
            for group in groups.array ?? [] {
                let title = "\(name.dropLast(5)): \(group["description"]?.string ?? "")"
                let schemas = try SchemaSet()
                do throws(SchemaError) {
                    try schemas.add(group["schema"]?.bytes ?? Array("true".utf8), as: "it", title)
                    try schemas.compile("it", title)
                } catch {
                    failed.insert(title)
                    continue
                }
                for test in group["tests"]?.array ?? [] {
                    let data = test.object?.members.first { $0.key == "data" }?.value ?? .null
                    let fits = schemas.fault(of: data.bytes, by: "it") == nil
                    if fits == test["valid"]?.bool { passed += 1 } else { failed.insert(title) }
                }
            }
        }
        return (failed, passed)
    }
}
