import JSON

/// What a client of an owner asks for: one line.
struct OwnerRequest: Sendable {
    enum Kind: Sendable {
        case call(String, JSONObject)
        case upload(path: String, key: String)
        case download(RemoteFile, path: String)
        case events
        case peer(Int64)
        case status
        case cancel(Int64)
    }

    /// What the answers will name.
    let id: Int64
    let kind: Kind
    let deadline: Duration
    let longestWait: Duration

    /// - Throws: `AccountError`, `socketProtocol`.
    init(_ json: JSON) throws(AccountError) {
        guard let object = json.object, let id = object["id"]?.int else {
            throw OwnerRequest.wrong("a request is an object with an id, which is a number")
        }
        self.id = id
        kind = try OwnerRequest.kind(object)
        deadline = try OwnerRequest.duration(object["deadline"], "deadline") ?? CallOptions().deadline
        longestWait = try OwnerRequest.duration(object["longest_wait"], "longest_wait") ?? .zero
    }

    private static func kind(_ object: JSONObject) throws(AccountError) -> Kind {
        if let method = object["method"] {
            guard let name = method.string else { throw wrong("method is the name of a method") }
            guard let parameters = object["params"] ?? .object([:]) as JSON?, let members = parameters.object else {
                throw wrong("params is an object")
            }
            return .call(name, members)
        }
        if let upload = object["upload"] {
            guard let path = path(upload), let key = upload["key"]?.string, (1...200).contains(key.utf8.count) else {
                throw wrong("upload has an absolute path, and a key of 1 to 200 bytes")
            }
            return .upload(path: path, key: key)
        }
        if let download = object["download"] {
            guard let path = path(download), let file = RemoteFile(json: download) else {
                throw wrong("download has an absolute path, a location and its dc")
            }
            return .download(file, path: path)
        }
        if object["events"]?.bool == true { return .events }
        if object["status"]?.bool == true { return .status }
        if let id = object["peer"]?.int { return .peer(id) }
        if let id = object["cancel"]?.int { return .cancel(id) }
        throw wrong("a request has one of method, upload, download, events, peer, status and cancel")
    }

    private static func path(_ json: JSON) -> String? {
        json["path"]?.string.flatMap { $0.hasPrefix("/") && !$0.utf8.contains(0) ? $0 : nil }
    }

    private static func duration(_ json: JSON?, _ name: String) throws(AccountError) -> Duration? {
        guard let json else { return nil }
        guard let seconds = json.double, (0...(7 * 86_400.0)).contains(seconds) else {
            throw wrong("\(name) is a number of seconds, a week at most")
        }
        return .seconds(seconds)
    }

    private static func wrong(_ what: String) -> AccountError { AccountError(.socketProtocol, what) }
}

extension RemoteFile {
    var json: JSONObject {
        [
            "location": location, "dc": .integer(Int64(dataCenter)), "size": sizeBytes.map { .integer($0) },
            "origin": origin.map {
                .object(["chat_id": .integer($0.chatID), "message_id": .integer($0.messageID)])
            },
        ]
    }

    /// nil for what is none.
    init?(json: JSON) {
        guard let location = json["location"], location.object != nil, let place = json["dc"]?.int,
            (1...1000).contains(place), RemoteFile.isPossible(sizeBytes: json["size"]?.int)
        else { return nil }
        var origin: MessageOrigin?
        if let chat = json["origin"]?["chat_id"]?.int, let message = json["origin"]?["message_id"]?.int {
            origin = MessageOrigin(chatID: chat, messageID: message)
        }
        self.init(location: location, dataCenter: Int(place), sizeBytes: json["size"]?.int, origin: origin)
    }
}
