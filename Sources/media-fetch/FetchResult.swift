import Blob
import JSON
import Media
import Payloads
import Stage
import System

/// Holds the outcome of a fetch, as Redis passes it to every request that waited for it, on any machine.
enum FetchResult: Sendable {
    /// The media are in a file on the machine that `host` names.
    case fetched(MediaFetched)
    /// The media are in the store, where the fetch has put them. There is no URL yet.
    case put(DownloadReady)
    /// The store had the media before the fetch began, under the address of this normalized URL.
    case stored(as: String)
    /// The media exceed the limit for direct downloads.
    case large(sizeBytes: Int64?)
    case failed(MediaError)
    /// The store cannot be used, so that a fetched file could not be stored.
    case unstorable(BlobError)

    /// The time for which later requests get a fetched file from Redis. By then the store usually has the file.
    private static let keptFor = Duration.seconds(120)

    /// The size of the file that was fetched; nil without one.
    var fetchedBytes: Int64? {
        switch self {
        case .fetched(let media): media.metadata.content.sizeBytes
        case .put(let ready): ready.metadata.content.sizeBytes
        default: nil
        }
    }

    /// The work's product for all requests that waited for it.
    var product: SharedWork.Product {
        if case .fetched = self { return SharedWork.Product(json, keptFor: FetchResult.keptFor) }
        return SharedWork.Product(json)
    }

    /// The result in the form that Redis keeps: one member that names the case, and the values beside it.
    var json: JSONObject {
        switch self {
        case .fetched(var media):
            let host = media.host
            media.host = nil
            return ["fetched": .object(media.json), "host": host.map { .string($0) }]
        case .put(let ready): return ["put": .object(ready.json), "type": .string(ready.type)]
        case .stored(let url): return ["stored_as": .string(url)]
        case .large(let size): return ["large": true, "size_bytes": size.map { .integer($0) }]
        case .failed(let error): return ["failed": .object(error.json)]
        case .unstorable(let error): return ["unstorable": .object(error.json)]
        }
    }

    /// Reads a result from Redis; returns nil if it is incomplete or unknown.
    init?(_ json: JSONObject) {
        if var payload = json["fetched"]?.object {
            // Earlier versions wrote this key, which no event has.
            payload["canonical_url"] = nil
            guard var media = try? MediaFetched(payload), media.metadata.isComplete else { return nil }
            media.host = json["host"]?.string
            self = .fetched(media)
        } else if let payload = json["put"]?.object, let type = json["type"]?.string {
            guard let ready = try? DownloadReady(payload, type: type), ready.metadata.isComplete else { return nil }
            self = .put(ready)
        } else if let url = json["stored_as"]?.string {
            self = .stored(as: url)
        } else if let failure = json["unstorable"]?.object {
            self = .unstorable(BlobError(failure))
        } else if json["large"] == true {
            self = .large(sizeBytes: json["size_bytes"]?.int)
        } else if let failure = json["failed"]?.object, let error = MediaError(failure) {
            self = .failed(error)
        } else {
            return nil
        }
    }
}

extension MediaError {
    fileprivate var json: JSONObject {
        [
            "code": .string(code.rawValue), "reason": .string(reason), "temporary": .bool(isTransient),
            "retry_after_seconds": retryAfter.map { .integer($0.components.seconds) },
            "outage": suspectedOutage.map { .string($0.service.rawValue) },
            "refused_cookies": refusedCookiesOf.map { .string($0) },
        ]
    }

    fileprivate init?(_ json: JSONObject) {
        guard let code = json["code"]?.string.flatMap(Code.init), let reason = json["reason"]?.string else {
            return nil
        }
        self.init(code, reason, isTransient: json["temporary"]?.bool)
        retryAfter = json["retry_after_seconds"]?.int.map { .requestedPause(seconds: $0) }
        let service = json["outage"]?.string.flatMap { SharedService(rawValue: $0) }
        suspectedOutage = service.map { SuspectedOutage($0) }
        refusedCookiesOf = json["refused_cookies"]?.string
    }
}
