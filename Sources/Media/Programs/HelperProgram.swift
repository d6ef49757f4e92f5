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

    /// Runs a program to its end, or ends it when a line of its output says so.
    ///
    /// - Parameter isOver: is asked after each line. If it returns true, the program is ended.
    func runHelper(
        until isOver: @escaping @Sendable () -> Bool, onLine: @escaping @Sendable (String) -> Void
    ) async throws(MediaError) -> Exit {
        let (lines, arrival) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let result = await withTaskGroup(of: Result<Exit, MediaError>?.self) { group in
            group.addTask {
                defer { arrival.finish() }
                do throws(MediaError) {
                    return .success(
                        try await runHelper { line in
                            onLine(line)
                            arrival.yield()
                        })
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                for await _ in lines where isOver() { return nil }
                return nil
            }
            var result: Result<Exit, MediaError>?
            while let finished = await group.next() {
                result = result ?? finished
                if isOver() { group.cancelAll() }
            }
            return result ?? .failure(.cancelled)
        }
        if isOver(), case .failure = result { return Exit(cause: .cancelled, errorLines: []) }
        return try result.get()
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
