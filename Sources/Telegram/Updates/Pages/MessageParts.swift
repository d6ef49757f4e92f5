import Accounts
import JSON

/// The parts of a `Message` of TL that its form in the Bot API depends on.
struct MessageParts {
    var id: JSONView?
    var chat: PeerID?
    var from: PeerID?
    var date: JSONView?
    var editDate: JSONView?
    var author: JSONView?
    var forward: JSONView?
    var reply: JSONView?
    var viaBot: Int64?
    var album: Int64?
    /// The change that a service message tells of.
    var action: JSONView?
    var media: JSONView?
    var text: JSONView?
    var entities: JSONView?
    var views: JSONView?
    var forwards: JSONView?
    var replies: JSONView?
    var reactions: JSONView?
    /// The buttons below the message.
    var markup: JSONView?
    var isOutgoing = false
    var isEditHidden = false
    var isProtected = false
    /// Is true if the message is not written directly: it has a rare part, or is not an ordinary message with id and chat.
    var isRare = false

    init(_ message: JSONView) {
        var (isMessage, isService) = (false, false)
        for (key, value) in message.members where !value.isNull {
            switch key.count {
            case 1: (isMessage, isService) = (value.matches("message"), value.matches("messageService"))
            case 2: id = value
            case 3: if key.matches("out") { isOutgoing = value.isTrue }
            case 4: if key.matches("date") { date = value }
            case 5: take(five: key, value)
            case 6: if key.matches("action") { action = value } else if key.matches("effect") { isRare = true }
            case 7: take(seven: key, value)
            case 8: take(eight: key, value)
            case 9: take(nine: key, value)
            case 10: take(ten: key, value)
            default: take(long: key, value)
            }
        }
        if !(action == nil ? isMessage : isService) || id?.int == nil || chat == nil { isRare = true }
    }

    private mutating func take(five key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.matches("media") { media = value } else if key.matches("views") { views = value }
    }

    private mutating func take(seven key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.matches("message") {
            text = value
        } else if key.matches("peer_id") {
            chat = PeerID(value)
        } else if key.matches("from_id") {
            from = PeerID(value)
        } else if key.matches("replies") {
            replies = value
        } else if key.matches("offline") {
            isRare = true
        }
    }

    private mutating func take(eight key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.matches("entities") {
            entities = value
        } else if key.matches("reply_to") {
            reply = value
        } else if key.matches("fwd_from") {
            forward = value
        } else if key.matches("forwards") {
            forwards = value
        }
    }

    private mutating func take(nine key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.matches("reactions") {
            reactions = value
        } else if key.matches("edit_date") {
            editDate = value
        } else if key.matches("edit_hide") {
            isEditHidden = value.isTrue
        }
    }

    private mutating func take(ten key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.matches("grouped_id") {
            album = value.long
        } else if key.matches("noforwards") {
            isProtected = value.isTrue
        } else if key.matches("via_bot_id") {
            viaBot = value.long
        }
    }

    private mutating func take(long key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.matches("post_author") {
            author = value
        } else if key.matches("reply_markup") {
            markup = value
        } else if key.matches("invert_media")
            || key.matches("from_boosts_applied") || key.matches("via_business_bot_id")
            || key.matches("paid_message_stars") || key.matches("paid_suggested_post_stars")
            || key.matches("paid_suggested_post_ton")
        {
            isRare = true
        }
    }
}
