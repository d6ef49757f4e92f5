import System
import Crypto
import Glibc

/// Writes a file from start to end, and at the same time hashes it on another thread.
///
/// It writes large pieces, which cost the kernel half as much as small ones. (Flushing each piece to the disk at once
/// would be slower in all, because it holds up the writing.)
///
/// `@unchecked Sendable`: used by one thread or task at a time; `hash` belongs to the thread.
final class HashingWriter: @unchecked Sendable {
    private struct Chunks {
        var free: [Chunk] = []
        var isMissing = HashingWriter.chunkCount
    }

    private static let chunkCount = 8

    private let descriptor: Int32
    private let thread = BlockingThread()
    private let chunks = Monitor(Chunks())
    private let hash = FileHash()
    private var filling: Chunk?
    /// The bytes in the file. Bytes appended after them are still in memory.
    private(set) var writtenBytes: Int64 = 0

    /// Writes to an open file.
    ///
    /// - Parameter descriptor: the file's. It is duplicated, so the caller may close its own at any time.
    init(_ descriptor: Int32) {
        self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    }

    deinit { close(descriptor) }

    /// Appends bytes; blocks while they are written.
    ///
    /// - Throws: `localIO`, `noSpace`.
    func append(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        var rest = bytes
        while !rest.isEmpty {
            let chunk = filling ?? freeChunk()
            rest = chunk.fill(from: rest)
            filling = chunk
            if chunk.isFull { try flush() }
        }
    }

    /// Hashes the first bytes of the file, written by an earlier attempt, and appends after them.
    func adopt(_ size: Int64) {
        writtenBytes = size
        thread.enqueue { [descriptor, hash] in hash.read(descriptor, size) }
    }

    /// Empties the file and starts over.
    func restart() throws(MediaError) {
        filling?.empty()
        writtenBytes = 0
        thread.enqueue { [hash] in hash.restart() }
        guard ftruncate(descriptor, 0) == 0 else { throw .local("empty a file", errno) }
    }

    /// Writes the bytes that are still in memory.
    func flush() throws(MediaError) {
        guard let chunk = filling else { return }
        filling = nil
        let failure = write(chunk.bytes)
        thread.enqueue { [chunks, hash] in
            hash.update(chunk.bytes)
            chunk.empty()
            chunks.update { $0.free.append(chunk) }
        }
        if failure != 0 { throw .local("write the download", failure) }
    }

    /// Waits until everything is written.
    ///
    /// - Parameter isDurable: whether to wait until the file survives a loss of power.
    /// - Returns: the file's SHA-256 in hex.
    func finish(isDurable: Bool) async throws(MediaError) -> String {
        try flush()
        let (failure, digest) = await thread.run { [descriptor, hash] in
            (hash.failure != 0 ? hash.failure : !isDurable || fsync(descriptor) == 0 ? 0 : errno, hash.digest())
        }
        guard failure == 0 else { throw .local("write the download", failure) }
        return digest
    }

    /// Returns the SHA-256, in hex, of a finished file.
    ///
    /// - Parameter isDurable: whether the file is brought to the disk, too.
    static func hash(_ path: String, isDurable: Bool = false) async throws(MediaError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw .local("read the file", errno) }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw .local("read the file", errno) }
        let reader = HashingWriter(descriptor)
        reader.adopt(Int64(info.st_size))
        return try await reader.finish(isDurable: isDurable)
    }

    /// Returns 0, or the error's number.
    private func write(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        var done = 0
        while done < bytes.count {
            let base = bytes.baseAddress.map { $0 + done }
            let count = pwrite(descriptor, base, bytes.count - done, off_t(writtenBytes))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return errno == 0 ? EIO : errno }
            done += count
            writtenBytes += Int64(count)
        }
        return 0
    }

    private func freeChunk() -> Chunk {
        let chunk = chunks.wait { chunks in
            if let chunk = chunks.free.popLast() { return chunk }
            guard chunks.isMissing > 0 else { return nil }
            chunks.isMissing -= 1
            return Chunk()
        }
        // A wait without a time limit always returns a chunk.
        return chunk ?? Chunk()
    }
}

/// Holds a piece of a file between the two threads. `@unchecked Sendable`: one thread at a time has it.
private final class Chunk: @unchecked Sendable {
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    private var count = 0

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }
    var isFull: Bool { count == memory.count }

    func empty() { count = 0 }

    /// Copies the bytes that fit, and returns the others.
    func fill(from bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let part = min(bytes.count, memory.count - count)
        memory.baseAddress.map { base in
            bytes.baseAddress.map { (base + count).copyMemory(from: $0, byteCount: part) }
        }
        count += part
        return UnsafeRawBufferPointer(rebasing: bytes[part...])
    }
}

/// Holds the hash of the bytes so far. `@unchecked Sendable`: used by one thread at a time.
private final class FileHash: @unchecked Sendable {
    private var hash = SHA256()
    /// The error's number when reading the file failed, otherwise 0.
    private(set) var failure: Int32 = 0

    func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

    func digest() -> String { hash.finish() }

    func restart() {
        hash = SHA256()
        failure = 0
    }

    /// Hashes the first bytes of a file.
    func read(_ descriptor: Int32, _ size: Int64) {
        withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            var position: Int64 = 0
            while position < size {
                let wanted = Int(min(Int64(buffer.count), size - position))
                let count = pread(descriptor, buffer.baseAddress, wanted, off_t(position))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    failure = count == 0 ? EIO : errno
                    return
                }
                hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                position += Int64(count)
            }
        }
    }
}
