import Foundation
import Glibc
import Spool
import Synchronization
import TestSupport
import Testing

/// A spool in a folder of its own, and what it told.
struct SpoolFixture {
    let folder: TemporaryFolder
    let told = Told()

    init() throws { folder = try TemporaryFolder() }

    final class Told: Sendable {
        private let words = Mutex<[String]>([])
        var all: [String] { words.withLock { $0 } }
        func add(_ notice: Spool.Notice) { words.withLock { $0.append("\(notice)") } }
    }

    func spool(_ limits: SpoolLimits = SpoolLimits()) throws -> Spool {
        try Spool(
            folder: folder("spool"), limits: limits, isEvent: { $0.first == UInt8(ascii: "l") }, notify: told.add)
    }

    func file(_ name: String) -> String { folder("spool/\(name)") }

    static func line(_ number: Int) -> String { "line \(number) \(String(repeating: "x", count: number % 100))\n" }

    @discardableResult
    static func append(_ lines: Range<Int>, to writer: SpoolWriter, together count: Int = 7) throws -> Int {
        var dropped = 0
        for start in stride(from: lines.lowerBound, to: lines.upperBound, by: count) {
            let text = (start..<min(start + count, lines.upperBound)).map(line).joined()
            dropped += try append(text, to: writer)
        }
        return dropped
    }

    static func append(_ text: String, to writer: SpoolWriter) throws -> Int {
        var bytes = Array(text.utf8)
        return try bytes.withUnsafeMutableBytes { bytes in
            let pieces = [iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)]
            return try pieces.withUnsafeBufferPointer { try writer.append($0) }
        }
    }

    /// Reads what is there, to the end or until nothing comes; damage as `<lower-upper>`.
    static func read(_ spool: Spool) throws -> String {
        let reader = SpoolReader(spool)
        var text = ""
        while true {
            switch try reader.next(atMost: .milliseconds(1)) {
            case .lines(let stretch):
                text += String(decoding: stretch.bytes, as: UTF8.self)
                reader.skip(stretch.bytes.count)
                reader.forget(keeping: 0)
            case .damage(let damage): text += "<\(damage.offsets.lowerBound)-\(damage.offsets.upperBound)>\n"
            case .nothing, .end: return text
            }
        }
    }

    static func text(_ lines: Range<Int>) -> String { lines.map(line).joined() }
}
