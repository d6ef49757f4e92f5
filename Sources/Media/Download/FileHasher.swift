import Blocking
import CLinux
import Glibc
import Synchronization

/// Hashes a file while it is written, on a thread of its own that follows the writer through the page cache.
///
/// It also starts writing the file's pages to the disk as it goes, so that the final `fsync` has little left to wait for.
final class FileHasher: Sendable {
    private struct State {
        /// How much of the file may be read.
        var size: Int64 = 0
        var isScheduled = false
        /// Counts restarts, so that a step knows that what it read is void.
        var generation = 0
    }

    private let descriptor: Int32
    private let thread = BlockingThread()
    private let state = Mutex(State())
    private let progress = HashProgress()

    /// - Parameter descriptor: of the file, readable; duplicated, so the caller may close its own at any time.
    init(_ descriptor: Int32) {
        self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    }

    deinit { close(descriptor) }

    /// Says that the file's first `size` bytes are written.
    func advance(to size: Int64) {
        let mustSchedule = state.withLock { state in
            state.size = size
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { thread.enqueue { [self] in step() } }
    }

    /// Says that the file was emptied.
    func restart() {
        state.withLock { state in
            state.size = 0
            state.generation += 1
        }
    }

    /// Hashes what is left, makes the file durable, and returns the SHA-256 in hex.
    func finish() async throws(MediaError) -> String {
        let result = await thread.run { [self] () -> Result<String, MediaError> in
            step()
            if let failure = progress.failure { return .failure(.local("read the download", failure)) }
            guard fsync(descriptor) == 0 else { return .failure(.local("write the download", errno)) }
            return .success(progress.hash.hex())
        }
        return try result.get()
    }

    /// Hashes up to the size that is known; on the thread.
    private func step() {
        withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            while let size = target(), progress.failure == nil {
                let count = min(buffer.count, Int(size - progress.position))
                let got = pread(descriptor, buffer.baseAddress, count, off_t(progress.position))
                if got > 0 {
                    progress.take(UnsafeRawBufferPointer(rebasing: buffer[..<got]), descriptor)
                } else if got == 0 || errno != EINTR {
                    // A file that was emptied meanwhile is no failure: a restart follows.
                    if isCurrent { progress.failure = got == 0 ? EIO : errno }
                }
            }
        }
    }

    private var isCurrent: Bool {
        state.withLock { $0.generation == progress.generation && $0.size > progress.position }
    }

    /// The size to hash up to, or nil when there is nothing left to do.
    private func target() -> Int64? {
        state.withLock { state in
            if state.generation != progress.generation { progress.restart(state.generation) }
            if progress.position < state.size, progress.failure == nil { return state.size }
            state.isScheduled = false
            return nil
        }
    }
}

/// Where the hashing is. `@unchecked Sendable`: used on the hasher's thread only.
private final class HashProgress: @unchecked Sendable {
    let hash = SHA256()
    var position: Int64 = 0
    var generation = 0
    var failure: Int32?
    private var flushed: Int64 = 0

    func restart(_ generation: Int) {
        self.generation = generation
        hash.reset()
        position = 0
        flushed = 0
        failure = nil
    }

    func take(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) {
        hash.update(bytes)
        position += Int64(bytes.count)
        if position - flushed >= 16 << 20 {
            tgp_start_writing(descriptor, flushed, position - flushed)
            flushed = position
        }
    }
}
