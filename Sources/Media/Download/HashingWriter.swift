import System
import Crypto
import Glibc

/// Writes a file from its start to its end, and hashes it on a thread of its own meanwhile.
///
/// It is written in large pieces, which cost the kernel half as much as small ones. (Asking it to bring them to the disk
/// at once makes the whole slower: that holds up the writing.)
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
    /// In the file already; what was taken after that is on its way.
    private(set) var writtenBytes: Int64 = 0

    /// - Parameter descriptor: of the file; duplicated, so the caller may close its own at any time.
    init(_ descriptor: Int32) {
        self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    }

    deinit { close(descriptor) }

    /// Takes bytes; blocks while they are written.
    func append(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        var rest = bytes
        while !rest.isEmpty {
            let chunk = filling ?? freeChunk()
            rest = chunk.fill(from: rest)
            filling = chunk
            if chunk.isFull { try flush() }
        }
    }

    /// Takes the first bytes that are in the file already as its beginning.
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

    /// Writes what was taken.
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

    /// Waits until all is written, and returns the file's SHA-256 in hex.
    ///
    /// - Parameter isDurable: whether to wait until it would outlast a loss of power, too.
    func finish(isDurable: Bool) async throws(MediaError) -> String {
        try flush()
        let (failure, digest) = await thread.run { [descriptor, hash] in
            (hash.failure != 0 ? hash.failure : !isDurable || fsync(descriptor) == 0 ? 0 : errno, hash.digest())
        }
        guard failure == 0 else { throw .local("write the download", failure) }
        return digest
    }

    /// The SHA-256, in hex, of a file that is there already.
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

    /// 0, or the error's number.
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
        // Without a time limit, a wait always has an answer.
        return chunk ?? Chunk()
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

/// The hash of a file so far. `@unchecked Sendable`: used by one thread at a time.
private final class FileHash: @unchecked Sendable {
    private var hash = SHA256()
    /// Of reading the file: the error's number, or 0.
    private(set) var failure: Int32 = 0

    func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

    func digest() -> String { hash.finish() }

    func restart() {
        hash = SHA256()
        failure = 0
    }

    /// Takes the first bytes of a file.
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
