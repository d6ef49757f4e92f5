package import Envelope
package import Redis

/// What became of one event.
package enum Outcome: Sendable {
    /// Its results; there may be none.
    case done([Envelope])
    /// It waits for something, and meanwhile takes no place among those that are worked on. It is handled again when somebody wakes
    /// it (`Runtime.wake`), also when that was while it was still being handled, and at the latest after so long.
    case held(for: Duration)
}

/// What a stage knows of an event beside what is in it.
package struct WorkContext: Sendable {
    /// Publishes before the work is done: progress, for instance.
    package let publisher: Publisher
    /// Names the event to those who will wake it; the same each time that it is handled.
    package let waiter: Waiter
    /// How often it has been taken from its queue, this time included; having been held does not count. 1 for pipes.
    package let attempt: Int
    /// Whether a temporary failure now is the end of it. Never with a pipe, which ends the tool instead.
    package let isLastAttempt: Bool
}
