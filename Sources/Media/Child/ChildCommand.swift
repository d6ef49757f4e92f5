import Glibc

/// A program to run with nothing of this one but what is listed here.
struct ChildCommand: Sendable {
    /// A path, or a name that is looked for in `PATH`.
    var program: String
    var arguments: [String]
    var environment: [String: String]
    /// Where it runs.
    var directory: String
    /// For the whole run; then it is asked to end, and killed when it does not.
    var deadline: Duration
    /// The longest file that it may write; 0: any.
    var maxFileBytes: UInt64 = 0
    /// A file for its standard output, in place of lines.
    var outputFile: String?
    /// How much it may print in all; a child that prints more is ended.
    var maxOutputBytes = 64 << 20

    /// The file to execute; nil when there is none.
    var executable: String? {
        if program.contains("/") { return access(program, X_OK) == 0 ? program.absolutePath : nil }
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        return folders.split(separator: ":").lazy.map { "\($0)/\(program)" }.first { path in
            var info = stat()
            return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
        }.map(\.absolutePath)
    }
}

/// How a child ended.
struct ChildExit: Sendable {
    enum Cause: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
        /// It did not end by the deadline, and was ended.
        case overdue
        /// It printed more than it may, and was ended.
        case flooded
    }

    var cause: Cause
    /// The last lines of its standard error.
    var errorLines: [String]

    var isSuccess: Bool { cause == .exited(0) }
}

/// What programs get to see of this one's environment: nothing of it is secret.
enum ChildEnvironment {
    static func inherited() -> [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let pair = entry.pointee {
            let text = String(cString: pair)
            if let equals = text.firstIndex(of: "="), isHarmless(text[..<equals]) {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            entry += 1
        }
        return result
    }

    private static func isHarmless(_ name: Substring) -> Bool {
        names.contains(String(name)) || prefixes.contains { name.hasPrefix($0) }
    }

    private static let names: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE",
        "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
    ]
    private static let prefixes = ["LC_", "XDG_", "PYTHON", "YTDLP_"]

    /// Proxies of the environment, for children that may connect to anything.
    static func proxies() -> [String: String] {
        var result: [String: String] = [:]
        for name in proxyNames + ["no_proxy", "NO_PROXY"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }

    /// Every name under which programs look for a proxy.
    static let proxyNames = [
        "http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY",
    ]
}
