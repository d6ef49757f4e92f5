/// The keys that requests are signed with.
struct S3Credentials: Sendable {
    var accessKey: String
    var secretKey: String
    var sessionToken: String?

    /// From a file when one is named, else from the environment; never half from each.
    init(file: String?, environment: Environment) throws(BlobError) {
        var values: [String: String] = [:]
        if let file {
            values = try S3Credentials.values(inFile: file, profile: environment("AWS_PROFILE") ?? "default")
        } else {
            for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
                values[name.lowercased()] = environment(name)
            }
        }
        guard let accessKey = values["aws_access_key_id"], let secretKey = values["aws_secret_access_key"],
            !accessKey.isEmpty, !secretKey.isEmpty
        else {
            let place = file.map { "in \($0)" } ?? "in the environment"
            throw BlobError(.configuration, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set \(place)")
        }
        guard (accessKey + secretKey).unicodeScalars.allSatisfy({ (0x21...0x7E).contains($0.value) }) else {
            throw BlobError(.configuration, "the S3 keys hold characters that no key has")
        }
        self.accessKey = accessKey
        self.secretKey = secretKey
        sessionToken = values["aws_session_token"].flatMap { $0.isEmpty ? nil : $0 }
    }

    func signer(region: String) -> SigV4 {
        SigV4(accessKey: accessKey, secretKey: secretKey, sessionToken: sessionToken, region: region)
    }

    /// `name = value` lines, with or without `[profile]` headings; names in either case, so that an environment file serves too.
    private static func values(inFile path: String, profile: String) throws(BlobError) -> [String: String] {
        let file: LocalFile
        do throws(BlobError) {
            file = try LocalFile(path: path)
        } catch {
            throw BlobError(.configuration, error.message)
        }
        guard file.sizeBytes <= 64 << 10 else { throw BlobError(.configuration, "\(path) is no credentials file") }
        var bytes: [UInt8] = []
        try file.read(from: 0, count: file.sizeBytes, cancellation: Cancellation()) { bytes += $0 }
        var values: [String: String] = [:]
        var isOurs = true
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let line = trimmed(line)
            if line.hasPrefix("["), line.hasSuffix("]") { isOurs = trimmed(line.dropFirst().dropLast()) == profile }
            guard isOurs, !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") else { continue }
            let value = trimmed(line[line.index(after: equals)...])
            let isQuoted = value.count >= 2 && value.first == value.last && (value.first == "\"" || value.first == "'")
            values[trimmed(line[..<equals]).lowercased()] = String(isQuoted ? value.dropFirst().dropLast() : value)
        }
        return values
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let start = text.drop(while: \.isWhitespace)
        return start.lastIndex { !$0.isWhitespace }.map { start[...$0] } ?? ""
    }
}
