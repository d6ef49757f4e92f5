import Accounts
import JSON

/// Shows service messages, which tell of changes of a chat, in the form of the Bot API.
struct BotService {
    let chat: PeerID
    /// The sender in the form of the Bot API.
    let sender: JSON?
    let names: BotPeers
    let origin: MessageOrigin
    /// The message that the service message refers to, in the form of the Bot API.
    let referenced: JSON?

    /// Returns the members that a `MessageAction` adds to a message; none for an action that the Bot API does not show.
    func content(_ action: JSON) -> JSONObject {
        let kind = action["_"]?.string ?? ""
        if let content = members(action, kind) ?? details(action, kind) ?? payments(action, kind) { return content }
        return [:]
    }

    // MARK: Members and the chat itself

    private func members(_ action: JSON, _ kind: String) -> JSONObject? {
        switch kind {
        case "messageActionChatAddUser": ["new_chat_members": users(action["users"])]
        case "messageActionChatJoinedByLink", "messageActionChatJoinedByRequest", "messageActionChatJoinedViaCommunity":
            ["new_chat_members": sender.map { .array([$0]) }]
        case "messageActionChatDeleteUser": ["left_chat_member": action["user_id"]?.long.map(names.user)]
        case "messageActionChatEditTitle": ["new_chat_title": action["title"]]
        case "messageActionChatEditPhoto":
            ["new_chat_photo": action["photo"].flatMap { BotMedia.sizes(of: $0, origin) }]
        case "messageActionChatDeletePhoto": ["delete_chat_photo": true]
        case "messageActionChatCreate": ["group_chat_created": true]
        case "messageActionChannelCreate":
            [names.isBroadcast(chat) ? "channel_chat_created" : "supergroup_chat_created": true]
        case "messageActionChatMigrateTo":
            ["migrate_to_chat_id": action["channel_id"]?.long.map { .integer(PeerID.channel($0).botAPI) }]
        case "messageActionChannelMigrateFrom":
            ["migrate_from_chat_id": action["chat_id"]?.long.map { .integer(PeerID.chat($0).botAPI) }]
        case "messageActionPinMessage": ["pinned_message": referenced]
        case "messageActionSetMessagesTTL":
            ["message_auto_delete_timer_changed": .object(["message_auto_delete_time": action["period"]])]
        case "messageActionTopicCreate": ["forum_topic_created": createdTopic(action)]
        case "messageActionTopicEdit": topic(action)
        default: nil
        }
    }

    private func users(_ ids: JSON?) -> JSON { .array((ids?.array ?? []).compactMap(\.long).map(names.user)) }

    private func createdTopic(_ action: JSON) -> JSON {
        .object([
            "name": action["title"], "icon_color": action["icon_color"],
            "icon_custom_emoji_id": emojiID(action["icon_emoji_id"]),
            "is_name_implicit": action["title_missing"]?.bool == true ? true : nil,
        ])
    }

    private func topic(_ action: JSON) -> JSONObject {
        if let isClosed = action["closed"]?.bool {
            return [isClosed ? "forum_topic_closed" : "forum_topic_reopened": .object([:])]
        }
        if let isHidden = action["hidden"]?.bool {
            return [isHidden ? "general_forum_topic_hidden" : "general_forum_topic_unhidden": .object([:])]
        }
        // An icon that is taken away has the id 0, which the Bot API shows as an empty text.
        let icon = action["icon_emoji_id"]?.long.map { JSON.string($0 == 0 ? "" : "\($0)") }
        return ["forum_topic_edited": .object(["name": action["title"], "icon_custom_emoji_id": icon])]
    }

    private func emojiID(_ id: JSON?) -> JSON? { id?.long.flatMap { $0 == 0 ? nil : .string("\($0)") } }

    // MARK: Calls, games, permissions

