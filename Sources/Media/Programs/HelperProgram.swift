import Glibc
import Process
import System

extension ChildRun {
    /// Runs yt-dlp, ffmpeg or ffprobe to its end.
    ///
    /// - Parameter onLine: gets each line of its standard output, on the run's own thread.
    /// - Throws: `missingProgram`, `cancelled`, or `localIO` when it could not be started. A failing program is a value.
    func runHelper(onLine: @escaping @Sendable (String) -> Void = { _ in }) async throws(MediaError) -> Exit {
        let exit: Exit
        do throws(ChildProcess.Failure) {
            exit = try await run(onLine: onLine)
        } catch {
            let name = lastPathComponent(command.program)
            switch error.step {
            case .findProgram: throw MediaError(.missingProgram, "\(name) is not installed here.")
            case .openPipe: throw .local("make a pipe", error.code)
            case .openFile: throw .local("write a file", error.code)
            case .start: throw .local("start \(name)", error.code)
            case .confine: throw .local("confine \(name)", error.code)
            case .watch: throw .local("watch \(name)", error.code)
            }
        }
        if Task.isCancelled { throw .cancelled }
        return exit
    }
}

/// Makes the environments of helper programs. None of their variables is a secret.
enum HelperEnvironment {
    /// Returns the variables that every helper program gets: the few harmless ones of this process, and a folder.
    ///
    /// - Parameter home: the folder for settings, caches and temporary files.
    static func variables(home: String) -> [String: String] {
        var result = ["HOME": home, "TMPDIR": home]
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

    private static func isHarmless(_ name: Substring) -> Bool { names.contains(String(name)) || name.hasPrefix("LC_") }

    private static let names: Set<String> = [
        "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
    ]

    /// Returns the environment's proxies, for programs that may connect to any address.
    static func proxies() -> [String: String] {
        var result: [String: String] = [:]
        for name in proxyNames + ["no_proxy", "NO_PROXY"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }

    /// The variables in which programs look for a proxy.
    static let proxyNames = [
        "http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY",
    ]
}
