import JSON
import MTProto

/// Reads and writes the content of session files: JSON with a version.
enum SessionFile {
    static let version: Int64 = 1

    static func bytes(_ session: AccountSession) -> [UInt8] {
        let keys = session.keys.sorted { $0.key < $1.key }.map {
            (String($0.key), JSON.string(Base64.encode($0.value.bytes)))
        }
        let addresses = session.addresses.sorted { $0.key < $1.key }.map { entry in
            let address: JSON = .object(["host": .string(entry.value.host), "port": .integer(Int64(entry.value.port))])
            return (String(entry.key), address)
        }
        let salts = session.salts.sorted { $0.key < $1.key }.map { (String($0.key), JSON.string(String($0.value))) }
        let object: JSON = .object([
            "version": .integer(version), "dc": .integer(Int64(session.dataCenter)), "test": .bool(session.isTest),
            "user_id": session.userID.map { .integer($0) }, "bot": .bool(session.isBot), "keys": .object(members(keys)),
            "addresses": .object(members(addresses)), "salts": salts.isEmpty ? nil : .object(members(salts)),
            "server_key": session.serverKey.map { .string(String($0)) },
        ])
        return object.bytes + [UInt8(ascii: "\n")]
    }

    private static func members(_ list: [(String, JSON)]) -> JSONObject {
        list.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }

    /// Reads a session from a file's content.
    ///
    /// - Throws: `AccountError`, `damaged` or `otherVersion`, with the file's name.
    static func session(_ bytes: [UInt8], path: String) throws(AccountError) -> AccountSession {
        guard let json = try? JSON(parsing: bytes), let written = json["version"]?.int else { throw damaged(path) }
        guard written == version else {
            throw AccountError(
                .otherVersion, "the session file \(path) is of version \(written); this tgpipe reads version \(version)"
            )
        }
        guard let dataCenter = json["dc"]?.int.map(Int.init), (1...1000).contains(dataCenter),
            let keys = keys(json["keys"]), let key = keys[dataCenter]
        else { throw damaged(path) }
        var session = AccountSession(
            dataCenter: dataCenter, key: key, isTest: json["test"] == true, userID: json["user_id"]?.int,
            isBot: json["bot"] == true)
        session.keys = keys
        session.serverKey = json["server_key"]?.long
        for member in json["addresses"]?.object?.members ?? [] {
            guard let number = Int(member.key), let host = member.value["host"]?.string,
                let port = member.value["port"]?.int, (1...65535).contains(port)
            else { throw damaged(path) }
            session.addresses[number] = ServerAddress(host, Int(port))
        }
        for member in json["salts"]?.object?.members ?? [] {
            guard let number = Int(member.key), let salt = member.value.string.flatMap({ Int64($0) }) else {
                throw damaged(path)
            }
            session.salts[number] = salt
        }
        return session
    }

    private static func keys(_ json: JSON?) -> [Int: AuthKey]? {
        var keys: [Int: AuthKey] = [:]
        for member in json?.object?.members ?? [] {
            guard let number = Int(member.key), let text = member.value.string,
                let key = Base64.decode(text).flatMap({ AuthKey($0) })
            else { return nil }
            keys[number] = key
        }
        return keys
    }

    private static func damaged(_ path: String) -> AccountError {
        AccountError(
            .damaged, "the session file \(path) is damaged: log in or import again, or restore it from a copy")
    }
}
