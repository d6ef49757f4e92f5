import Glibc

/// Writes all bytes, in as many system calls as the kernel needs. Blocks.
///
/// - Returns: 0, or the error's number.
package func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
    var done = 0
    while done < bytes.count {
        let count = write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return errno == 0 ? EIO : errno }
        done += count
    }
    return 0
}
