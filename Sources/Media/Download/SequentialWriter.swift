import CLinux
import Digest
import Glibc

/// A file that is written at its end, with the hash of all that is in it; errors are the system's numbers, 0 is none.
///
/// `@unchecked Sendable`: used by one thread at a time.
final class SequentialWriter: @unchecked Sendable {
    private var hash = SHA256()
    private let descriptor: Int32
    private var position: Int64 = 0
    private var flushed: Int64 = 0

    /// - Parameter descriptor: closed with the object.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    func append(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        var done = 0
        while done < bytes.count {
            let base = bytes.baseAddress.map { $0 + done }
            let count = pwrite(descriptor, base, bytes.count - done, off_t(position + Int64(done)))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return errno == 0 ? EIO : errno }
            done += count
        }
        take(bytes)
        return 0
    }

    /// Hashes what is in the file already.
    func adopt(_ size: Int64) -> Int32 {
        withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            while position < size {
                let wanted = Int(min(Int64(buffer.count), size - position))
                let count = pread(descriptor, buffer.baseAddress, wanted, off_t(position))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return count == 0 ? EIO : errno }
                take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
            return 0
        }
    }

    func restart() -> Int32 {
        hash = SHA256()
        position = 0
        flushed = 0
        return ftruncate(descriptor, 0) == 0 ? 0 : errno
    }

    /// The SHA-256 of all that is in the file, in hex.
    func digest() -> String { hash.finish() }

    /// Waits until the file is on the disk.
    func sync() -> Int32 {
        fsync(descriptor) == 0 ? 0 : errno
    }

    private func take(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bytes)
        position += Int64(bytes.count)
        if position - flushed >= 16 << 20 {
            _ = tgp_start_writing(descriptor, flushed, position - flushed)
            flushed = position
        }
    }
}