    private func details(_ action: JSON, _ kind: String) -> JSONObject? {
        switch kind {
        case "messageActionGroupCallScheduled":
            ["video_chat_scheduled": .object(["start_date": action["schedule_date"]])]
        case "messageActionGroupCall":
            action["duration"].map { ["video_chat_ended": .object(["duration": $0])] }
                ?? ["video_chat_started": .object([:])]
        case "messageActionInviteToGroupCall":
            ["video_chat_participants_invited": .object(["users": users(action["users"])])]
        case "messageActionBotAllowed": allowed(action)
        case "messageActionWebViewDataSentMe":
            ["web_app_data": .object(["data": action["data"], "button_text": action["text"]])]
        case "messageActionGeoProximityReached": proximity(action)
        case "messageActionBoostApply": ["boost_added": .object(["boost_count": action["boosts"]])]
        case "messageActionTodoCompletions":
            [
                "checklist_tasks_done": .object([
                    "checklist_message": referenced, "marked_as_done_task_ids": action["completed"],
                    "marked_as_not_done_task_ids": action["incompleted"],
                ])
            ]
        case "messageActionTodoAppendTasks":
            [
                "checklist_tasks_added": .object([
                    "checklist_message": referenced, "tasks": .array((action["list"]?.array ?? []).map(task)),
                ])
            ]
        default: nil
        }
    }

    private func task(_ item: JSON) -> JSON { .object(BotAttachments(names: names, origin: origin).task(item)) }

    private func allowed(_ action: JSON) -> JSONObject {
        if let domain = action["domain"] { return ["connected_website": domain] }
        return [
            "write_access_allowed": .object([
                "from_request": action["from_request"]?.bool == true ? true : nil,
                "web_app_name": action["app"]?["short_name"],
                "from_attachment_menu": action["attach_menu"]?.bool == true ? true : nil,
            ])
        ]
    }

    private func proximity(_ action: JSON) -> JSONObject? {
        func user(_ key: String) -> JSON? {
            if case .user(let id)? = action[key].flatMap({ PeerID(tl: $0) }) { names.user(id) } else { nil }
        }
        guard let traveler = user("from_id"), let watcher = user("to_id") else { return nil }
        return [
            "proximity_alert_triggered": .object([
                "traveler": traveler, "watcher": watcher, "distance": action["distance"],
            ])
        ]
    }

    // MARK: Payments and giveaways

    private func payments(_ action: JSON, _ kind: String) -> JSONObject? {
        switch kind {
        case "messageActionGiveawayLaunch":
            ["giveaway_created": .object(["prize_star_count": positive(action["stars"])])]
        case "messageActionGiveawayResults":
            [
                "giveaway_completed": .object([
                    "winner_count": action["winners_count"],
                    "unclaimed_prize_count": positive(action["unclaimed_count"]), "giveaway_message": referenced,
                    "is_star_giveaway": action["stars"]?.bool == true ? true : nil,
                ])
            ]
        case "messageActionPaidMessagesPrice": price(action)
        case "messageActionPaymentRefunded":
            [
                "refunded_payment": .object([
                    "currency": action["currency"], "total_amount": positive(action["total_amount"]) ?? 0,
                    "invoice_payload": text(action["payload"]) ?? "",
                    "telegram_payment_charge_id": action["charge"]?["id"],
                    "provider_payment_charge_id": action["charge"]?["provider_charge_id"],
                ])
            ]
        case "messageActionSuggestedPostRefund":
            [
                "suggested_post_refunded": .object([
                    "suggested_post_message": referenced,
                    "reason": action["payer_initiated"]?.bool == true ? "payment_refunded" : "post_deleted",
                ])
            ]
        default: nil
        }
    }

    private func price(_ action: JSON) -> JSONObject {
        let stars = action["stars"]?.long.map { JSON.integer($0) } ?? 0
        guard names.isBroadcast(chat) else {
            return ["paid_message_price_changed": .object(["paid_message_star_count": stars])]
        }
        let isAllowed = action["broadcast_messages_allowed"]?.bool == true
        return [
            "direct_message_price_changed": .object([
                "are_direct_messages_enabled": .bool(isAllowed), "direct_message_star_count": isAllowed ? stars : nil,
            ])
        ]
    }

    private func positive(_ number: JSON?) -> JSON? { number?.long.flatMap { $0 > 0 ? .integer($0) : nil } }

    private func text(_ base64: JSON?) -> JSON? {
        base64?.string.flatMap { Base64.decode($0) }.map { .string(String(decoding: $0, as: UTF8.self)) }
    }
}
