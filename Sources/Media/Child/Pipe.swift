import CChild
import Glibc
import Synchronization

/// Two connected descriptors that no child inherits; closed with the object.
final class Pipe: Sendable {
    let readEnd: Int32
    let writeEnd: Int32
    private let isWriteEndOpen = Mutex(true)

    init() throws(MediaError) {
        var ends: [Int32] = [-1, -1]
        let failure = tgp_child_pipe(&ends)
        guard failure == 0 else { throw .local("make a pipe", -failure) }
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
