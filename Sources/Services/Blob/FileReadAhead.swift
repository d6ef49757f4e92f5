import System
import Glibc

/// Reads a range of a file ahead of its user, on a thread of its own: copying bytes out of the kernel takes a quarter of
/// the time that hashing them does.
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

    /// - Parameter descriptor: stays open until this object is gone and the last read has returned; duplicated for that.
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

    /// The next piece, good until the next call; empty at the end of the file. Called only for bytes that were asked for.
    ///
    /// - Throws: the error's number.
    func next() throws(SystemFailure) -> UnsafeRawBufferPointer {
        if let last = current { buffers.update { $0.free.append(last) } }
        current = buffers.wait { $0.filled.isEmpty ? nil : $0.filled.removeFirst() }
        guard let current else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        guard current.failure == 0 else { throw SystemFailure(number: current.failure) }
        return current.bytes
    }
}

struct SystemFailure: Error {
    let number: Int32
}

/// `@unchecked Sendable`: handed from one thread to the other.
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
