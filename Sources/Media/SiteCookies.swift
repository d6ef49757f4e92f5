import Glibc
import HTTP
package import JSON
import Payloads
import System

/// Stores, lists and removes the cookies of the sites that the file of sites gives cookies.
///
/// A file of cookies is a login: it is readable by its owner only, and replaced as a whole.
package struct SiteCookies: Sendable {
    /// The largest file of cookies that is taken.
    package static let maxBytes = Int(MediaCookies.maxBytes)
    /// The most cookies of one file.
    private static let mostCookies = 10_000

    private let sites: [Site]
    private let all: Sites

    package init(_ sites: Sites) {
        (self.sites, all) = (sites.all.filter { $0.cookiesFile != nil }, sites)
    }

    /// Returns the bytes of a file that may hold cookies; nil if it cannot be read, or is too long.
    package static func bytes(_ path: String) -> [UInt8]? { SmallFile.readBytes(path, maxBytes: maxBytes) }

    /// The names of the sites that can have cookies.
    package var names: [String] { sites.map(\.name) }

    /// Describes the cookies of a site. It holds no names and no values of cookies.
    package struct Summary: Sendable, Equatable {
        package let site: String
        package let count: Int
        /// The time since the file was changed.
        package let age: Duration
        /// The days of the first and of the last expiry, `YYYY-MM-DD`; nil if all cookies end with the session.
        package let expiry: ClosedRange<String>?
    }

    /// Tells why a file of cookies is refused.
    package enum Refusal: Error, Sendable {
        /// A line is neither a cookie nor a comment; lines count from 1.
        case notNetscape(line: Int)
        case empty
        /// The cookies belong to these hosts, and to none of the sites.
        case foreign([String])
        /// All cookies of a site have expired.
        case expired(site: String)
        case failed(MediaError)
    }

    /// Stores the cookies of a file for the sites that they belong to. Cookies of other hosts are left out.
    ///
    /// - Returns: the names of the sites.
    package func store(_ bytes: [UInt8], now: Timestamp = .now) throws(Refusal) -> [String] {
        let cookies = try SiteCookies.read(bytes)
        guard !cookies.isEmpty else { throw .empty }
        var stored: [(site: Site, cookies: [Cookie])] = []
        var expired: String?
        for site in sites {
            let own = cookies.filter { site.owns($0) }
            guard !own.isEmpty else { continue }
            if own.contains(where: { !$0.hasExpired(at: now) }) {
                stored.append((site, own))
            } else {
                expired = expired ?? site.name
            }
        }
        guard !stored.isEmpty else {
            if let expired { throw .expired(site: expired) }
            throw .foreign(Array(Set(cookies.map(\.host))).sorted())
        }
        for (site, cookies) in stored {
            // Several sites may share a file, which then has the cookies of all of them.
            let sharing = stored.filter { $0.site.cookiesFile == site.cookiesFile }
            let others = sharing.flatMap(\.cookies).filter { cookie in !cookies.contains { $0.line == cookie.line } }
            try write((cookies + others).map(\.line), of: site)
        }
        return stored.map(\.site.name)
    }

    /// Removes the cookies of the site that a host belongs to, and of all sites below the host: `example.com` stands for
    /// `www.example.com` and the other way round, as when cookies are stored.
    ///
    /// Other sites that share a file of cookies keep theirs.
    ///
    /// - Returns: the names of the sites; empty if there are none.
    package func forget(_ host: String) throws(Refusal) -> [String] {
        let host = WebURL("https://\(host)/")?.host ?? host.lowercased()
        guard host.contains(".") || sites.contains(where: { $0.hosts.contains(host) }) else { return [] }
        let owner = all[host]?.name
        let forgotten = sites.filter { site in
            site.name == owner || site.hosts.contains { $0.hasSuffix(".\(host)") }
        }
        for site in forgotten { try write(lines(left: forgotten, in: site), of: site) }
        return forgotten.map(\.name)
    }

    /// Returns the cookies that stay in the file of a site: those that belong to other sites only.
    ///
    /// - Throws: if the file cannot be read, since the logins of the other sites would be lost.
    private func lines(left forgotten: [Site], in site: Site) throws(Refusal) -> [String] {
        let sharing = sites.filter { other in
            other.cookiesFile == site.cookiesFile && !forgotten.contains { $0.name == other.name }
        }
        guard !sharing.isEmpty, let path = site.cookiesFile, access(path, F_OK) == 0 else { return [] }
        let file: CookieFile
        do throws(MediaError) { file = try CookieFile(path) } catch { throw .failed(error) }
        return try SiteCookies.read(file.bytes).filter { cookie in !forgotten.contains { $0.owns(cookie) } }.map(\.line)
    }

    private func write(_ lines: [String], of site: Site) throws(Refusal) {
        guard let path = site.cookiesFile else { return }
        let text = "# Netscape HTTP Cookie File\n\n" + lines.map { $0 + "\n" }.joined()
        do throws(MediaError) { try SmallFile.write(Array(text.utf8), to: path) } catch { throw .failed(error) }
        if let file = try? CookieFile(path) { file.rememberSecrets() }
    }

    /// Describes the cookies of all sites.
    package func summaries(now: Timestamp = .now) -> [Summary] {
        sites.map { site in
            let file = site.cookiesFile.flatMap { path in try? CookieFile(path) }
            let cookies = file.flatMap { file in try? SiteCookies.read(file.bytes) } ?? []
            let days = cookies.compactMap(\.expiry).map { String($0.description.prefix(10)) }
            let age = site.cookiesFile.map { SiteCookies.age(of: $0, now: now) } ?? .zero
            var expiry: ClosedRange<String>?
            if let first = days.min(), let last = days.max() { expiry = first...last }
            return Summary(site: site.name, count: cookies.count, age: age, expiry: expiry)
        }
    }

    private static func age(of path: String, now: Timestamp) -> Duration {
        var info = stat()
        guard stat(path, &info) == 0 else { return .zero }
        return .microseconds(max(0, now.microseconds - info.modifiedNanoseconds / 1000))
    }

    // MARK: Reading

    struct Cookie: Sendable {
        let line: String
        /// The host without a leading dot.
        let host: String
        /// Is true if the cookie is also sent to the names below its host.
        let isForDomain: Bool
        /// The time of its expiry; nil if it ends with the session.
        let expiry: Timestamp?

        func hasExpired(at now: Timestamp) -> Bool { expiry.map { $0 < now } ?? false }
    }

    /// Reads a file in Netscape format: a line for each cookie, of seven fields that tabs separate.
    private static func read(_ bytes: [UInt8]) throws(Refusal) -> [Cookie] {
        var text = String(decoding: bytes, as: UTF8.self)[...]
        // Windows programs write a mark of the byte order.
        if text.unicodeScalars.first == "\u{feff}" { text = text.dropFirst() }
        var cookies: [Cookie] = []
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let isHidden = line.hasPrefix(CookieFile.hiddenPrefix)
            if line.isEmpty || (line.hasPrefix("#") && !isHidden) { continue }
            guard cookies.count < mostCookies, let cookie = Cookie(line, isHidden: isHidden) else {
                throw .notNetscape(line: number + 1)
            }
            cookies.append(cookie)
        }
        return cookies
    }
}

