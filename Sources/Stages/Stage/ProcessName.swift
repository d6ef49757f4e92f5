import Glibc

/// What this process is called in Redis: `host:pid:random`, unlike any other's, also on another machine or after a restart.
enum ProcessName {
    static let own = unique()

    /// A further name of the same form.
    static func unique() -> String {
        "\(Runtime.host):\(getpid()):\(String(UInt32.random(in: 0...(.max)), radix: 16))"
    }
}

extension Runtime {
    /// What this machine is called, fit for a part of a key and of a waiter's name.
    package static let host: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "-" })
    }()
}
