import Accounts
import HTTP
import JSON
import Media
import System
import TL

/// A link to messages of a channel or supergroup: `https://t.me/NAME/12`, or `https://t.me/c/1234567890/12` for one without
/// a public name. The id of a topic may stand before the message, and a range (`12-40`) in its place.
struct MessageLink: Equatable {
    /// The chat, as `Account.call` takes it: `@name`, or the Bot API's id.
    let chat: JSON
    let ids: ClosedRange<Int64>
    /// Is true if the message alone is meant, and not the album that it belongs to.
    let isSingle: Bool

    private static let hosts: Set<String> = [
        "t.me", "telegram.me", "telegram.dog", "www.t.me", "www.telegram.me", "www.telegram.dog",
    ]
    private static let messageIDs: ClosedRange<Int64> = 1...Int64(Int32.max)

    /// Returns nil for another link.
    init?(_ link: String) {
        guard let url = WebURL(link), MessageLink.hosts.contains(url.host) else { return nil }
        var steps = url.path.split(separator: "/").map(String.init)
        guard let last = steps.popLast(), let ids = MessageLink.range(last) else { return nil }
        if steps.first == "c" {
            steps.removeFirst()
            guard let number = steps.first.flatMap({ Int64($0) }), number > 0,
                PeerID(botAPI: PeerID.channel(number).botAPI) == .channel(number)
            else { return nil }
            chat = .integer(PeerID.channel(number).botAPI)
        } else {
            // `t.me/s/NAME/12` is the page for browsers.
            if steps.count > 1, steps.first == "s" { steps.removeFirst() }
            guard let name = steps.first, name.first?.isLetter == true else { return nil }
            chat = .string("@\(name)")
        }
        // What is left is the chat, or the chat and a topic.
        guard steps.count == 1 || steps.count == 2 && MessageLink.range(steps[1]) != nil else { return nil }
        self.ids = ids
        let parameters = (url.query ?? "").split(separator: "&")
        isSingle = ids.count > 1 || parameters.contains { $0 == "single" || $0.hasPrefix("single=") }
    }

    private static func range(_ text: String) -> ClosedRange<Int64>? {
        let numbers = text.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
        guard (1...2).contains(numbers.count), let first = numbers[0], let last = numbers[numbers.count - 1],
            messageIDs.contains(first), messageIDs.contains(last), first <= last
        else { return nil }
        return first...last
    }

    /// The ids to ask for. The messages of an album have at most nine others beside them.
    var wanted: ClosedRange<Int64> {
        isSingle ? ids : max(1, ids.lowerBound - 9)...min(MessageLink.messageIDs.upperBound, ids.upperBound + 9)
    }

    /// Returns the messages that the link means, in order.
    ///
    /// - Parameter messages: what Telegram returned for `wanted`.
    func chosen(of messages: [JSON]) -> [JSON] {
        let found = messages.filter { $0["_"] == "message" }
        guard !isSingle else { return found }
        guard let own = found.first(where: { $0["id"]?.int == ids.lowerBound }) else { return [] }
        guard let album = own["grouped_id"] else { return [own] }
        return found.filter { $0["grouped_id"] == album }
    }
}

/// A file of a message.
struct MessageFile {
    let file: AccountFileID
    /// A safe name: the sender's own, or one of the chat and the message.
    let name: String

    /// Returns nil if the message has no file.
    init?(of message: JSON, in chat: PeerID) {
        guard let id = message["id"]?.int, let media = message["media"],
            let file = AccountFileID.files(
                of: media, origin: MessageOrigin(chatID: chat.botAPI, messageID: id)
            ).last
        else { return nil }
        self.file = file
        let document = media["document"]
        let attribute = document?["attributes"]?.array?.first { $0["_"] == "documentAttributeFilename" }
        let ending =
            document.map { FileType.fileExtension(ofContentType: $0["mime_type"]?.string ?? "") ?? "bin" } ?? "jpg"
        name =
            (attribute?["file_name"]?.string).flatMap { FileName.safe($0) }
            ?? "\(chat.botAPI.magnitude)-\(id).\(ending)"
    }
}

/// Fetches the files of messages as an account.
struct MessageFiles {
    private static let page = 100
    let account: any Account

    /// Downloads all files of the messages that a link means, and passes each on.
    ///
    /// - Parameters:
    ///   - folder: an empty folder for the downloads.
    ///   - skips: receives the name and the size of a file, and returns whether it is left out.
    ///   - onProgress: receives the name, the number of bytes so far, and the size if it is known.
    /// - Throws: what the account throws; `MediaError` if there is no such message, or none with a file.
    func fetch(
        _ link: MessageLink, folder: String, skips: (String, Int64?) throws -> Bool,
        onProgress: @escaping @Sendable (String, Int64, Int64?) -> Void,
        take: (_ path: String, _ name: String) throws -> Void
    ) async throws {
        var (messages, files) = (0, 0)
        for start in stride(from: link.wanted.lowerBound, through: link.wanted.upperBound, by: MessageFiles.page) {
            let end = min(link.wanted.upperBound, start + Int64(MessageFiles.page) - 1)
            let found = link.chosen(of: try await read(link, start...end))
            messages += found.count
            for message in found {
                guard let chat = message["peer_id"].flatMap({ PeerID(tl: $0) }),
                    let file = MessageFile(of: message, in: chat)
                else { continue }
                files += 1
                let path = "\(folder)/\(files)"
                let (name, size) = (file.name, file.file.sizeBytes)
                if try skips(name, size) { continue }
                try await account.download(file.file.remoteFile, to: absolutePath(path)) { onProgress(name, $0, size) }
                try take(path, name)
            }
        }
        guard messages > 0 else {
            throw MediaError(.noMedia, "There is no such message, or this account cannot see it.")
        }
        guard files > 0 else { throw MediaError(.noMedia, "The message has no file.") }
    }

    private func read(_ link: MessageLink, _ ids: ClosedRange<Int64>) async throws -> [JSON] {
        let wanted = ids.map { JSON.object(["_": "inputMessageID", "id": .integer($0)]) }
        var options = CallOptions()
        options.longestWait = .seconds(60)
        let answer = try await account.call(
            "channels.getMessages", ["channel": link.chat, "id": .array(wanted)], options)
        return try answer.json()["messages"]?.array ?? []
    }
}
