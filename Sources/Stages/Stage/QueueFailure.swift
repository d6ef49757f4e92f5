import JSON
import System

/// What a failure in the work on an event of a queue means for the event, and for the tool.
enum QueueFailure {
    /// It can never be worked on.
    case refuse(MalformedInput)
    /// It may go better later, or elsewhere; or it has had its chances.
    case fail(reason: String, retryAfter: Duration?, mayPass: Bool)
    /// The tool cannot go on, which is not the event's fault.
    case end(countsAttempt: Bool, reason: String)

    init(_ error: any Error) {
        switch error {
        case let fault as MalformedInput: self = .refuse(fault)
        case is CancellationError: self = .end(countsAttempt: false, reason: "cancelled")
        case let error as any ReportableError:
            switch error.exitStatus {
            case .configuration, .authenticationRefused: self = .end(countsAttempt: false, reason: error.message)
            case .localIO: self = .end(countsAttempt: true, reason: error.message)
            case .malformedInput, .usage, .no:
                self = .fail(reason: error.message, retryAfter: nil, mayPass: false)
            default: self = .fail(reason: error.message, retryAfter: error.retryAfter, mayPass: true)
            }
        default: self = .fail(reason: "unexpected failure: \(error)", retryAfter: nil, mayPass: true)
        }
    }
}
