import Config
import Glibc
import HTTP
import System

/// Reads the file with the settings of single sites.
///
///     [[site]]
///     host = ["example.com", "cdn.example.net"]
///     cookies = "example.txt"
///     proxy = "socks5h://127.0.0.1:9050"
///     arguments = ["--sleep-requests", "1"]
///     gallery_arguments = ["--sleep-request", "1"]
///     private = ["/users/*/drafts", "!/favorites"]
enum SitesFile {
    /// - Throws: `ConfigError` with the line of the mistake; its message holds no password.
    static func read(_ path: String) throws(ConfigError) -> Sites {
        let file = try ConfigFile.table(path: path)
        try file.check(known: ["site"])
        var sites = Sites()
        for table in try file.tables("site") {
            try table.check(known: ["host", "cookies", "proxy", "arguments", "gallery_arguments", "private"])
            let what = "the host name of a site, such as \"example.com\", or a list of them"
            guard let hosts = try table.strings("host", what) else {
                throw table.fault("host is missing: it is \(what)")
            }
            var site = try site(table, besides: path)
            // A site or a proxy may repeat them in what it says about a failure.
            site.rememberSecrets()
            site.hosts = try hosts.map { host throws(ConfigError) in
                // A link's host is compared in its ASCII form.
                guard !host.contains("/"), let url = WebURL("https://\(host)/"), url.port == nil, !url.hasCredentials
                else {
                    throw table.fault(of: "host", "\"\(host.printable)\" is not \(what)")
                }
                return url.host
            }
            for host in site.hosts {
                guard sites.add(site, host: host) else {
                    throw table.fault(of: "host", "\(host) has settings already")
                }
            }
        }
        return sites
    }

    private static func site(_ table: ConfigTable, besides path: String) throws(ConfigError) -> Site {
        var site = Site()
        if let cookies = try table.string("cookies") {
            let file = cookies.hasPrefix("/") ? cookies : "\(parentFolder(absolutePath(path)))/\(cookies)"
            try checkCookies(file, table)
            site.cookiesFile = file
        }
        if let text = try table.string("proxy") {
            guard let proxy = ServerProxy(text) else {
                throw table.fault(
                    of: "proxy",
                    "proxy is a URL with a port that begins with http://, socks5://, socks5h:// or socks4a://")
            }
            site.proxy = proxy
        }
        site.arguments = try table.strings("arguments", "a list of arguments for yt-dlp") ?? []
        site.galleryArguments =
            try table.strings("gallery_arguments", "a list of arguments for gallery-dl") ?? []
        let what = "a list of pages, such as \"/inbox/*\" or \"/list?id=saved\""
        site.privatePages = try (table.strings("private", what) ?? []).map { text throws(ConfigError) in
            guard let pattern = PagePattern(text) else {
                throw table.fault(of: "private", "\"\(text.printable)\" is no page: private is \(what)")
            }
            return pattern
        }
        return site
    }

    /// A file that others can read gives them the login.
    private static func checkCookies(_ file: String, _ table: ConfigTable) throws(ConfigError) {
        var info = stat()
        guard stat(file, &info) == 0, access(file, R_OK) == 0 else {
            let (isMissing, reason) = (errno == ENOENT, "\(SystemError(errno))")
            // An admin can send the cookies later.
            let advice = isMissing ? "; to make it: install -m 600 /dev/null \(file.printable)" : ""
            throw table.fault(of: "cookies", "unable to read \(file.printable): \(reason)\(advice)")
        }
        guard info.st_mode & 0o077 == 0 else {
            throw table.fault(
                of: "cookies", "others can read the login in \(file.printable); run: chmod 600 \(file.printable)")
        }
    }
}
