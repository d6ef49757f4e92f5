import System
import Glibc

/// The end of a process that does not end by itself.
enum BlockingExit {
    static func after(seconds: UInt32, status: Int32) {
        BlockingThread.start {
            sleep(seconds)
            _exit(status)
        }
    }
}
