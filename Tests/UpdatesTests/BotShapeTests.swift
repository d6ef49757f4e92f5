import JSON
import Testing

@testable import Updates

private let people: Peers = Peers(of: [
    "users": [
        ["_": "user", "id": 42, "self": true, "first_name": "Alice", "phone": "15550100042", "premium": true],
        [
            "_": "user", "id": 77, "first_name": "Bob", "last_name": "Roe",
            "usernames": [
                ["_": "username", "username": "old"], ["_": "username", "active": true, "username": "bobby"],
            ],
        ],
        ["_": "user", "id": 9, "bot": true, "first_name": "Gifs", "username": "gif"],
    ],
    "chats": [
        ["_": "channel", "id": 5, "title": "News", "broadcast": true, "username": "news"],
        ["_": "channel", "id": 6, "title": "Team", "megagroup": true, "forum": true],
        ["_": "chat", "id": 3, "title": "Group"],
    ],
])

/// The Bot API's shape of a new message.
private func shape(_ more: JSONObject, replied: JSON? = nil) -> BotShape? {
    var message: JSONObject = [
        "_": "message", "id": 8, "peer_id": ["_": "peerUser", "user_id": 77], "date": 1000, "message": "text",
    ]
    for member in more.members { message[member.key] = member.value }
    return BotShape(
        .object(["_": "updateNewMessage", "message": .object(message)]), own: 42, peers: people, replied: replied)
}

private let team: JSON = ["_": "peerChannel", "channel_id": 6]
private let news: JSON = ["_": "peerChannel", "channel_id": 5]

@Suite struct BotShapeTests {
    @Test func `A private message comes from its chat and an outgoing one from the account`() throws {
        let theirs = try #require(shape([:]))
        #expect(theirs.kind == "message" && !theirs.isOutgoing)
        #expect(theirs.body["from"]?["username"] == "bobby" && theirs.body["chat"]?["id"] == 77)
        #expect(theirs.body["chat"]?["last_name"] == "Roe" && theirs.body["chat"]?["type"] == "private")
        let own = try #require(shape(["out": true]))
        #expect(own.isOutgoing && own.body["from"]?["id"] == 42 && own.body["chat"]?["id"] == 77)
        #expect(own.body["from"]?["is_premium"] == true)
        #expect(!own.body.text.contains("15550100042"))
    }

    @Test func `A channel post belongs to the channel and has no sender`() throws {
        let post = try #require(shape(["peer_id": news, "post": true, "post_author": "Ed"]))
        #expect(post.kind == "channel_post" && post.body["from"] == nil)
        #expect(post.body["sender_chat"]?["id"] == -1_000_000_000_005 && post.body["chat"]?["type"] == "channel")
        #expect(post.body["author_signature"] == "Ed")
    }

    @Test func `Chats that speak in a group have the names that the Bot API gives them`() throws {
        let admin = try #require(shape(["peer_id": team]))
        #expect(admin.body["from"]?["username"] == "GroupAnonymousBot")
        #expect(admin.body["sender_chat"]?["id"] == -1_000_000_000_006)
        let channel = try #require(shape(["peer_id": team, "from_id": news]))
        #expect(channel.body["from"]?["username"] == "Channel_Bot" && channel.body["sender_chat"]?["title"] == "News")
        #expect(channel.body["chat"]?["is_forum"] == true && channel.body["chat"]?["type"] == "supergroup")
    }

    @Test func `A forwarded message tells its origin`() {
        let header: JSONObject = ["_": "messageFwdHeader", "date": 900]
        func origin(_ more: JSONObject) -> JSON? {
            let members = header.members + more.members
            return shape(["fwd_from": .object(JSONObject(members))])?.body["forward_origin"]
        }
        let user = origin(["from_id": ["_": "peerUser", "user_id": 77]])
        #expect(user?["type"] == "user" && user?["sender_user"]?["id"] == 77 && user?["date"] == 900)
        let post = origin(["from_id": news, "channel_post": 4])
        #expect(post?["type"] == "channel" && post?["chat"]?["title"] == "News" && post?["message_id"] == 4)
        #expect(origin(["from_id": team])?["type"] == "chat")
        #expect(origin(["from_name": "Somebody"])?["sender_user_name"] == "Somebody")
        // Commands in forwarded messages are not obeyed, so one of nobody is forwarded as well.
        #expect(origin([:])?["type"] == "hidden_user")
    }

