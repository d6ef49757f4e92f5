import Glibc

/// A system call's failure.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The system's error number (`errno`).
    package let number: Int32

    package init(_ number: Int32) { self.number = number }

    /// The system's words for the error.
    package var description: String { String(cString: strerror(number)) }
}
