import Glibc
import HTTP
package import System

/// Describes why media could not be fetched.
package struct MediaError: Error, Sendable, CustomStringConvertible {
    /// Names the reason, for scripts.
    package enum Code: String, Sendable, CaseIterable {
        case invalidURL = "invalid_url"
        case refusedAddress = "refused_address"
        case unreachable
        case timedOut = "timed_out"
        /// The transfer ended early on every attempt.
        case truncated
        case notFound = "not_found"
        case forbidden
        case loginRequired = "login_required"
        case isPrivate = "private"
        case ageRestricted = "age_restricted"
        /// The page is one of the account that the bot is signed in with, and only for those who may use it.
        case accountPage = "account_page"
        /// The site rates the media for older viewers than the operator allows.
        case overAgeLimit = "over_age_limit"
        case geoBlocked = "geo_blocked"
        case paid
        case drm
        case live
        case playlist
        case unsupported
        case rateLimited = "rate_limited"
        /// The site failed (5xx).
        case serverError = "server_error"
        case tooLarge = "too_large"
        /// The media play longer than the operator allows.
        case tooLong = "too_long"
        case noMedia = "no_media"
        case noAudio = "no_audio"
        /// There are no pictures, or what is there is none.
        case noPictures = "no_pictures"
        /// The media have no subtitles in the language that was asked for.
        case noSubtitles = "no_subtitles"
        /// The media end before the part that was asked for.
        case noSuchPart = "no_such_part"
        case noSpace = "no_space"
        case localIO = "local_io"
        case conversionFailed = "conversion_failed"
        /// yt-dlp or ffmpeg is not installed.
        case missingProgram = "missing_program"
        /// yt-dlp failed in a way that this library does not recognise.
        case extractorFailed = "extractor_failed"
        case cancelled
        /// The attempts are used up.
        case gaveUp = "gave_up"
    }

    package let code: Code
    /// One line for the person who asked, without paths, tokens and control characters.
    package let reason: String
    /// Is true if a later attempt may succeed.
    package let isTransient: Bool
    /// The pause that the site asked for.
    package var retryAfter: Duration?
    /// The size of a file over the limit, if it is known.
    package var sizeBytes: Int64?
    /// The service whose outage may be the reason, if the failure is not the source's own.
    package var suspectedOutage: SuspectedOutage?
    /// The name of the site that wants a login although it got its cookies.
    package var refusedCookiesOf: String?

    package init(_ code: Code, _ reason: String, isTransient: Bool? = nil) {
        self.code = code
        self.reason = reason
        self.isTransient = isTransient ?? code.isUsuallyTransient
    }

    package var description: String { reason }
}

extension MediaError: OutageSign {
    package var outageReason: String { reason }
}

extension MediaError.Code {
    var isUsuallyTransient: Bool {
        switch self {
        case .unreachable, .timedOut, .truncated, .rateLimited, .serverError, .noSpace, .live, .cancelled: true
        default: false
        }
    }
}

extension MediaError {
    /// Explains a failed request.
    init(_ error: HTTPError) {
        switch error.code {
        case .invalidURL: self.init(.invalidURL, "That is not a web link.")
        case .refusedAddress: self.init(.refusedAddress, "That link leads to an address that is not public.")
        case .unreachable:
            self.init(.unreachable, "The site cannot be reached: \(error.message).")
            if error.mayConcernAllHosts { suspectedOutage = SuspectedOutage(.network) }
        case .timedOut: self.init(.timedOut, "The site took too long: \(error.message).")
        case .tls:
            self.init(.unreachable, "The connection to the site is not secure: \(error.message).", isTransient: false)
        case .truncated: self.init(.truncated, "The download broke off: \(error.message).")
        case .tooLarge: self.init(.tooLarge, "That is too large.")
        case .redirectLoop: self.init(.unsupported, "That link redirects in a loop.")
        case .badEncoding: self.init(.unsupported, "The site sent the file in an encoding that I cannot read.")
        case .protocolError: self.init(.unsupported, "The site sent an invalid answer.")
        case .localIO: self.init(.localIO, "Something failed on my side: \(error.message).")
        case .cancelled: self = .cancelled
        case .sink: self.init(.localIO, "Something failed on my side.")
        }
    }

    package static let cancelled = MediaError(.cancelled, "It was cancelled.")

    /// Explains a failed system call.
    ///
    /// - Parameter action: a verb phrase, as in "unable to write a file".
    static func local(_ action: String, _ number: Int32) -> MediaError {
        switch number {
        case ENOSPC, EDQUOT: MediaError(.noSpace, "There is no space left on my disk.")
        case EFBIG: MediaError(.tooLarge, "That is too large.")
        default: MediaError(.localIO, "Something failed on my side: unable to \(action): \(SystemError(number)).")
        }
    }

    package static let accountPage = MediaError(
        .accountPage,
        "That page shows what belongs to the account that I am signed in with; only an admin can fetch it.")

    /// Ends a request that the person has cancelled.
    package static let cancelledByUser = MediaError(.cancelled, "It was cancelled.", isTransient: false)

    /// Explains an answer that refuses the request.
    init(refusal head: HTTPHead) {
        self = MediaError(status: head.status) ?? MediaError(.unsupported, "The site sent an empty answer.")
        if isTransient { retryAfter = head.retryAfter }
    }

    /// Explains an HTTP status; nil for success.
    private init?(status: Int) {
        switch status {
        case 200..<300: return nil
        case 401, 407: self.init(.loginRequired, "The site requires a login.")
        case 403: self.init(.forbidden, "The site refuses access to that (403).")
        case 404, 410: self.init(.notFound, "There is nothing at that link (\(status)).")
        case 429: self.init(.rateLimited, "The site has had too many requests; try again later.")
        case 451: self.init(.geoBlocked, "The site does not show that here for legal reasons (451).")
        case 500...: self.init(.serverError, "The site has a problem (\(status)); try again later.")
        default: self.init(.unsupported, "The site answered with status \(status).")
        }
    }
}
