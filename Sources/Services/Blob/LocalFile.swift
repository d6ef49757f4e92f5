import Crypto
import System
import Glibc
import Synchronization

/// A regular file that is open for reading. Its bytes stay available when its name is moved or removed.
package final class LocalFile: Sendable {
    package let path: String
    package let sizeBytes: Int64
    /// The file's descriptor. It closes with this object.
    package let descriptor: Int32
    /// Is true if the file will never be written to again, so that a store on the same disk may link to it instead of
    /// copying.
    package let isFinal: Bool
    private let hashed = Mutex<(sha256: String, state: State)?>(nil)

    /// Describes the file, to notice when it was written to.
    private struct State: Equatable {
        var sizeBytes: Int
        var modifiedNanoseconds: Int64
    }

    /// Opens a file.
    ///
    /// - Throws: `.localIO` when it does not exist, or is not a regular file.
    package init(path: String, isFinal: Bool = false) throws(BlobError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw BlobError.system("unable to read \(path)") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw BlobError(.localIO, "unable to read \(path): not a regular file")
        }
        self.path = path
        self.isFinal = isFinal
        self.descriptor = descriptor
        sizeBytes = Int64(status.st_size)
    }

    deinit { close(descriptor) }

    /// Hands out the bytes of a range, piece by piece.
    ///
    /// - Throws: `.localIO`, also when the file has become shorter; `.cancelled`.
    func read(
        from offset: Int64, count: Int64, cancellation: Cancellation,
        _ body: (UnsafeRawBufferPointer) throws(BlobError) -> Void
    ) throws(BlobError) {
        let reader = FileReadAhead(descriptor, from: offset, count: count)
        var left = count
        while left > 0 {
            try cancellation.check()
            let bytes: UnsafeRawBufferPointer
            do { bytes = try reader.next() } catch { throw BlobError.system("unable to read \(path)", error.number) }
            guard !bytes.isEmpty else { throw BlobError(.localIO, "\(path) became shorter while it was read") }
            try body(bytes)
            left -= Int64(bytes.count)
        }
    }

    /// Returns the SHA-256 of the whole file, in hex. Blocks.
    func sha256(_ cancellation: Cancellation) throws(BlobError) -> String {
        var hash = SHA256()
        let before = state
        try read(from: 0, count: sizeBytes, cancellation: cancellation) { hash.update($0) }
        let sha256 = hash.finish()
        hashed.withLock { $0 = before.map { (sha256, $0) } }
        return sha256
    }

    /// Returns whether the file had this SHA-256 when it was last hashed, and has not been written to since.
    func isKnown(toHave sha256: String) -> Bool {
        guard let state else { return false }
        return hashed.withLock { $0.map { $0.sha256 == sha256 && $0.state == state } ?? false }
    }

    private var state: State? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        return State(
            sizeBytes: Int(status.st_size), modifiedNanoseconds: status.modifiedNanoseconds)
    }

    /// Returns the SHA-256 of the whole file, in hex.
    package func sha256() async throws(BlobError) -> String {
        try await onOwnThread { (cancellation) throws(BlobError) in try self.sha256(cancellation) }
    }
}

extension BlobError {
    /// Makes an error of a system call's error number.
    ///
    /// - Parameter what: the failed action, such as "unable to read /x".
    static func system(_ what: String, _ number: Int32 = errno) -> BlobError {
        let reason = number == ENOSPC || number == EDQUOT ? "the disk is full" : String(cString: strerror(number))
        return BlobError(.localIO, "\(what): \(reason)", isTransient: number == ENOSPC || number == EDQUOT)
    }
}

/// Reads a range of a file ahead of its user, on a thread of its own. Copying bytes out of the kernel takes a quarter
/// of the time of hashing them.
///
/// Used by one thread.
final class FileReadAhead {
    private struct Buffers {
        var free: [PieceBuffer]
        var filled: [PieceBuffer] = []
        var isOver = false
    }

    private static let pieceBytes = 512 << 10
    private static let bufferCount = 3

    private let buffers = Monitor(Buffers(free: (0..<bufferCount).map { _ in PieceBuffer(pieceBytes) }))
    private var current: PieceBuffer?

    /// Starts reading.
    ///
    /// - Parameter descriptor: the file's. It is duplicated, so the caller may close its own at any time.
    init(_ descriptor: Int32, from offset: Int64, count: Int64) {
        let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        BlockingThread.start { [buffers] in
            defer { close(own) }
            var position = offset
            while position < offset + count {
                let buffer = buffers.wait { buffers -> PieceBuffer?? in
                    buffers.isOver ? .some(nil) : buffers.free.popLast().map { .some($0) }
                }
                guard case .some(.some(let buffer)) = buffer else { return }
                buffer.fill(own, at: position, atMost: offset + count - position)
                position += Int64(buffer.count)
                let isLast = buffer.count == 0
                buffers.update { $0.filled.append(buffer) }
                if isLast { return }
            }
        }
    }

    deinit { buffers.update { $0.isOver = true } }

    /// Returns the next piece, valid until the next call; empty at the end of the file. Call it only for bytes of the
    /// range.
    ///
    /// - Throws: the error's number.
    func next() throws(SystemError) -> UnsafeRawBufferPointer {
        if let last = current { buffers.update { $0.free.append(last) } }
        current = buffers.wait { $0.filled.isEmpty ? nil : $0.filled.removeFirst() }
        guard let current else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        guard current.failure == 0 else { throw SystemError(current.failure) }
        return current.bytes
    }
}

/// Holds one piece. `@unchecked Sendable`: one thread at a time has it.
private final class PieceBuffer: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0
    private(set) var failure: Int32 = 0

    init(_ byteCount: Int) { memory = .allocate(byteCount: byteCount, alignment: 64) }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }

    func fill(_ descriptor: Int32, at position: Int64, atMost limit: Int64) {
        let wanted = Int(min(Int64(memory.count), limit))
        var got = -1
        repeat { got = pread(descriptor, memory.baseAddress, wanted, off_t(position)) } while got < 0 && errno == EINTR
        failure = got < 0 ? errno : 0
        count = max(0, got)
    }
}

/// Tells blocking code, which runs outside a task, that its task was cancelled.
final class Cancellation: Sendable {
    private let isSet = Atomic<Bool>(false)

    func set() { isSet.store(true, ordering: .relaxed) }

    func check() throws(BlobError) {
        guard !isSet.load(ordering: .relaxed) else { throw BlobError(.cancelled, "cancelled") }
    }
}

/// Runs blocking code on a thread of its own. Cancelling the task sets the code's `Cancellation` and waits for the
/// code to end.
func onOwnThread<Value: Sendable>(
    _ body: @escaping @Sendable (Cancellation) throws(BlobError) -> Value
) async throws(BlobError) -> Value {
    let cancellation = Cancellation()
    let result: Result<Value, BlobError> = await withTaskCancellationHandler {
        await BlockingThread.once { Result { () throws(BlobError) in try body(cancellation) } }
    } onCancel: {
        cancellation.set()
    }
    return try result.get()
}
