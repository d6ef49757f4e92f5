import JSON

/// A request of a client to the owner of a session, written as a line of JSON with an id: docs/session.md.
struct OwnerRequest: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case call(String, JSONObject)
        case upload(path: String, key: String)
        case download(RemoteFile, path: String)
        case events
        case peer(Int64)
        /// Asks whether a program sent this `Message` of TL through the session.
        case sentByProgram(JSON)
        case status
        /// Cancels the request with this id.
        case cancel(Int64)
    }

    private enum Key {
        static let id = "id"
        static let method = "method"
        static let parameters = "params"
        static let deadline = "deadline"
        static let longestWait = "longest_wait"
        static let upload = "upload"
        static let download = "download"
        static let path = "path"
        static let uploadKey = "key"
        static let events = "events"
        static let peer = "peer"
        static let sentByProgram = "sent_by_program"
        static let status = "status"
        static let cancel = "cancel"
    }

    let kind: Kind
    /// The longest time for a call, not counting flood waits.
    let deadline: Duration
    /// The total of the flood waits that a call may wait out.
    let longestWait: Duration

    init(_ kind: Kind, deadline: Duration = CallOptions().deadline, longestWait: Duration = .zero) {
        (self.kind, self.deadline, self.longestWait) = (kind, deadline, longestWait)
    }

    // MARK: Writing

    /// The request's members, without its id.
    var members: JSONObject {
        switch kind {
        case .call(let method, let parameters):
            [
                Key.method: .string(method), Key.parameters: .object(parameters),
                Key.deadline: .number(deadline.seconds),
                Key.longestWait: longestWait > .zero ? .number(longestWait.seconds) : nil,
            ]
        case .upload(let path, let key):
            [Key.upload: .object([Key.path: .string(path), Key.uploadKey: .string(key)])]
        case .download(let file, let path):
            [Key.download: .object(JSONObject(file.json.members + [.init(key: Key.path, value: .string(path))]))]
        case .events: [Key.events: true]
        case .peer(let id): [Key.peer: .integer(id)]
        case .sentByProgram(let message): [Key.sentByProgram: message]
        case .status: [Key.status: true]
        case .cancel(let id): [Key.cancel: .integer(id)]
        }
    }

    // MARK: Reading

    /// Returns the id of a request, so that an error in the rest of it can be answered; nil if there is none.
    static func id(of json: JSON) -> Int64? { json.object?[Key.id]?.int }

    /// - Throws: `AccountError`, `socketProtocol`.
    init(_ json: JSON) throws(AccountError) {
        guard let object = json.object, OwnerRequest.id(of: json) != nil else {
            throw OwnerRequest.malformed("a request must be an object with an id, which is a number")
        }
        self.init(
            try OwnerRequest.kind(object),
            deadline: try OwnerRequest.duration(object, Key.deadline) ?? CallOptions().deadline,
            longestWait: try OwnerRequest.duration(object, Key.longestWait) ?? .zero)
    }

    private static func kind(_ object: JSONObject) throws(AccountError) -> Kind {
        if let method = object[Key.method] {
            guard let name = method.string else { throw malformed("method must be the name of a method") }
            guard let parameters = (object[Key.parameters] ?? .object([:])).object else {
                throw malformed("params must be an object")
            }
            return .call(name, parameters)
        }
        if let upload = object[Key.upload] {
            guard let path = path(upload), let key = upload[Key.uploadKey]?.string, (1...200).contains(key.utf8.count)
            else { throw malformed("upload must have an absolute path, and a key of 1 to 200 bytes") }
            return .upload(path: path, key: key)
        }
        if let download = object[Key.download] {
            guard let path = path(download), let file = RemoteFile(json: download) else {
                throw malformed("download must have an absolute path, a location and its dc")
            }
            return .download(file, path: path)
        }
        if object[Key.events]?.bool == true { return .events }
        if object[Key.status]?.bool == true { return .status }
        if let id = object[Key.peer]?.int { return .peer(id) }
        if let id = object[Key.cancel]?.int { return .cancel(id) }
        if let message = object[Key.sentByProgram] { return .sentByProgram(message) }
        throw malformed(
            "a request must have one of method, upload, download, events, peer, sent_by_program, status and cancel")
    }

    private static func path(_ json: JSON) -> String? {
        json[Key.path]?.string.flatMap { $0.hasPrefix("/") && !$0.utf8.contains(0) ? $0 : nil }
    }

    private static func duration(_ object: JSONObject, _ key: String) throws(AccountError) -> Duration? {
        guard let json = object[key] else { return nil }
        guard let seconds = json.double, (0...(7 * 86_400.0)).contains(seconds) else {
            throw malformed("\(key) must be a number of seconds, at most a week")
        }
        return .seconds(seconds)
    }

    private static func malformed(_ reason: String) -> AccountError { AccountError(.socketProtocol, reason) }
}

extension RemoteFile {
    private enum Key {
        static let location = "location"
        static let dataCenter = "dc"
        static let size = "size"
        static let origin = "origin"
        static let chat = "chat_id"
        static let message = "message_id"
    }

    var json: JSONObject {
        [
            Key.location: location, Key.dataCenter: .integer(Int64(dataCenter)),
            Key.size: sizeBytes.map { .integer($0) },
            Key.origin: origin.map {
                .object([Key.chat: .integer($0.chatID), Key.message: .integer($0.messageID)])
            },
        ]
    }

    /// Returns nil if a value is missing or impossible.
    init?(json: JSON) {
        guard let location = json[Key.location], location.object != nil, let dataCenter = json[Key.dataCenter]?.int,
            (1...1000).contains(dataCenter), RemoteFile.isPossible(sizeBytes: json[Key.size]?.int)
        else { return nil }
        var origin: MessageOrigin?
        if let chat = json[Key.origin]?[Key.chat]?.int, let message = json[Key.origin]?[Key.message]?.int {
            origin = MessageOrigin(chatID: chat, messageID: message)
        }
        self.init(
            location: location, dataCenter: Int(dataCenter), sizeBytes: json[Key.size]?.int, origin: origin)
    }
}
