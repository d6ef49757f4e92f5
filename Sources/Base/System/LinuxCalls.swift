package import CLinux
import Glibc

/// Wraps the Linux system calls that the Glibc module leaves out or that are variadic.
///
/// Descriptors that these calls return are closed on exec, and belong to the caller.
package enum Linux {
    /// Opens an event counter (`eventfd`).
    ///
    /// - Returns: the descriptor, or -1 with `errno`.
    package static func eventCounter() -> Int32 { tgp_eventfd() }

    /// Opens a Unix datagram socket.
    ///
    /// - Returns: the descriptor, or -1 with `errno`.
    static func datagramSocket() -> Int32 { tgp_datagram_socket() }

    /// Accepts the next connection of a listening socket without waiting.
    ///
    /// - Returns: a non-blocking socket, or -1 with `errno`.
    package static func accept(_ descriptor: Int32) -> Int32 { tgp_accept(descriptor) }

    /// Copies up to `count` bytes from `offset` of one file to the current position of another, within the kernel.
    ///
    /// - Returns: the number of bytes copied, or -1 with `errno`. `offset` advances by that number.
    package static func copyFileRange(_ source: Int32, _ offset: inout off_t, to target: Int32, count: Int) -> Int {
        tgp_copy_file_range(source, &offset, target, count)
    }

    /// Limits malloc to two arenas. By default each thread gets its own, and memory that one thread allocates and another frees adds
    /// up to several times the memory in use.
    package static func shareMemoryPools() { tgp_share_memory_pools() }

    /// Lets large pieces of memory go back to the system as soon as they are freed.
    package static func returnLargeMemory() { tgp_return_large_memory() }

    /// Gives the memory back to the system that was freed up to now, as far as it fills whole pages.
    package static func returnFreeMemory() { tgp_return_free_memory() }

    /// Writes bytes to a pipe or file without ever waiting.
    ///
    /// - Returns: the number of bytes written, or -1 with `errno`: `EAGAIN` if there is no room now, `EOPNOTSUPP` if the kernel does not
    ///   support such writes to this kind of file (pipes: before Linux 6.4).
    package static func writeWithoutWaiting(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        tgp_write_without_waiting(descriptor, bytes.baseAddress, bytes.count)
    }

    /// Starts a child's program with all descriptors from `first` closed, also those without close-on-exec.
    package static func closeDescriptors(from first: Int32, in actions: inout posix_spawn_file_actions_t) {
        _ = tgp_spawn_close_from(&actions, first)
    }

    /// The environment of this process, in the form that `posix_spawn` and `execve` take.
    package static var environment: UnsafePointer<UnsafeMutablePointer<CChar>?> { tgp_environment() }

    /// Returns the width of a terminal in columns; nil for other files and when the terminal does not tell.
    package static func terminalColumns(_ descriptor: Int32) -> Int? {
        let columns = tgp_terminal_columns(descriptor)
        return columns > 0 ? Int(columns) : nil
    }

    /// Sets how long a send to a socket may wait.
    package static func setSendTimeout(_ descriptor: Int32, seconds: Int) {
        _ = tgp_set_send_timeout(descriptor, Int64(seconds))
    }
}

/// Makes and measures pipes.
package enum PipeCalls {
    /// Opens a pipe.
    ///
    /// - Returns: its two ends, or nil with `errno`.
    package static func open() -> (reading: Int32, writing: Int32)? {
        var ends: [Int32] = [-1, -1]
        return tgp_pipe(&ends) == 0 ? (ends[0], ends[1]) : nil
    }

    /// Asks the kernel to make a pipe larger.
    ///
    /// - Returns: the pipe's size in bytes afterwards, or -1 with `errno`.
    @discardableResult
    package static func resize(_ descriptor: Int32, bytes: Int32) -> Int { Int(tgp_set_pipe_size(descriptor, bytes)) }

    /// Returns the number of bytes waiting in a pipe; 0 when the kernel does not tell.
    package static func unreadBytes(_ descriptor: Int32) -> Int { max(0, Int(tgp_pipe_bytes(descriptor))) }

    /// Returns the number of pages that a pipe can hold, at least 1.
    package static func pages(_ descriptor: Int32) -> Int { max(1, Int(tgp_pipe_pages(descriptor))) }

    /// Returns whether a path leads to a pipe without a name of its own (`/dev/stdout`, a shell's `>(command)`), unlike a FIFO.
    package static func isUnnamed(_ path: String) -> Bool { tgp_is_nameless_pipe(path) }
}

/// Reads the machine's clocks.
package enum SystemClocks {
    /// Nanoseconds since 1970, UTC. The clock can be set back.
    package static var realtimeNanoseconds: Int64 { tgp_clock_nanoseconds(CLOCK_REALTIME) }

    /// Nanoseconds since the machine started. The clock stops during suspend and is never set.
    package static var monotonicNanoseconds: Int64 { tgp_clock_nanoseconds(CLOCK_MONOTONIC) }

    /// Nanoseconds since the machine started, including suspend.
    package static var bootNanoseconds: Int64 { tgp_clock_nanoseconds(CLOCK_BOOTTIME) }

    /// Nanoseconds of processor time that this process has used.
    package static var processorNanoseconds: Int64 { tgp_clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) }

    /// Returns a moment in nanoseconds.
    static func nanoseconds(_ time: UnsafeRawPointer) -> Int64 {
        tgp_nanoseconds(time.assumingMemoryBound(to: timespec.self))
    }
}
