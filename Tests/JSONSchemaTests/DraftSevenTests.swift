import JSON
import System
import Foundation
import JSONSchema
import Testing

/// The suite that all implementations are held against (Debian: json-schema-test-suite).
@Suite(.timeLimit(.minutes(2))) struct DraftSevenTests {
    private static let suite = {
        let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let unpacked = checkout.appendingPathComponent(".deps/usr/share/json-schema-test-suite").path
        return FileManager.default.fileExists(atPath: unpacked) ? unpacked : "/usr/share/json-schema-test-suite"
    }()
    private static let folder = "\(suite)/tests/draft7"

    /// They refer to the schema of schemas, which is not among the suite's files.
    private static let exceptions: Set<String> = [
        "definitions: valid definition", "definitions: invalid definition", "ref: remote ref, containing refs itself",
    ]

    @Test func `The validator agrees with the official test suite except for known exceptions`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".json") }
        #expect(names.count > 30)
        let outcome = Monitor<Result<(failed: Set<String>, passed: Int), any Error>?>(nil)
        BlockingThread.start(stackBytes: SchemaSet.stackBytes) {
            let result = Result { try Self.run(names) }
            outcome.update { $0 = result }
        }
        let (failed, passed) = try #require(outcome.wait { $0 }).get()
        #expect(failed == Self.exceptions)
        #expect(passed > 400)
    }

    private static func run(_ names: [String]) throws -> (failed: Set<String>, passed: Int) {
        var failed: Set<String> = []
        var passed = 0
        for name in names.sorted() {
            let groups = try JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))))
            for group in groups.array ?? [] {
                let title = "\(name.dropLast(5)): \(group["description"]?.string ?? "")"
                let schemas = try SchemaSet()
                for remote in ["integer.json", "subSchemas.json", "name.json", "folder/folderInteger.json"] {
                    let contents = Array(try Data(contentsOf: URL(fileURLWithPath: "\(suite)/remotes/\(remote)")))
                    try schemas.add(contents, as: "http://localhost:1234/\(remote)", title)
                }
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
