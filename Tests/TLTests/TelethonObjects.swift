import Foundation
import JSON
import TestSupport

/// Objects of every class of Telethon with random content, in a file that is removed with this object.
struct TelethonObjects {
    struct Failure: Error {
        let reason: String
    }

    private let folder: TemporaryFolder

    var path: String { folder("objects") }

    /// - Parameters:
    ///   - count: the objects of each class; the first without optional fields, the second with all of them.
    ///   - layer: Telethon's own layer, or another one, which limits the objects to classes that are the same in both.
    init(count: Int, layer: Int = 229) throws {
        folder = try TemporaryFolder()
        let schemas = "\(testFolder)/../Sources/Telegram/TLSchemas/data"
        let output = open(folder("objects"), O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        defer { close(output) }
        let program = try SpawnedProgram(
            [
                "\(PythonTools.binFolder())/python", "-B", "\(testFolder)/TLTests/telethon_objects.py",
                "\(schemas)/\(layer).tl", "\(schemas)/mtproto.tl", "--count", "\(count)",
                "--seed", "\(Int.random(in: 0...1_000_000))",
            ], descriptors: [nil, output, 2])
        guard program.wait() == 0 else { throw Failure(reason: "telethon_objects.py failed: see above") }
    }

    func lines() throws -> [JSON] {
        guard let text = FileManager.default.contents(atPath: path) else { throw Failure(reason: "no objects") }
        return try text.split(separator: UInt8(ascii: "\n")).map { try JSON(parsing: Array($0)) }
    }
}
