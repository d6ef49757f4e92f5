import Foundation
import JSON
import TL
import Testing

/// Comparisons with Telethon, an independent implementation of the same schema.
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

    @Test func `Every constructor and method has the same meaning and bytes in Telethon`() throws {
        let schema = try TLSchema()
        let compared = try compare(schema, count: 4, layer: 229)
        // These are not in use any more, or Telethon reads them with special code.
        let lacking: Set = [
            "contest.saveDeveloperInfo", "error", "gzip_packed", "msg_resend_ans_req", "null", "rpc_result", "true",
        ]
        #expect(Set(schema.methodNames + schema.constructorNames).subtracting(compared) == lacking)
    }

    @Test(arguments: [201, 181]) func `Constructors that an older layer shares with Telethon have the same meaning`(
        layer: Int
    )
        throws
    {
        #expect(try compare(try TLSchema(layer: layer), count: 2, layer: layer).count > 1500)
    }

    /// Returns the names of the compared constructors and methods.
    private func compare(_ schema: TLSchema, count: Int, layer: Int) throws -> Set<String> {
        let lines = try TelethonObjects(count: count, layer: layer).lines()
        let samples = try lines.dropFirst().map(Sample.init)
        let decoder = TLDecoder(schema)
        var differences: [String] = []
        for sample in samples {
            let decoded = Result { try JSON(parsing: decoder.json(of: sample.bytes, as: sample.type)) }
            if (try? decoded.get().sorted) != sample.json.sorted {
                differences.append("decoded: \(decoded.text)\nTelethon: \(sample.json.text)")
            }
            let document = Result { try decoder.document(of: sample.bytes, as: sample.type).json }
            if (try? document.get()) != (try? decoded.get()) {
                differences.append("document: \(document.text)\ndecoded: \(decoded.text)")
            }
            let encoded = Result { try schema.encode(sample.json, as: sample.type) }
            if (try? encoded.get()) != sample.bytes {
                differences.append("encoded: \(encoded), from \(sample.json.text)")
            }
        }
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n\n"))")
        return Set(samples.compactMap { $0.json["_"]?.string })
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
    /// Compares without regard to the order of keys.
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
