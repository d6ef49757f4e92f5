import JSON
import System
import Glibc

/// Small JSON files that say where a job is; each is there as a whole or not at all.
enum SmallFile {
    /// The object in a file; nil when there is none, or no readable one.
    static func read(_ path: String, maxBytes: Int = 64 << 10) -> JSONObject? {
        guard let bytes = readBytes(path, maxBytes: maxBytes) else { return nil }
        return try? bytes.withUnsafeBytes { try JSONParser().parse($0) }.object
    }

    /// The bytes of a file; nil when there is none, or it is longer than allowed.
    static func readBytes(_ path: String, maxBytes: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_size <= maxBytes else {
            return nil
        }
        return [UInt8](unsafeUninitializedCapacity: Int(info.st_size)) { buffer, count in
            while count < buffer.count {
                let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
                if got <= 0 { return }
                count += got
            }
        }
    }

    /// The first bytes of a file; fewer when it is shorter, nil when there is none.
    static func readBeginning(_ path: String, count: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = Glibc.read(descriptor, &bytes, count)
        return got < 0 ? nil : Array(bytes.prefix(got))
    }

    /// Replaces a file.
    ///
    /// - Parameter isDurable: whether it is to outlast a loss of power; else that may leave it empty.
    static func write(_ object: JSONObject, to path: String, isDurable: Bool = true) throws(MediaError) {
        try write(JSON.object(object).bytes, to: path, isDurable: isDurable)
    }

    static func write(_ bytes: [UInt8], to path: String, isDurable: Bool = true) throws(MediaError) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .local("write a file", errno) }
        let written = bytes.withUnsafeBytes { writeAll(descriptor, $0) }
        let isWritten = written == 0 && (!isDurable || fsync(descriptor) == 0) && rename(temporary, path) == 0
        let failure = isWritten ? 0 : max(errno, written)
        close(descriptor)
        guard failure == 0 else {
            unlink(temporary)
            throw .local("write a file", failure)
        }
    }
}
