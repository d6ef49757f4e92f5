/// Who waits for something that another process does: an event in a queue, or in a process that reads a pipe.
///
/// The text is kept in Redis beside what is waited for; `Runtime.wake` reads it.
public struct Waiter: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }
}
