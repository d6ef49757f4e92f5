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

    /// The pages of the signed-in account, in addition to those that are known.
    package var privatePages: [PagePattern] = []

    package init() {}

    /// The first host name.
    package var name: String { hosts.first ?? "" }

    /// Keeps the secrets of the site out of what is shown.
    func rememberSecrets() {
        for secret in secrets { KnownSecrets.remember(secret) }
        if let cookiesFile, let cookies = try? CookieFile(cookiesFile) { cookies.rememberSecrets() }
    }

    /// The secrets of the site beside its cookies: the proxy's password, and the values of arguments that give a login.
    private var secrets: [String] {
        var found = proxy?.passwords ?? []
        let all = arguments + galleryArguments
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

    /// Is true if arguments give yt-dlp or gallery-dl a login.
    var hasLoginArguments: Bool {
        (arguments + galleryArguments).contains { argument in
            let words = argument.split(separator: "=", maxSplits: 1).map(String.init)
            guard let first = words.first else { return false }
            return Site.loginArguments.contains(first)
                || (words.count == 2 && Site.secretOptions.contains { first.hasSuffix($0) })
        }
    }

    private static let loginArguments: Set<String> = [
        "-u", "--username", "-n", "--netrc", "--netrc-location", "--netrc-cmd", "--ap-username", "--cookies", "-C",
        "--cookies-from-browser", "--client-certificate", "--add-headers", "--add-header",
    ]

    /// Returns whether an error is the site's own.
    ///
    /// - Parameters:
    ///   - extractor: the extractor that it comes from.
    ///   - visited: the hosts that were asked for something; nil if they are not known.
    func isSource(of extractor: String?, _ visited: Set<String>?) -> Bool {
        let own = visited?.filter { host in hosts.contains { host == $0 || host.hasSuffix(".\($0)") } }
        // An extractor for any page does not say which one it has read.
        guard let visited, let own else { return extractor.map(isRead(by:)) ?? false }
        if own.isEmpty { return false }
        return own.count == visited.count || extractor.map(isRead(by:)) ?? false
    }

    /// Returns whether an extractor is made for the site, by its name: `[instagram:story]` for `instagram.com`.
    private func isRead(by extractor: String) -> Bool {
        let name = extractor.lowercased().prefix { $0 != ":" }.filter { $0.isLetter || $0.isNumber }
        return hosts.contains { host in
            host == "x.com" && name == "twitter"
                || host.split(separator: ".").dropLast().contains { label in
                    name == label || (label.count >= 4 && name.hasPrefix(label))
                }
        }
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

    /// Returns whether the file has a cookie that is sent to a host.
    func hasCookie(for host: String) -> Bool {
        CookieFile.cookies(bytes).contains { host == $0.host || host.hasSuffix(".\($0.host)") }
    }

    /// Keeps the values of the cookies out of logs. Another process may have stored them a moment ago.
    func rememberSecrets() { KnownSecrets.remember(secrets, of: path) }

    /// The longest values of cookies. Short ones are settings such as a language, and too many would slow down every log line.
    private var secrets: [String] {
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
