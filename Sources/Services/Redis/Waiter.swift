/// Names an event that waits for work of another process: an event in a queue, or in a process that reads a pipe.
///
/// The name is stored in Redis beside the awaited work; `Runtime.wake` reads it.
package struct Waiter: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package var description: String { rawValue }
}
