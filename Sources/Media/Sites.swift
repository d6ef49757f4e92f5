package import HTTP
import System

/// Holds the settings of sites that require more than others: cookies of a login, a proxy, further arguments for yt-dlp
/// and gallery-dl.
package struct Sites: Sendable {
    private var byHost: [String: Site] = [:]

    package init() {}

    /// Adds a site.
    ///
    /// - Parameter host: the site's host name, which includes the names below it: `example.com` is also `www.example.com`.
    /// - Returns: false if the host has settings already.
    package mutating func add(_ site: Site, host: String) -> Bool {
        byHost.updateValue(site, forKey: host.lowercased()) == nil
    }

    /// Returns the settings for a host: those of the longest name that it ends with.
    package subscript(host: String) -> Site? {
        var name = host.lowercased()[...]
        while true {
            if let site = byHost[String(name)] { return site }
            guard let dot = name.firstIndex(of: ".") else { return nil }
            name = name[name.index(after: dot)...]
        }
    }

    /// Returns the settings for the page that a link leads to.
    func site(of link: String) -> Site? { WebURL(link).flatMap { self[$0.host] } }

    package var isEmpty: Bool { byHost.isEmpty }

    /// All sites in the order of their names, each once.
    var all: [Site] { byHost.filter { $0.key == $0.value.name }.sorted { $0.key < $1.key }.map(\.value) }
}

/// Holds the settings of one site.
package struct Site: Sendable {
    /// The site's host names, each of which includes the names below it.
    package var hosts: [String] = []
    /// The path of a file in Netscape format with the cookies of a login. What the site changes in them is kept there.
    package var cookiesFile: String?
    /// The only way to the site.
    package var proxy: ServerProxy?
    /// Further arguments for yt-dlp, after those for all sites.
    package var arguments: [String] = []
    /// The same for gallery-dl.
    package var galleryArguments: [String] = []

    package init() {}

    /// The first host name.
    package var name: String { hosts.first ?? "" }

    /// The secrets of the site: the proxy's password, long values of cookies, and the values of arguments that give a login.
    var secrets: [String] {
        var found = proxy?.passwords ?? []
        let all = arguments + galleryArguments
        if let cookiesFile, let cookies = try? CookieFile(cookiesFile) { found += cookies.secrets }
        for (option, value) in zip(all, all.dropFirst()) where Site.secretArguments.contains(option) {
            found.append(value)
        }
        for argument in all {
            let words = argument.split(separator: "=", maxSplits: 1)
            guard words.count == 2 else { continue }
            let isOption = Site.secretOptions.contains { words[0].hasSuffix($0) }
            if isOption || Site.secretArguments.contains(String(words[0])) { found.append(String(words[1])) }
        }
        return found
    }

    /// The ends of the names of options of gallery-dl whose values are secret.
    private static let secretOptions = ["password", "token", "secret", "api-key", "cookies"]

    /// The arguments of yt-dlp and gallery-dl whose values are secret.
    private static let secretArguments: Set<String> = [
        "-p", "--password", "-2", "--twofactor", "--video-password", "--ap-password", "--client-certificate-password",
        "--add-headers", "--proxy", "--geo-verification-proxy",
    ]
}

/// A file of cookies in Netscape format: a line for each, whose fields are separated by tabs.
struct CookieFile: Sendable {
    static let maxBytes = 8 << 20
    /// Marks a cookie that scripts cannot read. Other lines that begin with a number sign are comments.
    static let hiddenPrefix = "#HttpOnly_"

    let path: String
    /// The file's bytes when they were read.
    let bytes: [UInt8]

    /// - Throws: `localIO` if the file cannot be read.
    init(_ path: String) throws(MediaError) {
        guard let bytes = SmallFile.readBytes(path, maxBytes: CookieFile.maxBytes) else {
            throw MediaError(.localIO, "The file with the site's cookies cannot be read.")
        }
        (self.path, self.bytes) = (path, bytes)
    }

    /// Is true if the file holds no cookie, as before the first ones are stored.
    var isEmpty: Bool { CookieFile.cookies(bytes).isEmpty }

    /// Keeps the values of the cookies out of logs. Another process may have stored them a moment ago.
    func rememberSecrets() {
        for secret in secrets { KnownSecrets.remember(secret) }
    }

    /// The longest values of cookies. Short ones are settings such as a language, and too many would slow down every log line.
    var secrets: [String] {
        let values = CookieFile.cookies(bytes).compactMap { $0.line.split(separator: "\t").last.map(String.init) }
        return Array(values.filter { $0.utf8.count >= 16 }.sorted { $0.utf8.count > $1.utf8.count }.prefix(100))
    }

    /// Takes over what yt-dlp made of its copy, because many sites give out new cookies with each answer, and end a login
    /// whose old ones come again.
    ///
    /// yt-dlp handles what strangers' pages send, so only cookies of hosts that the file had before are taken. If someone has
    /// changed the file in the meantime, it stays as it is.
    func refresh(from copy: String) {
        guard let new = SmallFile.readBytes(copy, maxBytes: CookieFile.maxBytes), new != bytes else { return }
        let known = Set(CookieFile.cookies(bytes).map(\.host))
        let kept = CookieFile.cookies(new).filter { known.contains($0.host) }.map(\.line)
        guard !kept.isEmpty else { return }
        let text = Array(("# Netscape HTTP Cookie File\n\n" + kept.joined(separator: "\n") + "\n").utf8)
        guard SmallFile.readBytes(path, maxBytes: CookieFile.maxBytes) == bytes else { return }
        // The old cookies remain if this fails. They may still be of use.
        try? SmallFile.write(text, to: path)
    }

    /// Returns the lines that hold cookies, each with its host without a leading dot.
    private static func cookies(_ bytes: [UInt8]) -> [(host: String, line: String)] {
        String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).compactMap { line in
            let isHidden = line.hasPrefix(hiddenPrefix)
            guard isHidden || !line.hasPrefix("#") else { return nil }
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 7 else { return nil }
            let host = fields[0].dropFirst(isHidden ? hiddenPrefix.count : 0).drop { $0 == "." }
            return (host.lowercased(), String(line))
        }
    }
}
