/// Who waits for something that another process does: an event in a queue, or in a process that reads a pipe.
///
/// The text is kept in Redis beside what is waited for; `Runtime.wake` reads it.
package struct Waiter: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package var description: String { rawValue }
}
