import Glibc
import JSON
import TL

/// Runs the codec for the benchmarks and the tests. It is not a tool of the toolkit.
///
///     tl-check fuzz OBJECTS COUNT SEED    mutates the output of telethon_objects.py and checks the codec's promises
///     tl-check decode FILE SECONDS        decodes the bytes of a file repeatedly and prints the microseconds per run
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
            case "json" where words.count == 2:
                print(String(decoding: try TLDecoder(try TLSchema()).json(of: try read(words[1])), as: UTF8.self))
            default: throw Failure(reason: "see the comment in TLCheck.swift")
            }
        } catch {
            print("tl-check: error: \(error)")
            exit(1)
        }
    }

    /// Returns the fastest of many rounds, as for the peer.
    private static func microseconds(of bytes: [UInt8], seconds: Double) throws -> Double {
        let decoder = TLDecoder(try TLSchema())
        var text: [UInt8] = []
        var best = Duration.seconds(3600)
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        while clock.now < end {
            text.removeAll(keepingCapacity: true)
            let took = try clock.measure { try bytes.withUnsafeBytes { try decoder.decode($0, into: &text) } }
            best = min(best, took)
        }
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

/// Represents an object that Telethon created.
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
