import Envelope
import Foundation
import TL
import TestSupport
import Testing

/// Telethon is another implementation, made by other people from the same schema.
@Suite struct TelethonTests {
    struct Failure: Error {
        let reason: String
    }

    private struct Sample {
        let type: TLType
        let bytes: [UInt8]
        let json: JSON

        init(_ line: JSON) throws {
            guard let bytes = line["bytes"]?.string.flatMap(Base64.decode), let json = line["json"] else {
                throw Failure(reason: "the line is none of telethon_objects.py: \(line.text.prefix(80))")
            }
            type = line["is_method"]?.bool == true ? .method : .object
            self.bytes = bytes
            self.json = json
        }
    }

    /// What Telethon makes of every class that it has, four times each.
    private func samples() throws -> (layer: Int64, combinators: Int64, samples: [Sample]) {
        let folder = try TemporaryFolder()
        let schemas = "\(testFolder)/../Sources/TLSchemas/data"
        let output = open(folder("objects"), O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        defer { close(output) }
        let program = try SpawnedProgram(
            [
                "\(PythonTools.binFolder())/python", "-B", "\(testFolder)/TLTests/telethon_objects.py",
                "\(schemas)/229.tl", "\(schemas)/mtproto.tl", "--seed", "\(Int.random(in: 0...1_000_000))",
            ], descriptors: [nil, output, 2])
        guard program.wait() == 0, let text = FileManager.default.contents(atPath: folder("objects")) else {
            throw Failure(reason: "telethon_objects.py failed: see above")
        }
        let lines = try text.split(separator: UInt8(ascii: "\n")).map { try JSON(parsing: Array($0)) }
        return (
            lines[0]["layer"]?.int ?? 0, lines[0]["combinators"]?.int ?? 0, try lines.dropFirst().map(Sample.init)
        )
    }

    @Test func `Every constructor and method means the same to Telethon, and becomes the same bytes`() throws {
        let (layer, combinators, samples) = try samples()
        let schema = try TLSchema()
        #expect(schema.layer.map(Int64.init) == layer)
        #expect(samples.count == 4 * Int(combinators))
        // What Telethon lacks: three that nobody sends, one that it reads by hand, and three that it keeps elsewhere.
        let known = schema.methodNames.count + schema.constructorNames.count
        #expect(known - Int(combinators) <= 8)
        let decoder = TLDecoder(schema)
        var differences: [String] = []
        for sample in samples {
            let decoded = Result { try JSON(parsing: decoder.json(of: sample.bytes, as: sample.type)) }
            if (try? decoded.get().sorted) != sample.json.sorted {
                differences.append("decoded: \(decoded.text)\nTelethon: \(sample.json.text)")
            }
            let encoded = Result { try schema.encode(sample.json, as: sample.type) }
            if (try? encoded.get()) != sample.bytes {
                differences.append("encoded: \(encoded), from \(sample.json.text)")
            }
        }
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n\n"))")
    }
}

extension Result where Success == JSON {
    fileprivate var text: String {
        switch self {
        case .success(let json): json.text
        case .failure(let error): "\(error)"
        }
    }
}

extension JSON {
    /// The order of keys says nothing.
    var sorted: JSON {
        switch self {
        case .array(let items): .array(items.map(\.sorted))
        case .object(let object):
            .object(
                JSONObject(
                    object.members.map { JSONObject.Member(key: $0.key, value: $0.value.sorted) }
                        .sorted { $0.key < $1.key }))
        default: self
        }
    }
}
