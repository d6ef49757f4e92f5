import JSON
import Testing

@testable import Accounts
@testable import Updates

/// Compares each kind of media, service message and button with the fields of Telegram's Bot API.
///
/// Source: https://core.telegram.org/bots/api#available-types
@Suite struct BotFieldTests {
    private static let peers = Peers(of: [
        "users": [
            ["_": "user", "id": 77, "first_name": "Bob"],
            ["_": "user", "id": 9, "bot": true, "first_name": "Bot", "attach_menu_enabled": true],
        ],
        "chats": [
            ["_": "channel", "id": 5, "title": "News", "broadcast": true],
            ["_": "channel", "id": 6, "title": "Team", "megagroup": true],
            ["_": "channel", "id": 7, "title": "Letters", "monoforum": true],
        ],
    ])
    static let bob: JSON = ["id": 77, "is_bot": false, "first_name": "Bob"]
    static let news: JSON = ["id": -1_000_000_000_005, "title": "News", "type": "channel"]
    static let bobPeer: JSON = ["_": "peerUser", "user_id": "77"]
    static let newsPeer: JSON = ["_": "peerChannel", "channel_id": "5"]
    private static let teamPeer: JSON = ["_": "peerChannel", "channel_id": "6"]
    static let geo: JSON = ["_": "geoPoint", "lat": 1.5, "long": 2.5, "accuracy_radius": 10]
    static let bold: JSON = ["_": "messageEntityBold", "offset": 0, "length": 1]
    static let shownBold: JSON = [["offset": 0, "length": 1, "type": "bold"]]

    static func text(_ text: String) -> JSON {
        ["_": "textWithEntities", "text": .string(text), "entities": [bold]]
    }

    /// Returns the members that a message has beyond those of every message.
    private func shown(_ members: JSONObject, peer: JSON = bobPeer, stickerSets: [Int64: String] = [:]) throws -> JSON {
        var message: JSONObject = ["_": "message", "id": 8, "peer_id": peer, "date": 1000, "message": ""]
        for member in members.members { message[member.key] = member.value }
        let update: JSON = .object(["_": "updateNewMessage", "message": .object(message)])
        let shape = try #require(BotShape(update, own: 42, peers: Self.peers, stickerSets: stickerSets))
        let common: Set = ["message_id", "from", "sender_chat", "chat", "date", "text"]
        return .object(JSONObject((shape.body.object?.members ?? []).filter { !common.contains($0.key) }))
    }

    /// Compares without regard to the order of members.
    private func expect(_ json: JSON, _ expected: JSON, _ location: SourceLocation = #_sourceLocation) {
        func sorted(_ json: JSON) -> JSON {
            switch json {
            case .object(let object):
                .object(
                    JSONObject(
                        object.members.sorted { $0.key < $1.key }.map { .init(key: $0.key, value: sorted($0.value)) }))
            case .array(let items): .array(items.map(sorted))
            default: json
            }
        }
        #expect(sorted(json) == sorted(expected), "\(json.text)\n\(expected.text)", sourceLocation: location)
    }

    @Test(arguments: media.indices) func `Media have the Bot API's fields`(_ index: Int) throws {
        expect(try shown(["media": Self.media[index].tl]), Self.media[index].shown)
    }

