import Glibc
import Synchronization
import System

/// Two connected descriptors that no child inherits; closed with the object.
final class Pipe: Sendable {
    let readEnd: Int32
    let writeEnd: Int32
    private let isWriteEndOpen = Mutex(true)

    init() throws(MediaError) {
        guard let ends = PipeCalls.open() else { throw .local("make a pipe", errno) }
        readEnd = ends.reading
        writeEnd = ends.writing
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
