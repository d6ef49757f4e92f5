import Blob
import JSON
import Media
import Stage

/// What came of a fetch, as those are told who waited for it, on whatever machine.
enum FetchResult: Sendable {
    /// A file on the machine that is named.
    case fetched(FetchedMedia, host: String)
    /// The store had it by the time that it was to be fetched, under the address that this normalized link leads to.
    case stored(as: String)
    /// It is larger than what is fetched directly.
    case large(sizeBytes: Int64?)
    case failed(MediaError)
    /// The store cannot be used, so there is no use in fetching.
    case unstorable(BlobError)

    /// For how long those who come later are told of a file: until the store has it, as a rule.
    private static let keptFor = Duration.seconds(120)

    var product: SharedWork.Product {
        switch self {
        case .fetched(let media, let host):
            var payload = media.payload
            payload["canonical_url"] = media.canonicalURL.map { .string($0) }
            return SharedWork.Product(
                ["fetched": .object(payload), "host": .string(host)], keptFor: FetchResult.keptFor)
        case .stored(let url): return SharedWork.Product(["stored_as": .string(url)])
        case .large(let size): return SharedWork.Product(["large": true, "size_bytes": size.map { .integer($0) }])
        case .failed(let error): return SharedWork.Product(["failed": .object(error.json)])
        case .unstorable(let error): return SharedWork.Product(["unstorable": .object(error.json)])
        }
    }

    init?(_ json: JSONObject) {
        if let payload = json["fetched"]?.object, var media = FetchedMedia(payload: payload) {
            media.canonicalURL = payload["canonical_url"]?.string
            self = .fetched(media, host: json["host"]?.string ?? "")
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
            "code": .string(code.rawValue), "reason": .string(reason), "temporary": .bool(isTemporary),
            "retry_after_seconds": retryAfter.map { .integer($0.components.seconds) },
        ]
    }

    fileprivate init?(_ json: JSONObject) {
        guard let code = json["code"]?.string.flatMap(Code.init), let reason = json["reason"]?.string else {
            return nil
        }
        self.init(code, reason, isTemporary: json["temporary"]?.bool)
        retryAfter = json["retry_after_seconds"]?.int.map { .seconds($0) }
    }
}
