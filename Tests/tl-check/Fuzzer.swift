import Glibc
import JSON
import System
import TL

/// Checks the codec's promises for any input: a value or a typed error, JSON that the toolkit's parser accepts, and an
/// unchanged round trip.
struct Fuzzer {
    private let schema: TLSchema
    private let decoder: TLDecoder
    private let parser = JSONParser()
    private var mutator: Mutator
    private var verdicts: [String: Int] = [:]
    private var slowest = Duration.zero
    private var largest = 0
    private var text: [UInt8] = []

    init(objects: [Sample], schema: TLSchema, seed: UInt64) {
        self.schema = schema
        decoder = TLDecoder(schema)
        mutator = Mutator(objects: objects, schema: schema, seed: seed)
    }

    mutating func run(count: Int) throws {
        let clock = ContinuousClock()
        let begun = clock.now
        for number in 1...max(1, count) {
            let (bytes, type) = mutator.bytes()
            let started = Fuzzer.workDone()
            try check(bytes, type)
            let took = Fuzzer.workDone() - started
            slowest = max(slowest, took)
            guard took < .seconds(10) else { throw TLCheck.Failure(reason: "an input took \(took): \(hex(bytes))") }
            if number % 1_000_000 == 0 { report(number, clock.now - begun) }
        }
        report(count, clock.now - begun)
    }

    private mutating func check(_ bytes: [UInt8], _ type: TLType) throws {
        let document = Result { try decoder.document(of: bytes, as: type) }
        text.removeAll(keepingCapacity: true)
        do throws(TLError) {
            try decode(bytes, type)
        } catch {
            verdicts[error.code.rawValue, default: 0] += 1
            guard text.isEmpty, error.exitStatus == .protocolBroken, let offset = error.offset,
                (0...bytes.count).contains(offset)
            else { throw TLCheck.Failure(reason: "\(error) is no good answer to \(hex(bytes))") }
            // Text and document have limits of their own.
            if case .success = document, error.code != .oversized {
                throw TLCheck.Failure(reason: "a document is made of \(hex(bytes))")
            }
            return
        }
        verdicts["decoded", default: 0] += 1
        largest = max(largest, text.count)
        let value = try text.withUnsafeBytes { try parser.parse($0) }
        guard try document.get().json == value else {
            throw TLCheck.Failure(reason: "the document has another value: \(hex(bytes))")
        }
        let first = text
        text.removeAll(keepingCapacity: true)
        try decode(try schema.encode(value, as: type), type)
        guard text == first else { throw TLCheck.Failure(reason: "not the same again: \(hex(bytes))") }
        try checkJSON(value, type)
    }

    /// Checks that changed JSON is refused with a path, or becomes readable bytes.
    private mutating func checkJSON(_ value: JSON, _ type: TLType) throws {
        let tampered = mutator.json(value)
        let bytes: [UInt8]
        do throws(TLError) {
            bytes = try schema.encode(tampered, as: type)
        } catch {
            verdicts["json_\(error.code.rawValue)", default: 0] += 1
            guard error.path.hasPrefix("$"), error.exitStatus == .malformedInput else {
                throw TLCheck.Failure(reason: "\(error) is no good answer to \(tampered.text)")
            }
            return
        }
        verdicts["json_encoded", default: 0] += 1
        text.removeAll(keepingCapacity: true)
        try decode(bytes, type)
    }

    private mutating func decode(_ bytes: [UInt8], _ type: TLType) throws(TLError) {
        // The memory has exactly this size, so that the sanitizer detects reads beyond it.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        try decoder.decode(UnsafeRawBufferPointer(copy), as: type, into: &text)
    }

    /// Returns this thread's processor time, which other processes on the machine do not affect.
    private static func workDone() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    private func report(_ count: Int, _ took: Duration) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let kinds = verdicts.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        print("\(count) inputs in \(took): \(kinds)")
        print("slowest \(slowest), most JSON of one \(largest) bytes, peak memory \(usage.ru_maxrss / 1024) MB")
        fflush(nil)
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