    static let actions: [(tl: JSON, shown: JSON)] = [
        (["_": "messageActionChatAddUser", "users": ["77"]], ["new_chat_members": [bob]]),
        (["_": "messageActionChatDeleteUser", "user_id": "77"], ["left_chat_member": bob]),
        (["_": "messageActionChatEditTitle", "title": "T"], ["new_chat_title": "T"]),
        (["_": "messageActionChatDeletePhoto"], ["delete_chat_photo": true]),
        (["_": "messageActionChatCreate", "title": "T", "users": []], ["group_chat_created": true]),
        (["_": "messageActionChannelCreate", "title": "T"], ["supergroup_chat_created": true]),
        (["_": "messageActionChatMigrateTo", "channel_id": "6"], ["migrate_to_chat_id": -1_000_000_000_006]),
        (["_": "messageActionChannelMigrateFrom", "chat_id": "3"], ["migrate_from_chat_id": -3]),
        (
            ["_": "messageActionSetMessagesTTL", "period": 60],
            ["message_auto_delete_timer_changed": ["message_auto_delete_time": 60]]
        ),
        (
            ["_": "messageActionTopicCreate", "title": "T", "icon_color": 7, "icon_emoji_id": "12"],
            ["forum_topic_created": ["name": "T", "icon_color": 7, "icon_custom_emoji_id": "12"]]
        ),
        (
            ["_": "messageActionTopicEdit", "title": "T", "icon_emoji_id": "0"],
            ["forum_topic_edited": ["name": "T", "icon_custom_emoji_id": ""]]
        ),
        (["_": "messageActionTopicEdit", "closed": true], ["forum_topic_closed": [:]]),
        (["_": "messageActionTopicEdit", "closed": false], ["forum_topic_reopened": [:]]),
        (["_": "messageActionTopicEdit", "hidden": true], ["general_forum_topic_hidden": [:]]),
        (["_": "messageActionTopicEdit", "hidden": false], ["general_forum_topic_unhidden": [:]]),
        (["_": "messageActionGroupCallScheduled", "schedule_date": 9], ["video_chat_scheduled": ["start_date": 9]]),
        (["_": "messageActionGroupCall"], ["video_chat_started": [:]]),
        (["_": "messageActionGroupCall", "duration": 9], ["video_chat_ended": ["duration": 9]]),
        (
            ["_": "messageActionInviteToGroupCall", "users": ["77"]],
            ["video_chat_participants_invited": ["users": [bob]]]
        ),
        (["_": "messageActionBotAllowed", "domain": "a.example"], ["connected_website": "a.example"]),
        (["_": "messageActionBotAllowed", "from_request": true], ["write_access_allowed": ["from_request": true]]),
        (
            ["_": "messageActionWebViewDataSentMe", "text": "b", "data": "d"],
            ["web_app_data": ["data": "d", "button_text": "b"]]
        ),
        (
            ["_": "messageActionGeoProximityReached", "from_id": bobPeer, "to_id": bobPeer, "distance": 5],
            ["proximity_alert_triggered": ["traveler": bob, "watcher": bob, "distance": 5]]
        ),
        (["_": "messageActionBoostApply", "boosts": 2], ["boost_added": ["boost_count": 2]]),
        (["_": "messageActionGiveawayLaunch", "stars": "5"], ["giveaway_created": ["prize_star_count": 5]]),
        (
            ["_": "messageActionGiveawayResults", "winners_count": 2, "unclaimed_count": 1],
            ["giveaway_completed": ["winner_count": 2, "unclaimed_prize_count": 1]]
        ),
        (
            ["_": "messageActionPaidMessagesPrice", "stars": "5"],
            ["paid_message_price_changed": ["paid_message_star_count": 5]]
        ),
        (
            ["_": "messageActionTodoCompletions", "completed": [1], "incompleted": []],
            ["checklist_tasks_done": ["marked_as_done_task_ids": [1], "marked_as_not_done_task_ids": []]]
        ),
        (
            ["_": "messageActionTodoAppendTasks", "list": [["_": "todoItem", "id": 3, "title": text("A")]]],
            ["checklist_tasks_added": ["tasks": [["id": 3, "text": "A", "text_entities": shownBold]]]]
        ),
        (["_": "messageActionCustomAction", "message": "x"], [:]),
        (["_": "messageActionContactSignUp"], [:]),
    ]

    @Test(arguments: actions.indices) func `Service messages have the Bot API's fields`(_ index: Int) throws {
        let (action, expected) = Self.actions[index]
        let members: JSONObject = ["_": "messageService", "from_id": Self.bobPeer, "action": action]
        expect(try shown(members, peer: Self.teamPeer), expected)
    }

    @Test func `A pinned message and a new photo are shown with the service message`() throws {
        let pin: JSONObject = [
            "_": "messageService", "from_id": Self.bobPeer, "action": ["_": "messageActionPinMessage"],
            "reply_to": ["_": "messageReplyHeader", "reply_to_msg_id": 4],
        ]
        let pinned = try shown(pin, peer: Self.teamPeer)
        #expect(pinned["pinned_message"]?["message_id"] == 4 && pinned["reply_to_message"] == nil)
        let photo: JSON = [
            "_": "photo", "id": "1", "access_hash": "2", "file_reference": "AAAA", "dc_id": 2,
            "sizes": [["_": "photoSize", "type": "a", "w": 160, "h": 160, "size": 900]],
        ]
        let members: JSONObject = ["action": ["_": "messageActionChatEditPhoto", "photo": photo]]
        #expect(try shown(members, peer: Self.teamPeer)["new_chat_photo"]?.array?.first?["width"] == 160)
    }