extension SiteCookies.Cookie {
    fileprivate init?(_ line: Substring, isHidden: Bool) {
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
        guard fields.count == 7, [fields[1], fields[3]].allSatisfy({ ["TRUE", "FALSE"].contains($0.uppercased()) }),
            fields[2].hasPrefix("/"), !line.unicodeScalars.contains(where: { $0.value < 0x20 && $0 != "\t" })
        else { return nil }
        let name = fields[0].dropFirst(isHidden ? CookieFile.hiddenPrefix.count : 0)
        let host = name.drop { $0 == "." }.lowercased()
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), !host.contains("/") else { return nil }
        // Some programs write fractions of a second.
        guard let seconds = fields[4].isEmpty ? 0 : Double(fields[4]), seconds.isFinite else { return nil }
        self.line = String(line)
        self.host = host
        isForDomain = fields[1].uppercased() == "TRUE"
        // The year 9999 is the last that a timestamp's text can hold.
        expiry = seconds <= 0 ? nil : Timestamp(microseconds: Int64(min(seconds, 253_402_300_799)) * 1_000_000)
    }
}

extension Site {
    /// Returns whether a cookie is sent to one of the site's hosts, or to a name below them.
    fileprivate func owns(_ cookie: SiteCookies.Cookie) -> Bool {
        hosts.contains { host in
            cookie.host == host || cookie.host.hasSuffix(".\(host)")
                || (cookie.isForDomain && cookie.host.contains(".") && host.hasSuffix(".\(cookie.host)"))
        }
    }
}
