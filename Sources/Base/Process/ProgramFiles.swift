import Glibc
import System

/// Names the files of this machine that every program needs, and none that holds a secret.
enum SystemFiles {
    /// Programs, libraries, certificates, and what tells a program about names, time and the processor.
    static let readable =
        [
            "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/sys/devices/system/cpu",
            "/proc/cpuinfo", "/proc/meminfo",
        ]
        + [
            "alternatives", "ca-certificates", "crypto-policies", "fonts", "gai.conf", "host.conf", "hosts",
            "ld.so.cache", "ld.so.preload", "localtime", "mime.types", "nsswitch.conf", "protocols", "python3",
            "resolv.conf", "services", "timezone",
            // Beside the certificates are private keys, which root may read.
            "pki/ca-trust", "pki/tls/cert.pem", "pki/tls/certs", "pki/tls/ct_log_list.cnf", "pki/tls/openssl.cnf",
            "pki/tls/openssl.d", "ssl/ca-bundle.pem", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf",
        ].map { "/etc/\($0)" }

    static let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"]
}

/// Finds the files that a program consists of, wherever it is installed: the program, its interpreter, and the libraries
/// that belong to either.
package struct ProgramFiles {
    /// The files and folders, for `Jail.readable`. Some may not exist.
    package private(set) var paths: [String] = []
    private var seen: Set<String> = []

    /// - Parameter programs: paths, or names to look up in `PATH`. One that does not exist has no files.
    package init(_ programs: [String]) {
        for program in programs { add(program) }
        for variable in ["LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"] {
            let value = Settings.environment(variable) ?? ""
            paths += value.split(separator: ":").map(String.init).filter { $0.hasPrefix("/") && $0 != "/" }
        }
    }

    private mutating func add(_ program: String) {
        guard let path = Command(program).executable, seen.insert(path).inserted else { return }
        addPlace(of: path)
        if let target = realpath(path, nil) {
            addPlace(of: String(cString: target))
            free(target)
        }
        for interpreter in ProgramFiles.interpreters(of: path) { add(interpreter) }
    }

    /// Adds a program, and the libraries beside it: below `lib` if it is in a folder `bin`, and the folder `_internal`, in
    /// which PyInstaller puts them.
    private mutating func addPlace(of path: String) {
        let folder = String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex))
        paths += [path, "\(folder)/_internal"]
        guard folder.hasSuffix("/bin") else { return }
        let place = String(folder.dropLast("/bin".count))
        addInstallation(place)
        // A virtual environment of Python names the installation that it was made from.
        let settings = ProgramFiles.beginning(of: "\(place)/pyvenv.cfg", count: 4096) ?? ""
        for line in settings.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
            guard parts.count == 2, parts[0] == "home", parts[1].hasSuffix("/bin") else { continue }
            addInstallation(String(parts[1].dropLast("/bin".count)))
        }
    }

    private mutating func addInstallation(_ place: String) {
        paths += ["bin", "lib", "lib64", "libexec", "pyvenv.cfg"].map { "\(place)/\($0)" }
    }

    /// Returns the programs that a script names as its interpreter: in its first line or, as pip writes it for long
    /// paths, by `exec` in its second.
    private static func interpreters(of path: String) -> [String] {
        guard let text = beginning(of: path, count: 1024), text.hasPrefix("#!") else { return [] }
        let lines = text.dropFirst(2).split(separator: "\n", maxSplits: 2).prefix(2)
        var words = lines.first?.split(separator: " ").map(String.init) ?? []
        if let second = lines.dropFirst().first, second.hasPrefix("'''exec'") {
            words += second.split { " '\"".contains($0) }.map(String.init)
        }
        return words.filter { $0 != "exec" && !$0.hasPrefix("-") && !$0.hasPrefix("$") }
    }

    private static func beginning(of path: String, count: Int) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = read(descriptor, &bytes, count)
        return got < 0 ? nil : String(decoding: bytes.prefix(got), as: UTF8.self)
    }
}