    @Test func `A message in a topic is not a reply, and a reply in a topic is both`() throws {
        let plain = try #require(
            shape([
                "peer_id": team, "reply_to": ["_": "messageReplyHeader", "forum_topic": true, "reply_to_msg_id": 2],
            ]))
        #expect(plain.body["message_thread_id"] == 2 && plain.body["is_topic_message"] == true)
        #expect(plain.body["reply_to_message"] == nil)
        let header: JSON = [
            "_": "messageReplyHeader", "forum_topic": true, "reply_to_msg_id": 4, "reply_to_top_id": 2,
        ]
        let answer = try #require(shape(["peer_id": team, "reply_to": header]))
        #expect(answer.body["message_thread_id"] == 2 && answer.body["reply_to_message"]?["message_id"] == 4)
        #expect(answer.body["reply_to_message"]?["date"] == 0)
    }

    @Test func `A reply includes the original message, one level deep`() throws {
        let header: JSON = ["_": "messageReplyHeader", "reply_to_msg_id": 4]
        let replied: JSON = .object([
            "_": "message", "id": 4, "peer_id": ["_": "peerUser", "user_id": 77], "date": 900, "message": "first",
            "reply_to": header,
        ])
        let answer = try #require(shape(["reply_to": header], replied: replied)).body["reply_to_message"]
        #expect(answer?["text"] == "first" && answer?["reply_to_message"] == nil)
        #expect(BotShape.mentioned(in: ["message": replied]).message?.messageID == 4)
    }

    @Test func `Formatting that the Bot API does not know is left out`() throws {
        let entities: JSON = [
            ["_": "messageEntityBold", "offset": 0, "length": 2],
            ["_": "messageEntityUnknown", "offset": 0, "length": 2],
            ["_": "messageEntityMentionName", "offset": 2, "length": 1, "user_id": 77],
            ["_": "messageEntityCustomEmoji", "offset": 3, "length": 1, "document_id": "9007199254740993"],
        ]
        let shown = try #require(shape(["entities": entities])?.body["entities"]?.array)
        #expect(shown.map { $0["type"] } == ["bold", "text_mention", "custom_emoji"])
        #expect(shown[1]["user"]?["first_name"] == "Bob" && shown[2]["custom_emoji_id"] == "9007199254740993")
    }

    @Test func `A change of a message's reactions or buttons is not an edit`() {
        func edit(_ more: JSONObject) -> BotShape? {
            var message: JSONObject = ["_": "message", "id": 8, "peer_id": news, "date": 1, "message": "x"]
            for member in more.members { message[member.key] = member.value }
            return BotShape(
                .object(["_": "updateEditChannelMessage", "message": .object(message)]), own: 42, peers: people)
        }
        #expect(edit(["edit_date": 2])?.kind == "edited_channel_post")
        #expect(edit([:]) == nil)
        #expect(edit(["edit_date": 2, "edit_hide": true]) == nil)
    }

    @Test func `Reactions are counted`() throws {
        let update: JSON = [
            "_": "updateMessageReactions", "peer": ["_": "peerUser", "user_id": 77], "msg_id": 4,
            "reactions": [
                "_": "messageReactions",
                "results": [
                    ["_": "reactionCount", "count": 2, "reaction": ["_": "reactionEmoji", "emoticon": "👍"]]
                ],
            ],
        ]
        let shown = try #require(BotShape(update, own: 42, peers: people))
        #expect(shown.kind == "message_reaction_count" && shown.body["message_id"] == 4)
        #expect(shown.body["reactions"]?.array?.first?["total_count"] == 2)
    }

    @Test(
        arguments: [
            ["_": "updateNewMessage"], ["_": "updateNewMessage", "message": ["_": "messageEmpty", "id": 1]],
            ["_": "updateNewMessage", "message": ["_": "message", "id": "x", "peer_id": 1]],
            ["_": "updateDeleteMessages"], ["_": "updateUserTyping", "user_id": 1], [:], [1], "x",
        ] as [JSON])
    func `Updates that make no message are left out`(_ update: JSON) {
        #expect(BotShape(update, own: 42, peers: people) == nil)
    }

    @Test func `A message from unknown peers is shown with their ids`() throws {
        let body = try #require(
            BotShape(
                .object([
                    "_": "updateNewMessage",
                    "message": ["_": "message", "id": 1, "peer_id": ["_": "peerUser", "user_id": 1234]],
                ]), own: 42, peers: Peers())
        ).body
        #expect(body["from"]?["id"] == 1234 && body["chat"]?["id"] == 1234 && body["date"] == 0)
    }
}
