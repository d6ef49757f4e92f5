import JSON
import System
import Crypto
import Glibc
import MTProto
import Synchronization

/// Remembers the latest uploads. When a message uses one of which Telegram has lost parts, the parts are sent again
/// from the local file.
final class UploadedFiles: Sendable {
    struct File {
        let id: Int64
        let path: String
        let key: String
    }

    private static let maxKept = 256

    private let files = Mutex<[File]>([])

    func add(_ file: File) {
        files.withLock { files in
            files.removeAll { $0.id == file.id }
            if files.count >= UploadedFiles.maxKept { files.removeFirst() }
            files.append(file)
        }
    }

    func remove(_ file: File) { files.withLock { files in files.removeAll { $0.id == file.id } } }

    /// Returns the first file of which the value contains an `InputFile`.
    func file(in value: JSON) -> File? {
        switch value {
        case .array(let elements): return elements.lazy.compactMap { self.file(in: $0) }.first
        case .object(let object):
            guard ["inputFile", "inputFileBig"].contains(object["_"]?.string), let id = object["id"]?.long else {
                return object.members.lazy.compactMap { self.file(in: $0.value) }.first
            }
            return files.withLock { $0.first { $0.id == id } }
        default: return nil
        }
    }
}

/// Uploads and downloads files for one account.
struct FileTransfers: Sendable {
    let host: any TransferHost
    /// The folder for the records of uploads; created by the first one.
    let folder: String
    let uploaded: UploadedFiles
    var settings = TransferSettings()

    /// Longer flood waits are returned to the caller, who reports them and continues the upload afterwards.
    private var uploadSettings: TransferSettings {
        var settings = settings
        settings.longestFloodWait = .seconds(2)
        return settings
    }

    /// See `Account.upload`.
    func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON {
        let folder = folder
        try await BlockingThread().run {
            try makeDirectory(folder, mode: 0o700)
            FileTransfers.removeOld(in: folder)
        }
        let upload = try await Upload(path, logPath: logPath(key), host: host, settings: uploadSettings)
        let file = try await upload.run(onProgress)
        uploaded.add(UploadedFiles.File(id: upload.id, path: path, key: key))
        return file
    }

    private func logPath(_ key: String) -> String {
        "\(folder)/\(SHA256.hexDigest(Array(key.utf8)).prefix(32)).upload"
    }

    /// See `Account.download`.
    func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws {
        try await Download(file, to: path, host: host, settings: settings).run(onProgress)
    }

    /// Sends the parts again that Telegram has lost of a file in a call's parameters.
    ///
    /// - Parameters:
    ///   - attempt: The number of earlier attempts of the same call. After three missing parts, the whole file is sent
    ///     again.
    /// - Returns: whether the call should be repeated.
    func restore(after error: TelegramRPCError, in parameters: JSONObject, attempt: Int) async throws -> Bool {
        guard error.name == "FILE_PART_MISSING", let part = error.value, attempt < 4,
            let known = uploaded.file(in: .object(parameters))
        else { return false }
        let upload = try await Upload(known.path, logPath: logPath(known.key), host: host, settings: uploadSettings)
        guard upload.id == known.id, (0..<upload.partCount).contains(part) else { return false }
        if attempt < 3 { try await upload.send(part) } else { try await upload.sendAgain() }
        return true
    }

    /// Forgets the upload of a file in a call's parameters, so that the next one begins anew: Telegram has failed at it
    /// repeatedly, and may have damaged parts.
    func forget(in parameters: JSONObject) {
        guard let known = uploaded.file(in: .object(parameters)) else { return }
        uploaded.remove(known)
        unlink(logPath(known.key))
    }

    /// Removes records of uploads that are too old to be continued.
    private static func removeOld(in folder: String) {
        for name in folderEntries(folder) ?? [] {
            var status = stat()
            guard name.hasSuffix(".upload"), lstat("\(folder)/\(name)", &status) == 0,
                status.modifiedNanoseconds / 1_000_000_000 < time(nil) - Int(Upload.secondsKept)
            else { continue }
            unlink("\(folder)/\(name)")
        }
    }
}
