import Glibc

/// A program to run, with its arguments.
struct Program: Sendable {
    /// What the user called it.
    let name: String
    let path: String
    let arguments: [String]

    /// Looks a program up as a shell would; nil when there is none.
    static func find(_ command: [String]) -> Program? {
        guard let name = command.first else { return nil }
        func isProgram(_ path: String) -> Bool {
            var info = stat()
            return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
        }
        if name.contains("/") { return isProgram(name) ? Program(name: name, path: name, arguments: command) : nil }
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        let path = folders.split(separator: ":").lazy.map { "\($0)/\(name)" }.first(where: isProgram)
        return path.map { Program(name: name, path: $0, arguments: command) }
    }
}
