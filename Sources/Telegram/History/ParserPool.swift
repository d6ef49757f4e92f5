import JSON
import Synchronization
import Updates

/// Lends parsers, whose memory is reused, to the tasks that read answers.
final class ParserPool: Sendable {
    /// A parser that one task uses at a time.
    final class Box: @unchecked Sendable {
        private let parser = JSONParser()
        let memory = PageMemory()

        fileprivate init() {}

        /// Returns the value of a document, which is valid until the next call.
        func view(of text: [UInt8]) throws(MalformedInput) -> JSONView {
            let result = text.withUnsafeBytes { bytes in
                Result { () throws(MalformedInput) in try parser.view(bytes) }
            }
            return try result.get()
        }
    }

    private let free = Mutex<[Box]>([])

    func take() -> Box { free.withLock { $0.popLast() } ?? Box() }

    func give(_ box: Box) { free.withLock { $0.append(box) } }
}
