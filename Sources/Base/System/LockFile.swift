import Glibc

/// Locks an open file against other processes until it is closed or this process ends. Blocks.
///
/// - Parameter mode: `LOCK_EX` or `LOCK_SH`.
/// - Returns: 0; `EWOULDBLOCK` if another process held the lock for all of the time; otherwise the error's number.
package func lockFile(_ descriptor: Int32, _ mode: Int32, within limit: Duration) -> Int32 {
    let end = ContinuousClock.now + limit
    while flock(descriptor, mode | LOCK_NB) != 0 {
        let reason = errno
        guard reason == EWOULDBLOCK || reason == EINTR else { return reason }
        guard ContinuousClock.now < end else { return EWOULDBLOCK }
        usleep(2000)
    }
    return 0
}