    private static func document(_ attributes: JSON..., type: String = "video/mp4") -> JSON {
        [
            "_": "document", "id": "9007199254740993", "access_hash": "2", "file_reference": "AAAA", "dc_id": 2,
            "size": "5000", "mime_type": .string(type), "attributes": .array(attributes),
            "thumbs": [
                ["_": "photoStrippedSize", "type": "i", "bytes": "AAAA"],
                ["_": "photoSize", "type": "m", "w": 320, "h": 180, "size": 900],
            ],
        ]
    }

    @Test(
        arguments: [
            ("video", ["_": "documentAttributeVideo", "duration": 3.0, "w": 640, "h": 360]),
            (
                "video_note",
                ["_": "documentAttributeVideo", "round_message": true, "duration": 3.0, "w": 240, "h": 240]
            ),
            ("audio", ["_": "documentAttributeAudio", "duration": 3]),
            ("animation", ["_": "documentAttributeAnimated"]),
            ("document", ["_": "documentAttributeFilename", "file_name": "a"]),
        ] as [(String, JSON)])
    func `A file's preview picture can be downloaded`(_ kind: String, _ attribute: JSON) throws {
        let shown = try shown(["media": ["_": "messageMediaDocument", "document": Self.document(attribute)]])
        let thumbnail = try #require(shown[kind]?["thumbnail"])
        #expect(thumbnail["width"] == 320 && thumbnail["height"] == 180 && thumbnail["file_size"] == 900)
        let id = try #require(AccountFileID(thumbnail["file_id"]?.string ?? ""))
        #expect(
            id.remoteFile.location["_"] == "inputDocumentFileLocation" && id.remoteFile.location["thumb_size"] == "m")
        #expect(thumbnail["file_unique_id"] != shown[kind]?["file_unique_id"])
    }

    @Test func `A sticker tells its set, its kind and its place on a face`() throws {
        let set: JSON = ["_": "inputStickerSetID", "id": "5", "access_hash": "6"]
        let coordinates: JSON = ["_": "maskCoords", "n": 1, "x": 0.5, "y": -0.5, "zoom": 2.0]
        let attribute: JSON = [
            "_": "documentAttributeSticker", "alt": "🎭", "mask": true, "stickerset": set, "mask_coords": coordinates,
        ]
        let document = Self.document(
            attribute, ["_": "documentAttributeImageSize", "w": 512, "h": 512], type: "image/webp")
        let media: JSON = ["_": "messageMediaDocument", "document": document]
        #expect(BotMedia.stickerSet(in: media) == set)
        let sticker = try shown(["media": media], stickerSets: [5: "Masks"])["sticker"]
        #expect(sticker?["type"] == "mask" && sticker?["set_name"] == "Masks" && sticker?["emoji"] == "🎭")
        #expect(sticker?["mask_position"]?["point"] == "eyes" && sticker?["thumbnail"]?["width"] == 320)
        #expect(try shown(["media": media])["sticker"]?["set_name"] == nil)
    }

    @Test func `A video tells its cover and start, and a caption above the media is told`() throws {
        let video: JSON = ["_": "documentAttributeVideo", "duration": 3.0, "w": 640, "h": 360]
        let cover: JSON = [
            "_": "photo", "id": "1", "access_hash": "2", "file_reference": "AAAA", "dc_id": 2,
            "sizes": [["_": "photoSize", "type": "x", "w": 640, "h": 360, "size": 900]],
        ]
        let media: JSON = [
            "_": "messageMediaDocument", "document": Self.document(video), "video_cover": cover, "video_timestamp": 7,
            "spoiler": true,
        ]
        let shown = try shown(["media": media, "message": "c", "invert_media": true])
        #expect(shown["video"]?["start_timestamp"] == 7 && shown["video"]?["cover"]?.array?.count == 1)
        #expect(shown["has_media_spoiler"] == true && shown["show_caption_above_media"] == true)
    }

    /// Older layers have a constructor for each kind of button; the newest have a member for it.
    @Test func `Inline buttons of all layers have the Bot API's fields`() throws {
        let data = "eA=="
        let old: [JSON] = [
            ["_": "keyboardButtonUrl", "text": "t", "url": "https://a.example/"],
            ["_": "keyboardButtonCallback", "text": "t", "data": .string(data)],
            ["_": "keyboardButtonSwitchInline", "text": "t", "query": "q", "same_peer": true],
            ["_": "keyboardButtonUserProfile", "text": "t", "user_id": "77"], ["_": "keyboardButtonBuy", "text": "t"],
        ]
        let new: [JSON] = [
            ["_": "inlineButtonTypeUrl", "url": "https://a.example/"],
            ["_": "inlineButtonTypeCallback", "data": .string(data)],
            ["_": "inlineButtonTypeSwitchInline", "query": "q", "same_peer": true],
            ["_": "inlineButtonTypeUserProfile", "user_id": "77"], ["_": "inlineButtonTypeBuy"],
        ]
        let expected: JSON = [
            [
                ["text": "t", "url": "https://a.example/"], ["text": "t", "callback_data": "x"],
                ["text": "t", "switch_inline_query_current_chat": "q"], ["text": "t", "url": "tg://user?id=77"],
                ["text": "t", "pay": true],
            ]
        ]
        let wrapped = new.map { JSON.object(["_": "keyboardInlineButton", "text": "t", "type": $0]) }
        for buttons in [old, wrapped] {
            let row: JSON = .object(["_": "keyboardButtonRow", "buttons": .array(buttons)])
            let markup: JSON = .object(["_": "replyInlineMarkup", "rows": [row]])
            #expect(
                try shown(["message": "x", "reply_markup": markup])["reply_markup"]?["inline_keyboard"] == expected)
        }
        #expect(try shown(["reply_markup": ["_": "replyKeyboardHide"]])["reply_markup"] == nil)
    }

    @Test func `An answer to a message of another chat tells its origin`() throws {
        let header: JSON = [
            "_": "messageReplyHeader", "quote": true, "reply_to_msg_id": 4, "reply_to_peer_id": Self.newsPeer,
            "quote_text": "q", "quote_offset": 3,
            "reply_from": ["_": "messageFwdHeader", "from_id": Self.newsPeer, "date": 900, "channel_post": 4],
            "reply_media": ["_": "messageMediaDice", "value": 4, "emoticon": "🎲"],
        ]
        let shown = try shown(["reply_to": header])
        expect(
            shown,
            [
                "external_reply": [
                    "origin": ["type": "channel", "date": 900, "chat": Self.news, "message_id": 4], "chat": Self.news,
                    "message_id": 4, "dice": ["emoji": "🎲", "value": 4],
                ], "quote": ["text": "q", "position": 3, "is_manual": true],
            ])
        let story: JSON = ["_": "messageReplyStoryHeader", "peer": Self.newsPeer, "story_id": 3]
        expect(try self.shown(["reply_to": story]), ["reply_to_story": ["chat": Self.news, "id": 3]])
    }

    @Test func `The members of a message have the Bot API's names`() throws {
        let members: JSONObject = [
            "message": "x", "from_boosts_applied": 2, "via_bot_id": "9", "noforwards": true, "offline": true,
            "effect": "12", "paid_message_stars": "5", "grouped_id": "13",
            "media": [
                "_": "messageMediaWebPage", "force_small_media": true,
                "webpage": ["_": "webPage", "url": "https://a.example/"],
            ],
        ]
        expect(
            try shown(members),
            [
                "sender_boost_count": 2,
                "via_bot": ["id": 9, "is_bot": true, "first_name": "Bot", "added_to_attachment_menu": true],
                "has_protected_content": true, "is_from_offline": true, "effect_id": "12", "paid_star_count": 5,
                "media_group_id": "13",
                "link_preview_options": ["url": "https://a.example/", "prefer_small_media": true],
            ])
    }

    @Test func `A broadcast channel's deleted messages need the channel as a peer`() throws {
        let update: JSON = ["_": "updateDeleteChannelMessages", "channel_id": "5", "messages": [1, 2]]
        #expect(BotShape.mentioned(in: update).peers == [-1_000_000_000_005])
        let shape = try #require(BotShape(update, own: 42, peers: Self.peers))
        expect(shape.body, ["chat": Self.news, "message_ids": [1, 2]])
    }

    @Test func `All peers that a message names are looked up`() {
        let message: JSON = [
            "_": "message", "id": 1, "peer_id": Self.teamPeer,
            "reply_to": ["_": "messageReplyHeader", "reply_to_peer_id": Self.newsPeer],
            "action": ["_": "messageActionChatAddUser", "users": ["77"]],
            "media": ["_": "messageMediaGiveaway", "channels": ["7"]],
        ]
        let peers = Set(BotShape.mentioned(in: ["message": message]).peers)
        #expect(peers == [-1_000_000_000_006, -1_000_000_000_005, 77, -1_000_000_000_007])
    }
}
