import Crypto
import HTTP
import JSON
import Payloads

/// Names the files of a gallery, so that a file has one name wherever it stands in the gallery, and although its URL is signed anew each
/// time.
enum GalleryFileID {
    /// The key under which gallery-dl is told to write the URL of a file into its description.
    static let urlKey = "tgpipe_url"

    /// The keys of what extractors know of a single file and of no other: hashes of its content, and numbers of its own.
    private static let ownKeys = ["sha256", "sha1", "md5", "image_token", "media_id"]

    /// The parameters that say how long a URL holds and who has signed it, and nothing about the file.
    private static let signatures: Set<String> = [
        "expires", "expire", "expiry", "signature", "key-pair-id", "policy", "token", "sig", "hmac", "hdnts", "hdntl",
        "verify",
        "x-signature", "x-expires", "oh", "oe", "_nc_ht", "_nc_cat", "_nc_ohc", "_nc_oc", "_nc_gid", "_nc_sid", "edm",
        "ccb",
        "ig_cache_key", "efg", "ex", "is", "hm", "st", "validfrom", "validto", "keystamp", "awsaccesskeyid",
    ]

    /// Returns the name of a file: hex digits, as `MediaVariant.itemID` has them.
    ///
    /// - Parameters:
    ///   - url: the URL of the file.
    ///   - details: gallery-dl's description of the file.
    static func id(ofFile url: String, _ details: JSONObject) -> String {
        let own = ownKeys.lazy.compactMap { key -> String? in
            let value = details[key]?.string ?? details[key]?.int.map { "\($0)" }
            return value.flatMap { $0.isEmpty || $0 == "0" ? nil : "\(key) \($0)" }
        }.first
        return String(SHA256.hexDigest(Array((own ?? stable(url)).utf8)).prefix(MediaVariant.itemIDLength))
    }

    /// Returns the parts of a URL that stay the same: its domain, because many servers have the same files; its path; and its parameters
    /// but for those that sign it.
    private static func stable(_ text: String) -> String {
        guard let url = WebURL(text) else { return text }
        let domain = url.host.split(separator: ".").suffix(2).joined(separator: ".")
        let parameters = (url.query ?? "").split(separator: "&").filter { item in
            let name = item.prefix { $0 != "=" }.lowercased()
            return !signatures.contains(name) && !name.hasPrefix("x-amz-") && !name.hasPrefix("x-goog-")
        }
        return "url \(domain)\(url.path)?\(parameters.sorted().joined(separator: "&"))"
    }
}
