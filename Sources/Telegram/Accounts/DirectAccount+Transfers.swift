package import JSON
import MTProto

extension DirectAccount {
    private var transfers: FileTransfers {
        FileTransfers(host: self, folder: keeper.uploadsFolder, uploaded: uploaded)
    }

    package func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON {
        try await transfers.upload(path, key: key, onProgress: onProgress)
    }

    package func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws {
        try await transfers.download(file, to: path, onProgress: onProgress)
    }

    /// Makes a call, and repeats it after sending again the parts of a file that Telegram has lost.
    func restoringParts(
        _ parameters: JSONObject, _ call: () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        var attempt = 0
        while true {
            do {
                return try await call()
            } catch let error as TelegramRPCError {
                guard try await transfers.restore(after: error, in: parameters, attempt: attempt) else {
                    if error.isTransient, error.wait == nil { transfers.forget(in: parameters) }
                    throw error
                }
                attempt += 1
            }
        }
    }
}

extension DirectAccount: TransferHost {
    var homeDataCenter: Int { keeper.session.dataCenter }

    var isPremium: Bool {
        get async throws {
            let users = try await ask("users.getUsers", ["id": .array([.object(["_": "inputUserSelf"])])])
            return users.array?.first?["premium"] == true
        }
    }

    func call(
        _ request: [UInt8], at server: TransferServer, connection index: Int, within timeout: Duration
    ) async throws -> [UInt8] {
        try throwIfEnded()
        switch server {
        case .cdn(let number): return try await contentNetwork(number).call(request, within: timeout)
        case .dataCenter(let number):
            let connection = try await connections(to: number, count: index + 1)[index]
            do {
                return try await connection.call(request, within: timeout)
            } catch let error as TelegramRPCError where error.name == "AUTH_KEY_UNREGISTERED" {
                try await authorizeAgain(number)
                return try await connection.call(request, within: timeout)
            }
        }
    }
}
