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
    var media: JSONView?
    var text: JSONView?
    var entities: JSONView?
    var views: JSONView?
    var forwards: JSONView?
    var replies: JSONView?
    var reactions: JSONView?
    var isOutgoing = false
    var isEditHidden = false
    var isProtected = false
    /// Is true if the message is not written directly: it has a rare part, or is not an ordinary message with id and chat.
    var isRare = false

    init(_ message: JSONView) {
        var isMessage = false
        for (key, value) in message.members where !value.isNull {
            switch key.count {
            case 1: isMessage = value.isText("message")
            case 2: id = value
            case 3: if key.isEqual(to: "out") { isOutgoing = value.isTrue }
            case 4: if key.isEqual(to: "date") { date = value }
            case 5: take(five: key, value)
            case 6: if key.isEqual(to: "action") || key.isEqual(to: "effect") { isRare = true }
            case 7: take(seven: key, value)
            case 8: take(eight: key, value)
            case 9: take(nine: key, value)
            case 10: take(ten: key, value)
            default: take(long: key, value)
            }
        }
        if !isMessage || id?.int == nil || chat == nil { isRare = true }
    }

    private mutating func take(five key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.isEqual(to: "media") { media = value } else if key.isEqual(to: "views") { views = value }
    }

    private mutating func take(seven key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.isEqual(to: "message") {
            text = value
        } else if key.isEqual(to: "peer_id") {
            chat = PeerID(value)
        } else if key.isEqual(to: "from_id") {
            from = PeerID(value)
        } else if key.isEqual(to: "replies") {
            replies = value
        } else if key.isEqual(to: "offline") {
            isRare = true
        }
    }

    private mutating func take(eight key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.isEqual(to: "entities") {
            entities = value
        } else if key.isEqual(to: "reply_to") {
            reply = value
        } else if key.isEqual(to: "fwd_from") {
            forward = value
        } else if key.isEqual(to: "forwards") {
            forwards = value
        }
    }

    private mutating func take(nine key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.isEqual(to: "reactions") {
            reactions = value
        } else if key.isEqual(to: "edit_date") {
            editDate = value
        } else if key.isEqual(to: "edit_hide") {
            isEditHidden = value.isTrue
        }
    }

    private mutating func take(ten key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.isEqual(to: "grouped_id") {
            album = value.long
        } else if key.isEqual(to: "noforwards") {
            isProtected = value.isTrue
        } else if key.isEqual(to: "via_bot_id") {
            viaBot = value.long
        }
    }

    private mutating func take(long key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.isEqual(to: "post_author") {
            author = value
        } else if key.isEqual(to: "reply_markup") || key.isEqual(to: "invert_media")
            || key.isEqual(to: "from_boosts_applied") || key.isEqual(to: "via_business_bot_id")
            || key.isEqual(to: "paid_message_stars") || key.isEqual(to: "paid_suggested_post_stars")
            || key.isEqual(to: "paid_suggested_post_ton")
        {
            isRare = true
        }
    }
}
