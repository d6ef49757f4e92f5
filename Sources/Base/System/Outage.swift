/// Names a service that all events of a stage depend on.
package enum SharedService: String, Sendable, CaseIterable {
    case telegram = "Telegram"
    case store = "the store"
    case network = "the network"
    case redis = "Redis"
}

/// Describes the suspicion that a service is away for all events, and not only for the one that failed.
package struct SuspectedOutage: Sendable, Equatable {
    package let service: SharedService
    /// Is true if the failure cannot have been caused by the event: nothing of it reached the service.
    package let isCertain: Bool

    package init(_ service: SharedService, isCertain: Bool = false) {
        (self.service, self.isCertain) = (service, isCertain)
    }
}

/// An error that may be the sign of an outage.
package protocol OutageSign: Error {
    /// The service that may be away; nil if the failure concerns only the event.
    var suspectedOutage: SuspectedOutage? { get }
    /// One line for the log, without secrets.
    var outageReason: String { get }
}

/// Reports that the work on an event was put off because a service is away for all events.
package struct ServiceAway: ReportableError {
    package let service: SharedService

    package init(_ service: SharedService) { self.service = service }

    package var exitStatus: ExitStatus { .unavailable }
    package var message: String { "\(service.rawValue) is away" }
}
