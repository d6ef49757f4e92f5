import Blocking
import Glibc

/// Writes a file from its start to its end and hashes it, on a thread of its own, so that neither holds up the network.
///
/// The file is written in large pieces, which the kernel is told to bring to the disk at once, so that the final `fsync`
/// has little left to wait for. What is called here is done in that order.
///
/// `@unchecked Sendable`: used by one thread or task at a time; `writer` belongs to the thread.
final class HashingWriter: @unchecked Sendable {
    private struct Chunks {
        var free: [Chunk] = []
        var isMissing = HashingWriter.chunkCount
        var failure: Int32 = 0
    }

    private static let chunkCount = 8

    private let thread = BlockingThread()
    private let chunks = Monitor(Chunks())
    private let writer: SequentialWriter
    private var filling: Chunk?

    /// - Parameter descriptor: of the file; duplicated, so the caller may close its own at any time.
    init(_ descriptor: Int32) {
        writer = SequentialWriter(fcntl(descriptor, F_DUPFD_CLOEXEC, 3))
    }

    /// Takes bytes; blocks while the disk is far behind.
    ///
    /// - Throws: what went wrong with these or former bytes.
    func append(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        var rest = bytes
        while !rest.isEmpty {
            let chunk = if let filling { filling } else { try freeChunk() }
            rest = chunk.fill(from: rest)
            filling = chunk
            if chunk.isFull { handOver() }
        }
    }

    /// Takes the first bytes that are in the file already as its beginning.
    func adopt(_ size: Int64) {
        work { [writer] in writer.adopt(size) }
    }

    /// Empties the file and starts over.
    func restart() {
        filling?.empty()
        thread.enqueue { [writer, chunks] in
            let failure = writer.restart()
            chunks.update { $0.failure = failure }
        }
    }

    /// Waits until all that was taken is in the file.
    func drain() async throws(MediaError) {
        handOver()
        let failure = await thread.run { [chunks] in chunks.read { $0.failure } }
        try check(failure)
    }

    /// Waits until the file is durable, and returns its SHA-256 in hex.
    func finish() async throws(MediaError) -> String {
        try await drain()
        let (failure, hash) = await thread.run { [writer] in (writer.sync(), writer.digest()) }
        try check(failure)
        return hash
    }

    private func handOver() {
        guard let chunk = filling else { return }
        filling = nil
        work { [writer] in writer.append(chunk.bytes) }
        thread.enqueue { [chunks] in
            chunk.empty()
            chunks.update { $0.free.append(chunk) }
        }
    }

    /// Does a piece of work on the thread; after one that failed, none is done until a restart.
    private func work(_ piece: @escaping @Sendable () -> Int32) {
        thread.enqueue { [chunks] in
            guard chunks.read({ $0.failure }) == 0 else { return }
            let failure = piece()
            if failure != 0 { chunks.update { $0.failure = failure } }
        }
    }

    private func freeChunk() throws(MediaError) -> Chunk {
        let (failure, chunk) =
            chunks.wait { chunks -> (Int32, Chunk?)? in
                if chunks.failure != 0 { return (chunks.failure, nil) }
                if let chunk = chunks.free.popLast() { return (0, chunk) }
                guard chunks.isMissing > 0 else { return nil }
                chunks.isMissing -= 1
                return (0, Chunk())
            } ?? (EIO, nil)
        try check(failure)
        guard let chunk else { throw .local("write the download", EIO) }
        return chunk
    }

    private func check(_ failure: Int32) throws(MediaError) {
        if failure != 0 { throw .local("write the download", failure) }
    }
}

/// A piece of a file on its way. `@unchecked Sendable`: handed from one thread to the other.
private final class Chunk: @unchecked Sendable {
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    private var count = 0

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }
    var isFull: Bool { count == memory.count }

    func empty() { count = 0 }

    /// Copies what fits; returns the rest.
    func fill(from bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let part = min(bytes.count, memory.count - count)
        memory.baseAddress.map { base in
            bytes.baseAddress.map { (base + count).copyMemory(from: $0, byteCount: part) }
        }
        count += part
        return UnsafeRawBufferPointer(rebasing: bytes[part...])
    }
}
