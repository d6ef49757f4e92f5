import ArgumentParser
package import Redis

extension RateLimit.Algorithm: ExpressibleByArgument {}
extension RateMode: ExpressibleByArgument {}

/// What becomes of an event over the limit.
package enum LimitAction: String, ExpressibleByArgument, CaseIterable, Sendable {
    case mark, drop, reply
}

/// What an event is while Redis cannot be asked.
package enum FailureMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    case open, closed
}
