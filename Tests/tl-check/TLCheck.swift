import Glibc
import JSON
import TL

/// Runs the codec for benchmarks and tests; it is not a tool of the toolkit.
///
///     tl-check fuzz OBJECTS COUNT SEED    mutates the objects of telethon_objects.py, and checks the codec's guarantees
///     tl-check decode FILE SECONDS        decodes a file's bytes to text again and again; prints the microseconds of one pass
///     tl-check value FILE SECONDS         does the same with text and parsed JSON for two readers, without and with `TLValue`
///     tl-check json FILE                  prints the JSON of the bytes of a file
@main struct TLCheck {
    struct Failure: Error {
        let reason: String
    }

    static func main() {
        do {
            let words = Array(CommandLine.arguments.dropFirst())
            switch words.first {
            case "fuzz" where words.count == 4:
                let objects = try lines(of: words[1]).dropFirst().map(Sample.init)
                var fuzzer = Fuzzer(objects: objects, schema: try TLSchema(), seed: UInt64(words[3]) ?? 0)
                try fuzzer.run(count: Int(words[2]) ?? 0)
            case "decode" where words.count == 3:
                print(try microseconds(of: try read(words[1]), seconds: Double(words[2]) ?? 1))
            case "value" where words.count == 3:
                let (bytes, seconds) = (try read(words[1]), Double(words[2]) ?? 1)
                let decoder = SharedTLDecoder(try TLSchema())
                let apart = try quickest(seconds) {
                    let text = try decoder.text(of: bytes)
                    for _ in 0..<2 { _ = try JSON(parsing: text) }
                }
                let shared = try quickest(seconds) {
                    let value = TLValue(bytes: bytes, decoder: decoder)
                    for _ in 0..<2 { _ = (try value.text(), try value.json()) }
                }
                print(apart, shared)
            case "json" where words.count == 2:
                print(String(decoding: try TLDecoder(try TLSchema()).json(of: try read(words[1])), as: UTF8.self))
            default: throw Failure(reason: "see the comment in TLCheck.swift")
            }
        } catch {
            print("tl-check: error: \(error)")
            exit(1)
        }
    }

    /// Returns the time of the quickest of many rounds; the benchmark measures the peer in the same way.
    private static func microseconds(of bytes: [UInt8], seconds: Double) throws -> Double {
        let decoder = TLDecoder(try TLSchema())
        var text: [UInt8] = []
        return try quickest(seconds) {
            text.removeAll(keepingCapacity: true)
            try bytes.withUnsafeBytes { try decoder.decode($0, into: &text) }
        }
    }

    /// Returns the time of the quickest of many rounds, in microseconds.
    private static func quickest(_ seconds: Double, _ body: () throws -> Void) throws -> Double {
        var best = Duration.seconds(3600)
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        while clock.now < end { best = min(best, try clock.measure(body)) }
        return best / .microseconds(1)
    }

    private static func lines(of path: String) throws -> [JSON] {
        try read(path).split(separator: UInt8(ascii: "\n")).map { try JSON(parsing: Array($0)) }
    }

    private static func read(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "r") else { throw Failure(reason: "\(path) cannot be read") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
            bytes.append(contentsOf: buffer.prefix(count))
        }
        return bytes
    }
}

/// An object made by Telethon.
struct Sample {
    let type: TLType
    let bytes: [UInt8]

    init(_ line: JSON) throws {
        guard let bytes = line["bytes"]?.string.flatMap(Base64.decode) else {
            throw TLCheck.Failure(reason: "not a line of telethon_objects.py: \(line.text.prefix(80))")
        }
        type = line["is_method"]?.bool == true ? .method : .object
        self.bytes = bytes
    }
}
