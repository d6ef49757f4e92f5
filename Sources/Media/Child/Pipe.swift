import CLinux
import Glibc
import Synchronization

/// Two connected descriptors that no child inherits; closed with the object.
final class Pipe: Sendable {
    let readEnd: Int32
    let writeEnd: Int32
    private let isWriteEndOpen = Mutex(true)

    init() throws(MediaError) {
        var ends: [Int32] = [-1, -1]
        guard tgp_pipe(&ends) == 0 else { throw .local("make a pipe", errno) }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        closeWriteEnd()
        close(readEnd)
    }

    func closeWriteEnd() {
        isWriteEndOpen.withLock { isOpen in
            if isOpen { close(writeEnd) }
            isOpen = false
        }
    }

    /// Makes the reading end readable.
    func signal() {
        isWriteEndOpen.withLock { isOpen in
            var note: UInt8 = 1
            if isOpen { _ = write(writeEnd, &note, 1) }
        }
    }
}
